"""The results of one benchmark as they are read, and the ranked board that they make."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.text import counted
from imagenet_hard.evaluation.metrics import Rate
from imagenet_hard.leaderboard.site.data import NO_CONFIDENCE, Board, Rank, Unranked
from imagenet_hard.leaderboard.site.imagenet import ranked
from imagenet_hard.leaderboard.stats.correctness import Correctness
from imagenet_hard.leaderboard.stats.pairs import error_consistency, side_by_side
from imagenet_hard.leaderboard.stats.ranks import ranks

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)

Groups = Mapping[str, NDArray[np.bool_]]


class Gathering:
    """What the page shows of each entry, added one at a time, and no more.

    A thousand entries' answers do not fit into a gigabyte.
    """

    def __init__(
        self,
        *,
        name: str,
        source: str,
        fingerprint: str,
        ids: tuple[str, ...],
        labels: tuple[tuple[int, ...], ...] | None,
        origins: tuple[str, ...],
        kind: str = "",
        note: str = "",
        viewer: str = "",
        submitted: bool = True,
    ) -> None:
        """``labels``: None where they are not at hand; ``kind``: what tells it from the whole benchmark."""
        self._board: dict[str, Any] = {
            "slug": slug_of(name, fingerprint, kind),
            "title": title_of(name) + kind,
            "benchmark": "" if kind else name,  # published tables are of the whole
            "source": source,
            "fingerprint": fingerprint,
            "image_ids": ids,
            "labels": ((),) * len(ids) if labels is None else labels,
            "image_origins": origins,
            "note": note,
            "viewer": viewer,
            "submitted": submitted,
        }
        self.origins = by_value(origins)
        self._models: list[Unranked] = []
        self._correct: list[NDArray[np.uint8]] = []
        self._predicted: list[NDArray[np.int16]] = []
        self._confidence: list[NDArray[np.uint8]] = []

    def add(
        self,
        model: Unranked,
        correct: NDArray[np.bool_],
        predicted: NDArray[np.integer[Any]],
        confidence: NDArray[np.floating[Any]] | None = None,
    ) -> None:
        """An entry, and for each image whether it is right and its first class: bool and int (n,).

        ``confidence``: its probability, float (n,); None where none is known.
        """
        self._models.append(model)
        self._correct.append(np.packbits(correct))
        self._predicted.append(predicted.astype(np.int16))  # a copy: not the whole array that it is a part of
        unknown = np.full(len(correct), NO_CONFIDENCE, np.uint8)
        percent = unknown if confidence is None else np.rint(100 * confidence).astype(np.uint8)
        self._confidence.append(percent)

    def board(self) -> Board:
        """Ranked, best first, ids breaking ties."""
        n = len(self._board["image_ids"])
        places = range(len(self._models))
        order = sorted(places, key=lambda i: (-self._models[i].top1.n_correct, self._models[i].id))
        packed = Correctness(np.stack([self._correct[i] for i in order]), n)
        stands, kappa = ranks(packed), error_consistency(packed)
        ends = zip(stands.place.tolist(), stands.low.tolist(), stands.high.tolist(), strict=True)
        correct = np.unpackbits(packed.bits, axis=1, count=n).view(np.bool_)
        return Board(
            **self._board,
            entries=ranked(
                [self._models[i] for i in order],
                [Rank(place=place, low=low, high=high) for place, low, high in ends],
            ),
            correct=correct,
            predicted=np.stack([self._predicted[i] for i in order]),
            confidence=np.stack([self._confidence[i] for i in order]),
            kappa=kappa,
            tied=~stands.apart,
            similar=side_by_side(kappa),
            neighbours_apart=int(stands.apart.diagonal(1).sum()),
            oracle=Rate.of(int(correct.any(axis=0).sum()), n),
        )


def choice_kind(choices: int) -> str:
    """What tells a board from the benchmark's own where models chose among so many names; "" for 0."""
    return f" (choice of {choices} names)" if choices else ""


def choice_note(choices: int) -> str:
    """What a reader of such a board has to know."""
    if not choices:
        return ""
    return (
        f"Each model is given {choices} names, a label of the image among them: guessing gets "
        f"{100 / choices:.0f} %, and no figure here compares with one among all classes."
    )


def in_order(boards: Iterable[Board]) -> tuple[Board, ...]:
    """ImageNet-Hard first, whole benchmarks before parts, then by the number of entries.

    Titles that two share get their fingerprint.
    """

    def place(board: Board) -> tuple[bool, bool, int, str]:
        main = board.title.lower().startswith("imagenet-hard")
        return not main, not board.benchmark, -len(board.entries), board.slug

    ordered = sorted(boards, key=place)
    return tuple(map(_told_apart(ordered), ordered))


def _told_apart(boards: Sequence[Board]) -> Callable[[Board], Board]:
    uses = Counter(board.title for board in boards)

    def titled(board: Board) -> Board:
        if uses[board.title] == 1:
            return board
        return replace(board, title=f"{board.title} ({board.fingerprint[:8]})")

    return titled


def by_value(values: Sequence[Any], title: Callable[[Any], str] = str) -> Groups:
    """The images of each value, bool (n,), in order of the values; nothing where there is one only."""
    given = np.array(values, dtype=object)
    found = {title(value): given == value for value in sorted(set(values))}
    return found if len(found) > 1 else {}


def n_labels(k: int) -> str:
    """The name of the images that have ``k`` labels."""
    return counted(k, "label")


def rates(correct: NDArray[np.bool_], groups: Groups) -> dict[str, Rate]:
    """Top-1 within each group."""
    return {
        name: Rate.of(int(np.count_nonzero(correct & inside)), int(np.count_nonzero(inside)))
        for name, inside in groups.items()
    }


def title_of(name: str) -> str:
    """The benchmark's name as one writes it in a heading: ``imagenet-hard`` is ImageNet-Hard."""
    return re.sub(r"^ImageNet-hard", "ImageNet-Hard", re.sub(r"^imagenet", "ImageNet", name))


def slug_of(name: str, fingerprint: str, kind: str = "") -> str:
    """A name for files: the benchmark's, and 8 digits of its fingerprint to tell two of one name apart."""
    last = "-".join(filter(None, (fingerprint[:8], _safe(kind)[:40])))
    return f"{_safe(name)[: 68 - len(last)].strip('-') or 'benchmark'}-{last}"


def viewer_of(source: str, split: str | None) -> str:
    """Where the Hub shows the rows of a data set of its own; "" for any other ``source``."""
    if not _HUB_ID.fullmatch(source):
        return ""
    return f"https://huggingface.co/datasets/{source}/viewer/default/{quote(split or 'validation', safe='')}"


def _safe(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
