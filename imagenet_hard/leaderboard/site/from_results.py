"""A page from results alone, as they lie on this machine: no gold, no entries, nothing submitted.

A result says who was right on which image, but not what the labels are. So nothing is scored again here;
results that contradict each other are refused.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.base.runtime import __version__
from imagenet_hard.base.text import shorten, shorten_list
from imagenet_hard.base.types import N_CLASSES, NO_CLASS, Predictions
from imagenet_hard.evaluation.generative.matched_answers import RECORD_SUFFIX
from imagenet_hard.evaluation.metrics import Rate, confidence
from imagenet_hard.evaluation.result import Result, read_result
from imagenet_hard.evaluation.table import protocol_words, used_in_curation
from imagenet_hard.leaderboard.imagenet_top1 import published_top1
from imagenet_hard.leaderboard.site.boards import (
    Gathering,
    choice_kind,
    choice_note,
    in_order,
    n_labels,
    rates,
    viewer_of,
)
from imagenet_hard.leaderboard.site.build import MANIFEST
from imagenet_hard.leaderboard.site.data import Board, SiteData, Unranked

NOTE = "A preview of results on this machine: nothing here was submitted, and nothing was scored again."
_LONGEST = 150
"""Characters of a name: what tells one from another comes behind it."""


def read_results(paths: Sequence[Path]) -> SiteData:
    """The site of results: ``.json`` files of ``imagenet-hard eval``, and folders of them, at any depth.

    Results of one fingerprint among which the same classes compete, or as many names were to choose from,
    make one board. What cannot be read in a folder is left out, and ``SiteData.left_out`` names it.

    Raises:
        UsageError: there is no such file or folder, or no result in it.
        ResultError: a file that was named is no result, or results contradict each other.
    """
    left_out: list[str] = []
    groups: dict[tuple[str, Any], _Group] = {}
    files = _result_files(paths)
    for (path, named), id in zip(files.items(), _ids(list(files)), strict=True):
        try:
            result, predictions = read_result(path)
            if result.estimate:
                raise ResultError(f"{path} is an estimate, and estimates are never ranked as scores")
        except ResultError as error:
            if named:
                raise
            left_out.append(str(error))
            continue
        key = (result.benchmark.fingerprint, result.competing)
        groups.setdefault(key, _Group(predictions.ids)).add(path, id, result, predictions)
    if not groups:
        told = f": {shorten_list(left_out)}" if left_out else ""
        raise UsageError(
            f"there is no result in {shorten_list([str(each) for each in paths])}{told}; expected what "
            "`imagenet-hard eval` writes, DATASET/MODEL.json with MODEL.parquet beside it"
        )
    boards = in_order(group.board() for group in groups.values())
    return SiteData(boards, version=__version__, left_out=tuple(left_out))


def _result_files(paths: Sequence[Path]) -> dict[Path, bool]:
    """The files in order, each once -> whether it was named itself."""
    found: dict[Path, bool] = {}
    seen: set[Path] = set()
    for path in paths:
        if not path.exists():
            raise UsageError(f"there is no file or folder {path}: expected results of `imagenet-hard eval`")
        for each in _below(path) if path.is_dir() else [path]:
            if each.resolve() not in seen:
                seen.add(each.resolve())
                found[each] = not path.is_dir()
    return found


def _below(folder: Path) -> Iterator[Path]:
    """The JSON files of a folder and those inside, but for hidden ones, built sites, and what else
    `imagenet-hard match` writes beside its results."""
    for root, folders, names in os.walk(folder, onerror=_refused):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if MANIFEST in names:
            folders.clear()
            continue
        yield from (
            Path(root, name)
            for name in sorted(names)
            if name.endswith(".json") and not name.endswith(RECORD_SUFFIX) and name[0] != "."
        )


def _refused(error: OSError) -> None:
    raise UsageError(f"cannot look into {error.filename}: {error.strerror}") from error


def _ids(files: Sequence[Path]) -> list[str]:
    """A name for the files of each result's page: its own, with a number where another had it before."""
    taken: set[str] = set()
    found = []
    for path in files:
        stem = re.sub(r"[^A-Za-z0-9._-]+", "_", path.stem).lstrip("._-")[:180] or "result"
        id, k = stem, 1
        while id.casefold() in taken:
            k += 1
            id = f"{stem}-{k}"
        taken.add(id.casefold())
        found.append(id)
    return found


@dataclass(frozen=True)
class _Read:
    """A result as it was read. ``top1``: int16 (n,), the class that came first, and its ``confidence``."""

    path: Path
    id: str
    result: Result
    top1: NDArray[np.int16]
    confidence: NDArray[np.float64] | None


class _Group:
    """Results on the same images, among the same classes."""

    def __init__(self, image_ids: tuple[str, ...]) -> None:
        self._image_ids = image_ids
        self._read: list[_Read] = []
        self._known = np.zeros((len(image_ids), N_CLASSES), np.int8)
        """What the results say of each image and class: 1 it is a label, -1 it is none, 0 nothing."""

    def add(self, path: Path, id: str, result: Result, predictions: Predictions) -> None:
        """A result that agrees with those before.

        Raises:
            ResultError: it has other images or labels.
        """
        top1, correct = predictions.top5[:, 0].copy(), result.metrics.correct()
        read = _Read(path, id, result, top1, None if predictions.top1_only else confidence(predictions))
        first = self._read[0] if self._read else read
        if predictions.ids != self._image_ids or _labels_in(result) != _labels_in(first.result):
            raise ResultError(
                f"{path} and {first.path} name the same benchmark, but have other images or labels in it: "
                "one was changed; score it again"
            )
        rows = np.flatnonzero(top1 != NO_CLASS)  # who names no class says nothing of the labels
        said = np.where(correct, 1, -1).astype(np.int8)[rows]
        if len(against := np.flatnonzero(self._known[rows, top1[rows]] * said < 0)):
            at = int(rows[against[0]])
            other = next(each for each in self._read if each.top1[at] == top1[at])
            raise ResultError(
                f"{path} and {other.path} contradict each other: both answer class {top1[at]} to the image "
                f"{shorten(self._image_ids[at])}, which only one counts as right. One was changed; score it "
                "again"
            )
        self._known[rows, top1[rows]] = said
        self._read.append(read)

    def board(self) -> Board:
        """The ranked board."""
        results = [each.result for each in self._read]
        first, metrics = results[0], results[0].metrics
        mask, (_, choices) = first.protocol.classes, first.competing
        kinds = (min(each.benchmark.part for each in results), f"among {mask.label}" if mask else "")
        warned = sum(bool(each.protocol.warnings) for each in results)
        notes = [NOTE, choice_note(choices)]
        notes += [f"{warned} of the results have a warning: see their pages."] * bool(warned)
        into = Gathering(
            name=first.benchmark.name[:_LONGEST],
            source=first.benchmark.source[:_LONGEST],
            fingerprint=first.benchmark.fingerprint,
            ids=self._image_ids,
            labels=None,
            origins=tuple(metrics.origins.names[i] for i in metrics.origin_codes()),
            kind="".join(f" {kind}" for kind in kinds if kind) + choice_kind(choices),
            note=" ".join(filter(None, notes)),
            viewer=viewer_of(first.benchmark.source, first.benchmark.split),
            submitted=False,
        )
        for each, name in zip(self._read, _names(self._read), strict=True):
            correct = each.result.metrics.correct()
            into.add(_model(each, name, rates(correct, into.origins)), correct, each.top1, each.confidence)
        return into.board()


def _labels_in(result: Result) -> tuple[Any, ...]:
    """What a result tells of the images' labels, whoever the model is."""
    metrics = result.metrics
    return metrics.per_class.n_total, {k: rate.n_total for k, rate in metrics.per_label_count.items()}


def _names(read: Sequence[_Read]) -> list[str]:
    """The model of each, with as much more as it takes to tell them all apart."""
    names = [_model_name(each.result) for each in read]
    for more in (_weights, _protocol, lambda each: each.id):
        uses = Counter(names)
        names = [
            name if uses[name] == 1 else f"{name}, {more(each)}"
            for name, each in zip(names, read, strict=True)
        ]
    return names


def _model_name(result: Result) -> str:
    tta = result.protocol.tta
    return (result.model.name[:_LONGEST] or "unnamed") + (f" + {tta.label}" if tta else "")


def _weights(each: _Read) -> str:
    return (each.result.model.tag or "untagged")[:100]


def _protocol(each: _Read) -> str:
    return protocol_words(each.result)


def _model(read: _Read, name: str, origins: Mapping[str, Rate]) -> Unranked:
    model, metrics = read.result.model, read.result.metrics
    by_labels = {n_labels(k): rate for k, rate in metrics.per_label_count.items()}
    return Unranked(
        id=read.id,
        name=name,
        record=read.result,
        used_in_curation=used_in_curation(model, read.result.benchmark),
        imagenet=published_top1(model),
        top1=metrics.top1,
        top5=metrics.top5,
        origins=origins,
        n_labels=by_labels if len(by_labels) > 1 else {},
        superclasses=metrics.per_superclass,
        per_class=metrics.per_class,
        calibration=metrics.calibration,
        words=read.result.answers,
    )
