"""What an earlier run has left behind: which result is read, which half-finished store is gone on with.

A key is the hash of what determines the numbers. What brings code of one's own is told apart by a witness
as well (``engine.witness``): where that differs by a bit, the model is scored again, and that is said.
"""

from __future__ import annotations

import glob
import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.records import read_record
from imagenet_hard.base.types import ModelSpec, Predictions, Witness
from imagenet_hard.engine.store import Store
from imagenet_hard.evaluation.result import Result, read_result

if TYPE_CHECKING:
    from imagenet_hard.dataset.benchmark import Benchmark

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Keys:
    """``settings``: hash of what model and settings say of themselves; ``witness``: where that is not all;
    ``benchmark``: its identity and limit."""

    settings: str
    witness: Witness | None
    benchmark: tuple[str, int | None]

    @property
    def row(self) -> str:
        """Hash of all but the image that determines a row of predictions."""
        return self.settings if self.witness is None else sha256([self.settings, self.witness.model_dump()])

    @property
    def run(self) -> str:
        """Hash of all that determines a result."""
        return sha256([self.row, *self.benchmark])


@dataclass(frozen=True)
class Place:
    """Folder and file stem of a result. ``stem``: its own, ``plain``: that of its model and protocol."""

    folder: Path
    stem: str
    plain: str

    @property
    def file(self) -> Path:
        """The result's."""
        return self.folder / f"{self.stem}.json"


def folder_of(out: Path, benchmark: str, part: str = "") -> Path:
    """Where the results on a part of a benchmark go; on all of it by default."""
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in benchmark).strip(".-") or "data"
    return out / (f"{name}-{part}" if part else name)


def find(
    out: Path, benchmark: Benchmark, stem: str, key: str
) -> tuple[Place, tuple[Result, Predictions] | None]:
    """The place, and the result that is finished there with its predictions. One of other settings stays.

    Raises:
        ResultError: what is there cannot be read.
    """
    folder = folder_of(out, benchmark.name, benchmark.part)
    for candidate in (stem, f"{stem}-{key[:8]}"):
        path = folder / f"{candidate}.json"
        if not path.exists():
            return Place(folder, candidate, stem), None
        found = read_result(path)
        if found[0].run_key == key:
            return Place(folder, candidate, stem), found
    raise AssertionError("a run key names one result")


def open_store(name: str, place: Place | None, keys: Keys) -> Store:
    """The rows that are scored so far; those of the model ``name`` that a witness speaks against are dropped.

    Rows of other settings lie in files of their own, so none replaces another's.

    Raises:
        ResultError: it cannot be read or written.
    """
    if place is None:
        return Store(None, keys.row)
    store = Store(place.folder / f".{place.plain}.{keys.settings[:8]}.partial.sqlite", keys.row)
    if store.dropped:
        log.warning(
            "%s: the %d images that an interrupted run has scored are scored again, as its code, or its "
            "logits on some of them, were others then",
            *(name, store.dropped),
        )
    return store


def tell_of_others(spec: ModelSpec, place: Place, keys: Keys, watch: Callable[[], Witness]) -> None:
    """Warn of a result that would have been read, were its code the same. ``watch``: for a second witness."""
    assert keys.witness is not None
    for path in sorted(place.folder.glob(f"{glob.escape(place.plain)}*.json")):
        try:
            found = read_record(path, Result)
        except ResultError:  # of another kind, or damaged: it is not read anyway
            continue
        if found.witness is None:
            why = "it does not say which code it was scored with" if found.model == spec else None
        elif found.run_key == replace(keys, witness=found.witness).run:
            why = keys.witness.against(found.witness)
            if found.witness.code == keys.witness.code and watch() != keys.witness:
                why = "its logits differ from one pass to the next, so no result of it can be read again"
        else:
            why = None
        if why:
            log.warning("%s is scored again, and %s is not read: %s", spec.name, path, why)
            return


def sha256(parts: Any) -> str:
    """Of JSON data."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
