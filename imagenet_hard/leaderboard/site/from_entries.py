"""From the board's folders to ``SiteData``: every score computed again, entries ranked per benchmark."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.runtime import __version__
from imagenet_hard.evaluation.calibration import calibrate
from imagenet_hard.evaluation.generative.score import AnswersInfo
from imagenet_hard.evaluation.metrics import PerClass, confidence
from imagenet_hard.leaderboard.board import ENTRIES, BoardEntry, read_board
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
)
from imagenet_hard.leaderboard.site.data import Board, Elsewhere, Ranked, SiteData, Unranked
from imagenet_hard.leaderboard.site.said import AllSaid
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
    boards = _with_links(in_order(each.board() for each in gathered.values()))
    withdrawn = withdrawals(folder, left_out.append)
    return SiteData(boards, tuple(published), __version__, tuple(left_out), withdrawn)


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
            f"{entries} is no folder of entries: expected one named {ENTRIES!r}, beside which lie the gold "
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
        self._into = Gathering(
            name=about.name,
            source="published predictions" if about.source == "predictions" else about.source,
            fingerprint=about.fingerprint,
            ids=gold.ids,
            labels=gold.labels,
            origins=gold.origins,
            kind=choice_kind(choices),
            note=" ".join(filter(None, (about.note, choice_note(choices)))),
        )
        self._n_labels = by_value(list(map(len, gold.labels)), n_labels)
        self._incidence = gold.right.astype(np.float32)  # sums of whole numbers below 2^24: exact
        self._n_total = tuple(gold.right.sum(axis=0).tolist())

    def add(self, scored: BoardEntry) -> None:
        entry, again, answers = scored.entry, scored.rescored, scored.answers
        predictions = answers.predictions
        right_of_class = again.correct.astype(np.float32) @ self._incidence
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
            per_class=PerClass(n_total=self._n_total, n_correct=tuple(right_of_class.astype(int).tolist())),
            calibration=calibrate(confidence(predictions), again.correct) if predictions else None,
            words=_words(entry, again),
            said=AllSaid.of(answers.words) if answers.words else None,
        )
        self._into.add(model, again.correct, again.top1_class)

    def board(self) -> Board:
        return self._into.board()
