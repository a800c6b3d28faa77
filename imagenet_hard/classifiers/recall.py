"""What models have said of themselves, so that a finished result is found before one is loaded.

It is kept under all that it follows from: what was asked for, this package's own files, and the versions of
the packages that move a number; and it holds while the bytes of the weights are the same. It is not kept
where more may play a part: of code of one's own, of packages in development, and in a process that has
imported a framework before, and may have changed it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import imagenet_hard
from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.records import read_record
from imagenet_hard.base.runtime import COMPUTING, FRAMEWORKS, cache_dir
from imagenet_hard.base.types import ModelSpec, Record, Sha256
from imagenet_hard.classifiers.base import Classifier, Outputs
from imagenet_hard.classifiers.weights_file import is_file_name
from imagenet_hard.classifiers.weights_source import WeightsSource

log = logging.getLogger(__name__)

_MODULES = {"pillow": "PIL", **{package: module for module, package in FRAMEWORKS.items()}}


class _Kept(Record):
    """``sources``: of the weights, each with the hash of its bytes; ``said``: warnings of the loading."""

    spec: ModelSpec
    sources: tuple[tuple[WeightsSource, Sha256], ...]
    warnings: tuple[str, ...]
    said: tuple[str, ...]


@dataclass(frozen=True)
class Recalled:
    """What a classifier says of itself (``classifiers.base.Described``); ``said``: as it was loaded."""

    spec: ModelSpec
    outputs: Outputs
    warnings: list[str]
    said: tuple[str, ...]


def untouched() -> bool:
    """Whether this process has no framework yet, so that nobody can have changed one."""
    return not any(name in sys.modules for name in (*FRAMEWORKS, "transformers"))


def recall(request: Mapping[str, Any]) -> Recalled | None:
    """What the model that ``load_classifier(**request)`` would give says of itself; None where it must be
    loaded to tell. A file of weights is read whole."""
    if (file := _file(request)) is None or not file.is_file():
        return None
    try:
        kept = read_record(file, _Kept)
    except ResultError as error:  # cut short, or of another version
        log.debug("%s is not recalled: %s", request["name"], error)
        return None
    if any(source.sha256() != sha256 for source, sha256 in kept.sources):
        return None
    return Recalled(kept.spec, Outputs(), list(kept.warnings), kept.said)


def remember(request: Mapping[str, Any], classifier: Classifier, said: Sequence[str]) -> None:
    """Keep what ``classifier`` says, that ``load_classifier(**request)`` gave and that has no code of one's
    own. Where its files are not known, or are not there any more, it is not kept."""
    hashes = [source.sha256() for source in classifier.sources]
    if not hashes or None in hashes or classifier.outputs != Outputs() or (file := _file(request)) is None:
        return
    sources = tuple(zip(classifier.sources, (each or "" for each in hashes), strict=True))
    kept = _Kept(spec=classifier.spec, sources=sources, warnings=tuple(classifier.warnings), said=tuple(said))
    try:
        write_atomically(file, kept.model_dump_json().encode(), flush=False)
    except ResultError as error:
        log.debug("%s is not remembered: %s", classifier.spec.name, error)


@contextmanager
def heard() -> Iterator[list[str]]:
    """The warnings that this package logs inside the block."""
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    ear, logger = Ear(logging.WARNING), logging.getLogger(imagenet_hard.__name__)
    logger.addHandler(ear)
    try:
        yield said
    finally:
        logger.removeHandler(ear)


def _file(request: Mapping[str, Any]) -> Path | None:
    """Where it is kept; None where a package is in development, or a file is named that is no weights."""
    versions = {name: _version(name) for name in COMPUTING}
    if None in versions.values() or any(request.get(name) for name in ("templates", "classnames")):
        return None
    weights = request.get("weights")
    parts = {
        "request": dict(request),
        "is_file": weights is not None and is_file_name(weights),
        "versions": versions,
        "python": sys.version,
        "machine": platform.machine(),
        "package": _package_sha256(),
    }
    try:
        text = json.dumps(parts, sort_keys=True)
    except TypeError:  # a transform that is a function
        return None
    return cache_dir() / "recalled" / f"{hashlib.sha256(text.encode()).hexdigest()}.json"


@cache
def _version(name: str) -> str | None:
    """Of a package that is installed as it was built, "" of one that is not there; else None."""
    module = _MODULES.get(name, name)
    spec = find_spec(module)
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return "" if spec is None else None
    if '"editable"' in (found.read_text("direct_url.json") or "") or spec is None or spec.origin is None:
        return None
    where = Path(str(found.locate_file(module))).resolve()
    return found.version if Path(spec.origin).resolve().is_relative_to(where) else None


@cache
def _package_sha256() -> str:
    """Of the files of this package, whose version does not change with every change in a checkout."""
    digest, root = hashlib.sha256(), Path(imagenet_hard.__file__).parent
    walked = ((folder, name) for folder, _, names in os.walk(root) for name in names)
    # Not `rglob`, which took two thirds of this.
    for place in sorted(os.path.join(*each) for each in walked if not each[1].endswith(".pyc")):  # noqa: PTH118
        if (path := Path(place)).is_file():
            data = path.read_bytes()
            digest.update(f"{place.removeprefix(str(root))}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()
