"""Which classes known models take for which: a table of wrong answers to choose from, for "choices".

A row of the table is a class's. It is made of all images with that label, so that an image's own predictions
are a small part of it: a row of each image would hold what known models get wrong there, and punish such as
resemble them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.records import read_record
from imagenet_hard.base.types import N_CLASSES, SCHEMA_VERSION, Predictions, Record, SchemaVersion, Sha256
from imagenet_hard.imagenet import classes, wordnet

KEPT = 20
"""Classes in a row: more than are drawn, as those that are labels of an image are passed over."""

ClassIndex = Annotated[int, Field(ge=0, lt=N_CLASSES)]


class Distractors(Record):
    """Of each class the others that known models say of its images, the most frequent first."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    benchmark: str = Field(max_length=200, description="whose images the predictions are of")
    fingerprint: Sha256 = Field(description="of all its images")
    models: tuple[str, ...] = Field(min_length=1, description="the known models: BACKEND:NAME/TAG")
    confused: tuple[tuple[ClassIndex, ...], ...] = Field(
        min_length=N_CLASSES, max_length=N_CLASSES, description="of each class, by index"
    )

    @model_validator(mode="after")
    def _agrees(self) -> Distractors:
        for index, others in enumerate(self.confused):
            if index in others or len(set(others)) < len(others):
                raise ValueError(f"confused: the row of class {index} has itself, or another class twice")
        return self

    @property
    def sha256(self) -> str:
        """Hash of what is drawn from."""
        return hashlib.sha256(json.dumps(self.confused).encode()).hexdigest()

    def of(self, label: int, labels: Sequence[int]) -> list[int]:
        """All classes that are no label of an image, the most confusable with ``label`` first, behind those
        of the table the nearest in WordNet. None that has the name of a label ("missile" is two classes)."""
        names = classes.names()
        taken = {names[index] for index in labels}
        order = dict.fromkeys((*self.confused[label], *nearest(label)))
        return [index for index in order if index not in labels and names[index] not in taken]


class DistractorsInfo(Record):
    """Which table of distractors was drawn from."""

    sha256: Sha256
    benchmark: str = Field(max_length=200, description="whose images the known models were confused by")
    models: int = Field(ge=1, description="how many they are")

    @classmethod
    def of(cls, table: Distractors) -> DistractorsInfo:
        """Of a table."""
        return cls(sha256=table.sha256, benchmark=table.benchmark, models=len(table.models))


def distractors_of(
    predictions: Sequence[Predictions],
    labels: Sequence[Sequence[int]],
    models: Sequence[str],
    *,
    benchmark: str,
    fingerprint: str,
) -> Distractors:
    """The table of what ``models`` predict; ``labels`` in the order of their ids, which are the same.

    What a model says first of an image counts 1 for each of its labels, the second 1/2, to 1/5, but for what
    is a label itself. Ties go to the nearer in WordNet.
    """
    wanted = np.zeros((len(labels), N_CLASSES), np.bool_)
    for row, each in enumerate(labels):
        wanted[row, list(each)] = True
    rows, columns = np.nonzero(wanted)
    counts = np.zeros((N_CLASSES, N_CLASSES))
    for one in predictions:
        for place in range(one.top5.shape[1]):
            said = one.top5[rows, place].astype(int)
            wrong = (said >= 0) & ~wanted[rows, said]
            np.add.at(counts, (columns[wrong], said[wrong]), 1 / (place + 1))
    confused = []
    for index, row in enumerate(np.round(counts, 9)):
        order = [other for other in nearest(index) if row[other] > 0]
        confused.append(tuple(sorted(order, key=lambda other: -row[other])[:KEPT]))
    return Distractors(
        benchmark=benchmark, fingerprint=fingerprint, models=tuple(models), confused=tuple(confused)
    )


def write_distractors(path: Path, table: Distractors) -> None:
    """Write it as JSON.

    Raises:
        ResultError: the disk refuses.
    """
    write_atomically(path, (table.model_dump_json() + "\n").encode())


def read_distractors(path: str | Path) -> Distractors:
    """The table in a file.

    Raises:
        UsageError: there is none.
        ResultError: the file is no such table.
    """
    made = "a table that `imagenet-hard distractors RESULTS... --out FILE` made"
    if not Path(path).is_file():
        raise UsageError(f"distractors: there is no file {path}: expected {made}")
    try:
        return read_record(Path(path), Distractors)
    except ResultError as error:
        raise ResultError(f"{error}: expected {made}") from error


@cache
def nearest(index: int) -> tuple[int, ...]:
    """The other classes, those first that are a kind of the most things that this one is; then by index."""
    order = np.argsort(-_in_common()[index], kind="stable")
    return tuple(order[order != index].tolist())


@cache
def _in_common() -> NDArray[np.float32]:
    """float32 (1000, 1000): of how many things two classes both are a kind, each a kind of itself too."""
    lines = [wordnet.ancestors(wnid) | {wnid} for wnid in classes.wnids()]
    column = {wnid: i for i, wnid in enumerate(set().union(*lines))}
    belongs = np.zeros((N_CLASSES, len(column)), np.float32)
    for row, line in zip(belongs, lines, strict=True):
        row[[column[wnid] for wnid in line]] = 1
    common: NDArray[np.float32] = belongs @ belongs.T
    return common
