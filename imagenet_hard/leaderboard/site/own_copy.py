"""A person's own copy of a board's images: found by their ids, shown as models get them, never sent."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from imagenet_hard.base.errors import DatasetError, ImageNetHardError, UsageError
from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.text import counted, shorten
from imagenet_hard.base.web import json_text
from imagenet_hard.dataset.benchmark import Benchmark
from imagenet_hard.dataset.decode import decode
from imagenet_hard.imagenet.classes import distinct_names
from imagenet_hard.leaderboard.site.data import Board
from imagenet_hard.leaderboard.site.data_files import images_data

log = logging.getLogger(__name__)

FOLDER = "pictures"
SIDE, SMALL = 1280, 144
"""Longest side in pixels of a picture, and of one in a list."""

_PATH = re.compile(rf"/{FOLDER}/([a-z0-9-]+)/([0-9]{{1,9}})(-small)?\.jpg")


class OwnCopy:
    """The images of ``board`` in ``benchmark``; ``board`` has the labels there where it had none.

    Raises:
        UsageError: an image of the board is not there.
        DatasetError: what is right by its labels is not what the results say.
    """

    def __init__(self, board: Board, benchmark: Benchmark) -> None:
        place = {id: row for row, id in enumerate(benchmark.ids)}
        missing = [id for id in board.image_ids if id not in place]
        if missing:
            raise UsageError(
                f"{benchmark.name} lacks {counted(len(missing), 'image')} of {board.title}, such as "
                f"{shorten(missing[0])}: give the --dataset that was scored"
            )
        self._benchmark = benchmark
        self._rows = [place[id] for id in board.image_ids]
        self.board = _labelled(board, [benchmark.labels[row] for row in self._rows], benchmark.name)

    def jpeg(self, number: int, side: int | None = None, quality: int = 85) -> bytes:
        """Image ``number`` of the board, ``side`` pixels wide or high at most.

        Raises:
            IndexError: there is no such image.
            ImageError: it cannot be read.
        """
        id = self.board.image_ids[number]
        found = decode(self._benchmark[self._rows[number]].image, id=id, exif=self._benchmark.exif)
        image = found.convert("RGB")
        if side is not None:
            image.thumbnail((side, side), Image.Resampling.BICUBIC)
        out = io.BytesIO()
        image.save(out, "JPEG", quality=quality)
        return out.getvalue()


def own_copies(boards: Sequence[Board], benchmark: Benchmark) -> dict[str, OwnCopy]:
    """Slug -> the copy, of the boards whose images are all there.

    Raises:
        UsageError: there is no such board.
        DatasetError: its labels contradict the results of one.
    """
    ids = set(benchmark.ids)
    found = [board for board in boards if ids.issuperset(board.image_ids)]
    for board in boards:
        if found and board not in found:
            log.warning("%s does not hold all images of %s, which are not shown", benchmark.name, board.title)
    return {board.slug: OwnCopy(board, benchmark) for board in found or boards}


def picture_at(copies: dict[str, OwnCopy], path: str) -> bytes | None:
    """The picture that a page of a board in ``copies`` asks for; None where there is none."""
    found = _PATH.fullmatch(path)
    if found is None or found[1] not in copies:
        return None
    try:
        return copies[found[1]].jpeg(int(found[2]), SMALL if found[3] else SIDE)
    except (IndexError, ImageNetHardError):
        return None


def write_fiftyone(out: Path, own: OwnCopy, rows: Sequence[int]) -> Path:
    """Images ``rows`` in the form of FiftyOne's ``FiftyOneImageClassificationDataset``; the file of labels.

    Each label has the image's figures as attributes: FiftyOne filters by them.

    Raises:
        UsageError: ``out`` is there and not empty.
        ImageError: an image cannot be read.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there already: expected an empty or new folder for --fiftyone")
    names, board = distinct_names(), own.board
    images = images_data(board)
    labels = {}
    for number in rows:
        stem, wrong = f"{number:06}", images["wrong"][number]
        write_atomically(out / "data" / f"{stem}.jpg", own.jpeg(number, quality=95), flush=False)
        figures = {
            "image_id": board.image_ids[number],
            "origin": board.image_origins[number],
            "right": int(board.solved_by[number]) / len(board.entries),
            "commonest_wrong": names[wrong] if wrong >= 0 else "",
            "agree": images["votes"][number] / len(board.entries),
            "doubt": images["doubt"][number] / 1000 if images["doubt"] else None,
        }
        labels[stem] = [{"label": names[each], "attributes": figures} for each in board.labels[number]]
    path = out / "labels.json"
    write_atomically(path, (json_text({"labels": labels}) + "\n").encode())
    return path


def _labelled(board: Board, labels: Sequence[tuple[int, ...]], name: str) -> Board:
    if board.labelled:
        if differ := sum(a != b for a, b in zip(board.labels, labels, strict=True)):
            log.warning(
                "%s has other labels for %s of %d: those of the board are shown",
                *(name, counted(differ, "image"), board.n),
            )
        return board
    right = np.zeros((board.n, 1001), np.bool_)  # the last one is no class
    for row, each in enumerate(labels):
        right[row, list(each)] = True
    against = right[np.arange(board.n), board.predicted] != board.correct
    if against.any():
        entry, image = (int(each[0]) for each in np.nonzero(against))
        raise DatasetError(
            f"by the labels of {name}, {board.entries[entry].name} is "
            f"{'wrong' if board.correct[entry, image] else 'right'} on {shorten(board.image_ids[image])}, "
            "which its result denies: give the --dataset and labels that were scored"
        )
    return replace(board, labels=tuple(labels))
