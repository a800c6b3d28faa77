"""From the board's folders to ``SiteData``: every score computed again, entries ranked per benchmark."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.errors import UsageError
from imagenet_hard.evaluation.calibration import calibrate
from imagenet_hard.evaluation.metrics import PerClass, Rate, confidence
from imagenet_hard.leaderboard.board import ENTRIES, BoardEntry, read_board
from imagenet_hard.leaderboard.entry import Entry
from imagenet_hard.leaderboard.gold import Gold
from imagenet_hard.leaderboard.ownership import said_owner
from imagenet_hard.leaderboard.plain_text import Link as EntryLink
from imagenet_hard.leaderboard.site.data import (
    Board,
    Check,
    Facts,
    Link,
    PublishedTable,
    SiteData,
    SiteEntry,
)
from imagenet_hard.leaderboard.site.imagenet import against_imagenet
from imagenet_hard.leaderboard.site.provenance import model_facts, result_facts
from imagenet_hard.leaderboard.site.standing import standing
from imagenet_hard.leaderboard.stats.correctness import Correctness
from imagenet_hard.version import __version__

Groups = Mapping[str, Mapping[str, NDArray[np.bool_]]]


def read_site(entries: Path, published: Sequence[PublishedTable] = ()) -> SiteData:
    """The site of an entries folder; gold and verification reports lie in the folders beside it.

    What cannot be placed stops nobody else's entry: it is left out, and ``SiteData.left_out`` names it.

    Raises:
        UsageError: there is no such folder.
    """
    gathered: dict[str, _Gathering] = {}
    left_out: list[str] = []
    for each in read_board(_board_folder(entries), left_out.append):
        fingerprint = each.gold.info.fingerprint
        if fingerprint not in gathered:
            gathered[fingerprint] = _Gathering(each.gold)
        gathered[fingerprint].add(each)
    boards = [each.board() for each in gathered.values()]
    boards.sort(key=lambda b: (not b.title.lower().startswith("imagenet-hard"), -len(b.entries), b.slug))
    return SiteData(tuple(map(_told_apart(boards), boards)), tuple(published), __version__, tuple(left_out))


def _told_apart(boards: Sequence[Board]) -> Callable[[Board], Board]:
    """Put the fingerprint behind the title where two benchmarks share a name."""
    uses = Counter(board.title for board in boards)

    def titled(board: Board) -> Board:
        if uses[board.title] == 1:
            return board
        return replace(board, title=f"{board.title} ({board.fingerprint[:8]})")

    return titled


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


class _Gathering:
    """The entries of one benchmark as they are read, one at a time: of each what the page shows, no more.

    A thousand entries' answers do not fit into a gigabyte.
    """

    def __init__(self, gold: Gold) -> None:
        self._gold, self._groups = gold, _groups(gold)
        self._incidence = gold.right.astype(np.float32)  # sums of whole numbers below 2^24: exact
        self._n_total = tuple(gold.right.sum(axis=0).tolist())
        self._about: list[dict[str, Any]] = []
        self._correct: list[NDArray[np.uint8]] = []
        self._predicted: list[NDArray[np.int16]] = []

    def add(self, scored: BoardEntry) -> None:
        self._about.append(_about(scored, self._incidence, self._n_total, self._groups))
        self._correct.append(np.packbits(scored.rescored.correct))
        self._predicted.append(scored.rescored.top1_class.copy())  # not the whole array that it is a part of

    def board(self) -> Board:
        """Ranked, best first, ids breaking ties."""
        gold, n = self._gold, len(self._gold.ids)
        places = range(len(self._about))
        order = sorted(places, key=lambda i: (-self._about[i]["top1"].n_correct, self._about[i]["id"]))
        packed = Correctness(np.stack([self._correct[i] for i in order]), n)
        stands = standing(packed)
        against = against_imagenet([self._about[i] for i in order])
        correct = np.unpackbits(packed.bits, axis=1, count=n).view(np.bool_)
        return Board(
            slug=slug_of(gold),
            title=title_of(gold),
            source="published predictions" if gold.info.source == "predictions" else gold.info.source,
            fingerprint=gold.info.fingerprint,
            entries=tuple(
                SiteEntry(**self._about[i], **more, rank=rank)
                for i, more, rank in zip(order, against, stands.ranks, strict=True)
            ),
            image_ids=gold.ids,
            labels=gold.labels,
            image_origins=gold.origins,
            correct=correct,
            predicted=np.stack([self._predicted[i] for i in order]),
            kappa=stands.kappa,
            tied=stands.tied,
            similar=stands.similar,
            neighbours_apart=stands.neighbours_apart,
            oracle=Rate.of(int(correct.any(axis=0).sum()), n),
            note=gold.info.note,
        )


def title_of(gold: Gold) -> str:
    """The benchmark's name as one writes it in a heading: ``imagenet-hard`` is ImageNet-Hard."""
    name = re.sub(r"^imagenet", "ImageNet", gold.info.name)
    return re.sub(r"^ImageNet-hard", "ImageNet-Hard", name)


def slug_of(gold: Gold) -> str:
    """A name for files: the benchmark's, and 8 digits of its fingerprint to tell two of one name apart."""
    name = re.sub(r"[^a-z0-9]+", "-", gold.info.name.lower()).strip("-")[:60].strip("-")
    return f"{name or 'benchmark'}-{gold.info.fingerprint[:8]}"


def _about(
    scored: BoardEntry, incidence: NDArray[np.float32], n_total: tuple[int, ...], groups: Groups
) -> dict[str, Any]:
    """The fields of an entry but for its rank, which the others decide as well."""
    entry, again, predictions = scored.entry, scored.rescored, scored.answers.predictions
    rates = {
        kind: {
            name: Rate.of(int(again.correct[inside].sum()), int(inside.sum()))
            for name, inside in parts.items()
        }
        for kind, parts in groups.items()
    }
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
        "origins": rates["origins"],
        "n_labels": rates["n_labels"],
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


def _groups(gold: Gold) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """The images by origin and by number of labels, where there is more than one group."""
    origins = np.array(gold.origins, dtype=object)
    counts = np.array([len(each) for each in gold.labels])
    by_origin = {name: origins == name for name in sorted(set(gold.origins))}
    by_count = {f"{k} label{'s' if k > 1 else ''}": counts == k for k in sorted(set(counts.tolist()))}
    return {
        "origins": by_origin if len(by_origin) > 1 else {},
        "n_labels": by_count if len(by_count) > 1 else {},
    }
