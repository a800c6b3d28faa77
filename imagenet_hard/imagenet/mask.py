"""Which of the 1000 classes compete: a named subset of ``variants.MASKS``, or a list of one's own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.files import read_bounded
from imagenet_hard.base.types import N_CLASSES, Record
from imagenet_hard.imagenet.names import meanings, one_case
from imagenet_hard.imagenet.variants import MASKS, mask

MAX_BYTES = 2**20
FEWEST = 5
"""Classes: a top-5 needs as many."""

Index = Annotated[int, Field(ge=0, lt=N_CLASSES)]


class ClassMask(Record):
    """The classes that compete; all others are never predicted. Two masks are one where the classes are."""

    name: str = Field(
        min_length=1,
        max_length=255,
        description="that of a variant, such as imagenet-a, or the list's file name",
    )
    indices: tuple[Index, ...] = Field(
        min_length=FEWEST, max_length=N_CLASSES - 1, description="class indices, rising"
    )

    @model_validator(mode="after")
    def _rising(self) -> ClassMask:
        if any(a >= b for a, b in zip(self.indices, self.indices[1:], strict=False)):
            raise ValueError("indices: expected rising numbers without repeats")
        return self

    @property
    def label(self) -> str:
        """Short name for tables and files: that of a known mask, or the number of classes and a hash.

        >>> class_mask("imagenet-a").label, class_mask(range(10)).label
        ('imagenet-a', '10classes-a28bb7')
        """
        for known in MASKS:
            if tuple(np.flatnonzero(mask(known)).tolist()) == self.indices:
                return known
        digest = hashlib.sha256(json.dumps(self.indices).encode()).hexdigest()
        return f"{len(self.indices)}classes-{digest[:6]}"

    def kept(self) -> NDArray[np.bool_]:
        """bool (1000,): the classes that compete."""
        found = np.zeros(N_CLASSES, np.bool_)
        found[list(self.indices)] = True
        return found


def class_mask(given: str | Path | Sequence[int | str] | ClassMask) -> ClassMask:
    """A mask by its name in ``variants.MASKS``, from a file, or of a list.

    A file holds one class a line (or a JSON list): an index in 0..999, a wnid with or without text behind
    it, or a class name; empty lines and those that begin with ``#`` are passed over.

    Raises:
        UsageError: no such name or file, an entry that is no class or stands there twice, fewer than 5
            classes, or all 1000.
    """
    if isinstance(given, ClassMask):
        return given
    if not isinstance(given, str | Path):
        return _of("list", [str(each) for each in given], "classes")
    if isinstance(given, str) and given in MASKS:
        return ClassMask(name=given, indices=tuple(np.flatnonzero(mask(given)).tolist()))
    path = Path(given)
    if not path.is_file():
        raise UsageError(f"classes {str(given)!r}: expected {', '.join(MASKS)}, or a file that lists classes")
    return _of(path.name[:255], _entries(path), str(path))


def _entries(path: Path) -> list[str]:
    try:
        text = read_bounded(path, MAX_BYTES, error=UsageError).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read the classes of {path}: {error}") from error
    if not text.lstrip().startswith("["):
        return text.splitlines()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} begins like a JSON list but is not one: {error}") from error
    return [str(each) for each in found]


def _of(name: str, entries: Sequence[str], where: str) -> ClassMask:
    found: dict[int, str] = {}
    folded = one_case(entries)
    for number, entry in enumerate(entries, start=1):
        text = entry.strip()
        if not text or text.startswith("#"):
            continue
        index = class_index(text, f"{where}, entry {number}", folded=folded)
        if index in found:
            raise UsageError(f"{where}, entry {number}: {text!r} is class {index}, as {found[index]!r} is")
        found[index] = text
    if not FEWEST <= len(found) < N_CLASSES:
        raise UsageError(
            f"{where} lists {len(found)} of the {N_CLASSES} classes: expected {FEWEST} (for a top-5) "
            f"to {N_CLASSES - 1}"
        )
    return ClassMask(name=name, indices=tuple(sorted(found)))


def class_index(text: str, where: str, *, folded: bool = True) -> int:
    """The class that an entry means: by index, wnid or name; ``folded`` as in ``meanings``.

    Raises:
        UsageError: none, or several; the message begins with ``where``.
    """
    if text.isascii() and text.isdigit() and int(text) >= N_CLASSES:
        raise UsageError(
            f"{where}: {text}; expected an index of 0 to {N_CLASSES - 1} (1 less where it counts from 1)"
        )
    found = meanings(text, folded=folded)
    if len(found) == 1:
        return next(iter(found))
    problem = f"is the name of {len(found)} classes: give the wnid" if found else "is no class"
    raise UsageError(
        f"{where}: {text[:80]!r} {problem}; expected an index of 0 to {N_CLASSES - 1}, a wnid of "
        "ImageNet-1k or one of its class names"
    )
