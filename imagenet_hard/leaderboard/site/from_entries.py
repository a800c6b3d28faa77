"""From the board's folders to ``SiteData``: every score computed again, entries ranked per benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.runtime import __version__
from imagenet_hard.evaluation.calibration import calibrate
from imagenet_hard.evaluation.metrics import PerClass, confidence
from imagenet_hard.leaderboard.board import ENTRIES, BoardEntry, read_board
from imagenet_hard.leaderboard.entry import Entry
from imagenet_hard.leaderboard.gold import Gold
from imagenet_hard.leaderboard.plain_text import Link as EntryLink
from imagenet_hard.leaderboard.site.boards import Gathering, Groups, by_value, in_order, n_labels, rates
from imagenet_hard.leaderboard.site.data import (
    Board,
    Check,
    Facts,
    Link,
    PublishedTable,
    SiteData,
)
from imagenet_hard.leaderboard.site.provenance import model_facts, result_facts
from imagenet_hard.leaderboard.verify.ownership import said_owner


def read_site(entries: Path, published: Sequence[PublishedTable] = ()) -> SiteData:
    """The site of an entries folder; gold and verification reports lie in the folders beside it.

    What cannot be placed stops nobody else's entry: it is left out, and ``SiteData.left_out`` names it.

    Raises:
        UsageError: there is no such folder.
    """
    gathered: dict[str, _Scored] = {}
    left_out: list[str] = []
    for each in read_board(_board_folder(entries), left_out.append):
        fingerprint = each.gold.info.fingerprint
        if fingerprint not in gathered:
            gathered[fingerprint] = _Scored(each.gold)
        gathered[fingerprint].add(each)
    boards = in_order(each.board() for each in gathered.values())
    return SiteData(boards, tuple(published), __version__, tuple(left_out))


def _board_folder(entries: Path) -> Path:
    if not entries.is_dir():
        raise UsageError(f"there is no folder {entries}: expected the board's entries, ORG__MODEL/entry.json")
    if (entries / ENTRIES).is_dir():
        return entries
    if entries.resolve().name != ENTRIES:
        raise UsageError(
            f"{entries} is no folder of entries: expected one named {ENTRIES!r}, beside which lie the gold "
            "labels (benchmarks) and the reports (verified)"
        )
    return entries.resolve().parent


class _Scored:
    """The entries of one benchmark, scored against its gold."""

    def __init__(self, gold: Gold) -> None:
        about = gold.info
        self._into = Gathering(
            name=about.name,
            source="published predictions" if about.source == "predictions" else about.source,
            fingerprint=about.fingerprint,
            ids=gold.ids,
            labels=gold.labels,
            origins=gold.origins,
            note=about.note,
        )
        self._n_labels = by_value(list(map(len, gold.labels)), n_labels)
        self._incidence = gold.right.astype(np.float32)  # sums of whole numbers below 2^24: exact
        self._n_total = tuple(gold.right.sum(axis=0).tolist())

    def add(self, scored: BoardEntry) -> None:
        groups = {"origins": self._into.origins, "n_labels": self._n_labels}
        about = _about(scored, self._incidence, self._n_total, groups)
        self._into.add(about, scored.rescored.correct, scored.rescored.top1_class)

    def board(self) -> Board:
        return self._into.board()


def _about(
    scored: BoardEntry, incidence: NDArray[np.float32], n_total: tuple[int, ...], groups: dict[str, Groups]
) -> dict[str, Any]:
    """The fields of an entry but for its rank."""
    entry, again, predictions = scored.entry, scored.rescored, scored.answers.predictions
    return {
        "id": entry.id,
        "name": entry.name,
        "org": entry.org,
        "submitter": entry.submitter,
        "owner": said_owner(entry) if entry.owner else "",
        "links": tuple(map(_link, entry.links)),
        "training_data": entry.training_data,
        "date": entry.date,
        "used_in_curation": entry.used_in_curation or scored.gold.curated_by(entry.model),
        "tier": scored.tier,
        "backend": entry.model.backend[:500],
        "architecture": entry.model.name[:500],
        "tag": (entry.model.tag or "")[:500],
        "parameters": entry.model.parameters,
        "imagenet_top1": entry.imagenet.percent if entry.imagenet else None,
        "imagenet_source": _link(entry.imagenet.source) if entry.imagenet else None,
        "top1": again.top1,
        "top5": again.top5,
        **{kind: rates(again.correct, parts) for kind, parts in groups.items()},
        "per_class": PerClass(
            n_total=n_total,
            n_correct=tuple((again.correct.astype(np.float32) @ incidence).astype(int).tolist()),
        ),
        "calibration": calibrate(confidence(predictions), again.correct) if predictions else None,
        "checks": tuple(
            Check(name=c.name, outcome=c.outcome, detail=c.detail, when=c.when.isoformat(), version=c.version)
            for c in scored.checks
        ),
        "provenance": _provenance(entry),
        "predictions_sha256": entry.predictions_sha256,
    }


def _link(link: EntryLink) -> Link:
    return Link(label=link.label[:100], url=link.url)


def _provenance(entry: Entry) -> tuple[Facts, ...]:
    facts = (model_facts(entry.model), *(result_facts(entry.result) if entry.result else ()))
    return tuple(each for each in facts if each.rows)
