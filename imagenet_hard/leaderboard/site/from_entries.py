"""From the board's folders to ``SiteData``: every score computed again, entries ranked per benchmark."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.runtime import __version__
from imagenet_hard.base.types import N_CLASSES
from imagenet_hard.evaluation.calibration import calibrate
from imagenet_hard.evaluation.generative.score import AnswersInfo
from imagenet_hard.evaluation.metrics import PerClass, confidence
from imagenet_hard.imagenet.superclasses import by_superclass
from imagenet_hard.leaderboard.board import ENTRIES, BoardEntry, read_board
from imagenet_hard.leaderboard.corrections import CorrectedGold
from imagenet_hard.leaderboard.entry import Entry
from imagenet_hard.leaderboard.gold import Gold
from imagenet_hard.leaderboard.ids import model_of
from imagenet_hard.leaderboard.published import PublishedTable
from imagenet_hard.leaderboard.rescore import Rescored
from imagenet_hard.leaderboard.site.boards import (
    Gathering,
    by_value,
    choice_kind,
    choice_note,
    in_order,
    n_labels,
    rates,
    viewer_of,
)
from imagenet_hard.leaderboard.site.data import (
    Board,
    Corrected,
    Elsewhere,
    MovedEntry,
    Ranked,
    SiteData,
    Unranked,
)
from imagenet_hard.leaderboard.site.said import AllSaid
from imagenet_hard.leaderboard.stats.moved import Moved
from imagenet_hard.leaderboard.withdrawn import withdrawals


def read_site(entries: Path, published: Sequence[PublishedTable] = ()) -> SiteData:
    """The site of an entries folder; gold and verification reports lie in the folders beside it.

    What cannot be placed stops nobody else's entry: it is left out, and ``SiteData.left_out`` names it.

    Raises:
        UsageError: there is no such folder.
    """
    gathered: dict[tuple[str, int], _GoldBoard] = {}
    left_out: list[str] = []
    folder = _board_folder(entries)
    for each in read_board(folder, left_out.append):
        among = each.gold.info.fingerprint, each.entry.choices
        if among not in gathered:
            gathered[among] = _GoldBoard(each.gold, each.entry.choices)
        gathered[among].add(each)
    made = {board.slug: (board, each) for each in gathered.values() for board in [each.board()]}
    boards = _with_links(in_order(board for board, _ in made.values()))
    withdrawn = withdrawals(folder, left_out.append)
    corrected = tuple(each for b in boards for each in made[b.slug][1].corrected(b))
    return SiteData(boards, tuple(published), __version__, tuple(left_out), withdrawn, corrected)


def _with_links(boards: Sequence[Board]) -> tuple[Board, ...]:
    """The boards, each entry with those of the same model on the others."""
    found: dict[str, dict[str, Elsewhere]] = defaultdict(dict)
    for board in boards:
        for e in board.entries:
            found[model_of(e.id)][board.slug] = Elsewhere(
                id=e.id,
                benchmark=board.title,
                fingerprint=board.fingerprint,
                top1=e.top1,
                place=e.rank.place,
                entries=len(board.entries),
            )

    def linked(board: Board, entry: Ranked) -> Ranked:
        others = (each for slug, each in found[model_of(entry.id)].items() if slug != board.slug)
        return replace(entry, also_on=tuple(others))

    return tuple(replace(b, entries=tuple(linked(b, e) for e in b.entries)) for b in boards)


def _board_folder(entries: Path) -> Path:
    if not entries.is_dir():
        raise UsageError(f"there is no folder {entries}: expected the board's entries, ORG__MODEL/entry.json")
    if (entries / ENTRIES).is_dir():
        return entries
    if entries.resolve().name != ENTRIES:
        raise UsageError(
            f"{entries} is not a folder of entries: expected one named {ENTRIES!r}, next to the gold "
            "labels (benchmarks) and the reports (verified)"
        )
    return entries.resolve().parent


def _words(entry: Entry, again: Rescored) -> AnswersInfo | None:
    """What answers in words name, and how the model was asked, as the entry says."""
    if again.words is None or entry.words is None:
        return None
    return again.words.model_copy(update={"asked": entry.words.asked})


class _GoldBoard:
    """The entries of one benchmark, scored against its gold.

    ``choices``: among how many names the models chose; 0 for all classes.
    """

    def __init__(self, gold: Gold, choices: int) -> None:
        about = gold.info
        self._fingerprint = about.fingerprint
        self._into = Gathering(
            name=about.name,
            source="published predictions" if about.source == "predictions" else about.source,
            fingerprint=about.fingerprint,
            ids=gold.ids,
            labels=gold.labels,
            origins=gold.origins,
            kind=choice_kind(choices),
            note=" ".join(filter(None, (about.note, choice_note(choices)))),
            viewer=viewer_of(about.source, about.split),
        )
        self._n_labels = by_value(list(map(len, gold.labels)), n_labels)
        self._superclasses = by_superclass(gold.labels)
        self._image, self._class = np.nonzero(gold.right)
        self._n_total = self._per_class(np.ones(len(gold.ids), np.bool_))
        self._versions: dict[str, CorrectedGold] = {}
        self._moved: dict[str, dict[str, Moved]] = defaultdict(dict)

    def add(self, scored: BoardEntry) -> None:
        entry, again, answers = scored.entry, scored.rescored, scored.answers
        predictions = answers.predictions
        model = Unranked(
            id=entry.id,
            name=entry.name,
            record=entry,
            report=scored.report,
            earlier=scored.earlier,
            used_in_curation=entry.used_in_curation or scored.gold.curated_by(entry.model),
            imagenet=entry.imagenet,
            top1=again.top1,
            top5=again.top5,
            origins=rates(again.correct, self._into.origins),
            n_labels=rates(again.correct, self._n_labels),
            superclasses=rates(again.correct, self._superclasses),
            per_class=PerClass(n_total=self._n_total, n_correct=self._per_class(again.correct)),
            calibration=calibrate(confidence(predictions), again.correct) if predictions else None,
            words=_words(entry, again),
            said=AllSaid.of(answers.words) if answers.words else None,
        )
        self._into.add(
            model, again.correct, again.top1_class, confidence(predictions) if predictions else None
        )
        for version, moved in scored.corrected:
            self._versions[version.name] = version
            self._moved[version.name][entry.id] = moved

    def _per_class(self, correct: NDArray[np.bool_]) -> tuple[int, ...]:
        """For each class how many of the images that have it are ``correct``, bool (n,)."""
        return tuple(np.bincount(self._class[correct[self._image]], minlength=N_CLASSES).tolist())

    def board(self) -> Board:
        return self._into.board()

    def corrected(self, board: Board) -> Iterator[Corrected]:
        """The corrections that led to this board, the newest first."""
        names = {each.id: each.name for each in board.entries}
        for version in self._in_order():
            found = self._moved[version.name]
            ids = sorted(found, key=lambda id: (-found[id].after.accuracy, id))
            before, after = (
                [getattr(found[id], when).accuracy for id in ids] for when in ("before", "after")
            )
            places = [[1 + sum(other > each for other in all_) for each in all_] for all_ in (before, after)]
            entries = tuple(
                MovedEntry(id, names[id], found[id], was, now)
                for id, was, now in zip(ids, *places, strict=True)
            )
            yield Corrected(board.title, board.slug, version, entries)

    def _in_order(self) -> list[CorrectedGold]:
        """The newest first: each made what the one before it corrects."""
        by_made = {each.correction.corrected: each for each in self._versions.values()}
        found, at = [], self._fingerprint
        while at in by_made:
            found.append(by_made[at])
            at = by_made[at].correction.fingerprint
        return found
