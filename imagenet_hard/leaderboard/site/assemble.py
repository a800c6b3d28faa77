"""From the board's folders to ``SiteData``: every score computed again, entries ranked per benchmark."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.errors import UsageError
from imagenet_hard.evaluation.metrics import PerClass, Rate
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
from imagenet_hard.leaderboard.site.provenance import model_facts, result_facts
from imagenet_hard.leaderboard.site.standing import Standing, standing
from imagenet_hard.types import N_CLASSES
from imagenet_hard.version import __version__

Groups = Mapping[str, Mapping[str, NDArray[np.bool_]]]


def read_site(entries: Path, published: Sequence[PublishedTable] = ()) -> SiteData:
    """The site of an entries folder; gold and verification reports lie in the folders beside it.

    What cannot be placed stops nobody else's entry: it is left out, and ``SiteData.left_out`` names it.

    Raises:
        UsageError: there is no such folder.
    """
    by_benchmark: dict[str, list[BoardEntry]] = defaultdict(list)
    left_out: list[str] = []
    for each in read_board(_board_folder(entries), left_out.append):
        by_benchmark[each.gold.info.fingerprint].append(each)
    boards = [make_board(scored) for scored in by_benchmark.values()]
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


def make_board(scored: Sequence[BoardEntry]) -> Board:
    """The board of the entries of one benchmark: ranked, best first, ids breaking ties."""
    gold = scored[0].gold
    ordered = sorted(scored, key=lambda s: (-s.rescored.top1.n_correct, s.entry.id))
    correct = np.stack([s.rescored.correct for s in ordered])
    ranks = standing(correct)
    incidence, groups = _incidence(gold.labels), _groups(gold)
    return Board(
        slug=slug_of(gold),
        title=title_of(gold),
        source="published predictions" if gold.info.source == "predictions" else gold.info.source,
        fingerprint=gold.info.fingerprint,
        entries=tuple(_site_entry(s, ranks, i, incidence, groups) for i, s in enumerate(ordered)),
        image_ids=gold.ids,
        labels=gold.labels,
        image_origins=gold.origins,
        correct=correct,
        predicted=np.stack([s.rescored.top1_class for s in ordered]),
        kappa=ranks.kappa,
        tied=ranks.tied,
        similar=ranks.similar,
        neighbours_apart=ranks.neighbours_apart,
        oracle=Rate.of(int(correct.any(axis=0).sum()), len(gold.ids)),
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


def _site_entry(
    scored: BoardEntry, ranks: Standing, i: int, incidence: NDArray[np.int64], groups: Groups
) -> SiteEntry:
    entry, again = scored.entry, scored.rescored
    rates = {
        kind: {
            name: Rate.of(int(again.correct[inside].sum()), int(inside.sum()))
            for name, inside in parts.items()
        }
        for kind, parts in groups.items()
    }
    return SiteEntry(
        id=entry.id,
        name=entry.name,
        org=entry.org,
        submitter=entry.submitter,
        owner=said_owner(entry) if entry.owner else "",
        links=tuple(map(_link, entry.links)),
        training_data=entry.training_data,
        date=entry.date,
        used_in_curation=entry.used_in_curation or scored.gold.curated_by(entry.model),
        tier=scored.tier,
        backend=entry.model.backend[:500],
        architecture=entry.model.name[:500],
        tag=(entry.model.tag or "")[:500],
        parameters=entry.model.parameters,
        imagenet_top1=entry.imagenet.percent if entry.imagenet else None,
        imagenet_source=_link(entry.imagenet.source) if entry.imagenet else None,
        top1=again.top1,
        top5=again.top5,
        rank=ranks.ranks[i],
        origins=rates["origins"],
        n_labels=rates["n_labels"],
        per_class=PerClass(
            n_total=tuple(incidence.sum(axis=0).tolist()),
            n_correct=tuple(incidence[again.correct].sum(axis=0).tolist()),
        ),
        calibration=again.metrics.calibration if again.metrics else None,
        checks=tuple(
            Check(name=c.name, outcome=c.outcome, detail=c.detail, when=c.when.isoformat(), version=c.version)
            for c in scored.checks
        ),
        provenance=_provenance(entry),
        predictions_sha256=entry.predictions_sha256,
    )


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


def _incidence(labels: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """(n, 1000): 1 where the image has the label."""
    made = np.zeros((len(labels), N_CLASSES), dtype=np.int64)
    for row, each in enumerate(labels):
        made[row, list(each)] = 1
    return made
