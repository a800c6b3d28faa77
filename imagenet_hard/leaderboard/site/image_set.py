"""Which images of a board are meant: one text says it, in the address of the explorer and in a command.

``origin=ObjectNet&right=0-10&who=right:A,wrong:B&sort=doubt``: keys of ``KEYS``, each once, as in an address.
``static/js/image-set.js`` reads the same text to the same images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.text import shorten, shorten_list
from imagenet_hard.base.types import NO_CLASS
from imagenet_hard.imagenet.classes import names as class_names
from imagenet_hard.imagenet.mask import class_index
from imagenet_hard.leaderboard.site.data import Board

KEYS: Mapping[str, str] = {
    "q": "words of the id, of the names of the labels, of the source",
    "origin": "the source",
    "class": "a label: its index, wnid or name",
    "labels": "how many labels",
    "right": "LOW-HIGH, percent of the entries that are right",
    "other": "the commonest wrong answer: a class",
    "agree": "least percent of the entries that give the commonest wrong answer",
    "who": "right:ENTRY, wrong:ENTRY or none:ENTRY (it names no class), several with commas between",
    "sort": "hard, easy, agree, doubt or id",
}
PAGES = ("image", "of")
"""Keys of a page of the explorer, which choose no images."""

_OUTCOMES = ("right", "wrong", "none")
_HARD = "hard"
_NEED = ("class", "labels", ("sort", "doubt"))
"""What needs labels."""


def image_set(board: Board, images: Mapping[str, Any], text: str) -> list[int]:
    """The images of ``board`` that ``text`` means, by number and in the order that it asks for.

    ``images``: what ``data_files.images_data`` says of them.
    ``text`` may be a whole address of the page: what stands behind its # counts.

    Raises:
        UsageError: a key or a value that means nothing; the message says what would.
    """
    asked = _parsed(text.partition("#")[2] if "#" in text else text)
    if not board.labelled and (
        lacking := [f"{k}={v}" for k, v in asked.items() if (k, v) in _NEED or k in _NEED]
    ):
        raise UsageError(f"{lacking[0]} needs the images' labels, which results do not hold: give --dataset")
    fits = np.ones(board.n, np.bool_)
    for key, value in asked.items():
        if key in _FILTERS:
            fits &= _FILTERS[key](board, images, value)
    order = _order(images, asked.get("sort", _HARD))
    rows: list[int] = order[fits[order]].tolist()
    return rows


def _parsed(text: str) -> dict[str, str]:
    pairs = parse_qsl(text, keep_blank_values=True)
    found = {key: value for key, value in pairs if key not in PAGES}
    problem = None
    if unknown := sorted(found.keys() - KEYS.keys()):
        problem = f"{unknown[0]!r} chooses no images"
    elif len(dict(pairs)) < len(pairs) or (text and not pairs):
        problem = shorten(text)
    if problem:
        raise UsageError(f"{problem}: expected KEY=VALUE&..., each key once, of {', '.join(KEYS)}")
    return {key: value for key, value in found.items() if value}


def _words(board: Board, images: Mapping[str, Any], value: str) -> NDArray[np.bool_]:
    names, words = class_names(), value.lower().split()
    texts = (
        f"{id} {', '.join(names[c] for c in labels)} {origin}".lower()
        for id, labels, origin in zip(board.image_ids, board.labels, board.image_origins, strict=True)
    )
    return np.array([all(word in text for word in words) for text in texts], np.bool_)


def _origin(board: Board, images: Mapping[str, Any], value: str) -> NDArray[np.bool_]:
    if value not in board.image_origins:
        known = ", ".join(sorted(set(filter(None, board.image_origins)))) or "one source without a name"
        raise UsageError(f"origin={value}: no image is from there; the sources are {known}")
    return np.array([each == value for each in board.image_origins], np.bool_)


def _class(board: Board, images: Mapping[str, Any], value: str) -> NDArray[np.bool_]:
    wanted = class_index(value, "class", folded=False)
    return np.array([wanted in each for each in board.labels], np.bool_)


def _labels(board: Board, images: Mapping[str, Any], value: str) -> NDArray[np.bool_]:
    wanted = _whole(value, "labels", 1000)
    return np.array([len(each) == wanted for each in board.labels], np.bool_)


def _right(board: Board, images: Mapping[str, Any], value: str) -> NDArray[np.bool_]:
    low, dash, high = value.partition("-")
    if not dash:
        raise UsageError(f"right={value}: expected LOW-HIGH in percent, such as right=0-10")
    percent, m = 100 * board.solved_by, len(board.entries)
    found: NDArray[np.bool_] = percent >= m * _whole(low, "right", 100)
    return found & (percent <= m * _whole(high, "right", 100))


def _other(board: Board, images: Mapping[str, Any], value: str) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.array(images["wrong"]) == class_index(value, "other", folded=False)
    return found


def _agree(board: Board, images: Mapping[str, Any], value: str) -> NDArray[np.bool_]:
    least = len(board.entries) * _whole(value, "agree", 100)
    found: NDArray[np.bool_] = 100 * np.array(images["votes"]) >= least
    return found


def _who(board: Board, images: Mapping[str, Any], value: str) -> NDArray[np.bool_]:
    place = {entry.id: i for i, entry in enumerate(board.entries)}
    fits = np.ones(board.n, np.bool_)
    for each in value.split(","):
        outcome, _, id = each.partition(":")
        if outcome not in _OUTCOMES:
            raise UsageError(f"who={each}: expected right:ENTRY, wrong:ENTRY or none:ENTRY")
        if id not in place:
            raise UsageError(f"who={each}: no entry is {id!r}; they are {shorten_list(list(place), 20)}")
        right = board.correct[place[id]]
        silent = board.predicted[place[id]] == NO_CLASS
        fits &= {"right": right, "wrong": ~right, "none": silent}[outcome]
    return fits


_FILTERS: Mapping[str, Callable[[Board, Mapping[str, Any], str], NDArray[np.bool_]]] = {
    "q": _words,
    "origin": _origin,
    "class": _class,
    "labels": _labels,
    "right": _right,
    "other": _other,
    "agree": _agree,
    "who": _who,
}


def _order(images: Mapping[str, Any], sort: str) -> NDArray[np.intp]:
    """intp (n,): the images in this order; equals as they stand on the board."""
    solved, votes = np.array(images["solvedBy"]), np.array(images["votes"])
    doubt = np.array(images["doubt"] or np.zeros(len(solved), np.intp))
    keys = {
        _HARD: (-votes, solved),
        "easy": (-solved,),
        "agree": (-votes,),
        "doubt": (-doubt,),
        "id": (np.zeros(len(solved)),),
    }
    if sort not in keys:
        raise UsageError(f"sort={sort}: expected {', '.join(keys)}")
    order: NDArray[np.intp] = np.lexsort(keys[sort])
    return order


def _whole(text: str, key: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= most):
        raise UsageError(f"{key}: {shorten(text)} is no whole number of 0 to {most}")
    return int(text)
