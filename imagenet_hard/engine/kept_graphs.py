"""Graphs of networks in the cache folder, so that an export, which takes seconds, is paid for once.

A graph's folder is named by all that it depends on. One that cannot be read is exported again, and whoever
uses one checks it, on fewer images where it says that it has agreed before; those that were not used for
longest make room.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from imagenet_hard.base.runtime import COMPUTING, cache_dir, package_versions
from imagenet_hard.base.text import reason

if TYPE_CHECKING:
    import torch
    from torch import nn

    from imagenet_hard.classifiers.base import Classifier

log = logging.getLogger(__name__)

MOST_BYTES = 8 * 2**30
"""Of all graphs; each is as large as the weights that it holds."""


class KeptGraph:
    """The place of one graph: of ``module``, that of ``classifier``, for batches like ``batch``.

    The classifier's record has to say all of the module.
    """

    def __init__(self, classifier: Classifier, module: nn.Module, batch: torch.Tensor) -> None:
        installed = package_versions()
        parts = [
            classifier.spec.model_dump(mode="json"),
            [str(classifier.outputs), str(module), list(batch.shape)],
            {name: installed.get(name) for name in ("imagenet-hard", *COMPUTING)},
        ]
        name = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        self._folder = cache_dir() / "openvino" / name
        self._agreed = self._folder / "agreed.txt"

    def read(self, core: Any) -> Any:
        """The graph that an earlier run has left; None where there is none that can be read."""
        file = self._folder / "graph.xml"
        if not file.exists():
            return None
        try:
            graph = core.read_model(file)
            os.utime(file)
        except (RuntimeError, OSError) as error:
            log.info("a kept graph cannot be read, and is made again: %s", reason(error).splitlines()[0])
            self.remove()
            return None
        return graph

    def write(self, graph: Any) -> None:
        """Both of its files or none; where there is no room for it, it is exported again next time."""
        import openvino

        every = self._folder.parent
        try:
            every.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=every, ignore_cleanup_errors=True) as made:
                part = Path(made) / "graph"
                part.mkdir()
                openvino.save_model(graph, part / "graph.xml", compress_to_fp16=False)
                part.rename(self._folder)
            _make_room(every, self._folder)
        except (OSError, RuntimeError) as error:
            log.debug("a graph is not kept: %s", error)

    def has_agreed(self, how: str) -> bool:
        """Whether these files have agreed with the module on a whole batch, run as ``how`` says."""
        try:
            return self._agreed.read_text() == self._state(how)
        except (OSError, ValueError):
            return False

    def agrees(self, how: str) -> None:
        """It has, this time."""
        try:
            self._agreed.write_text(self._state(how))
        except OSError as error:
            log.debug("that a graph agrees is not kept: %s", error)

    def _state(self, how: str) -> str:
        found = (self._folder / "graph.bin").stat()
        return f"{how}, {found.st_size} bytes of {found.st_mtime_ns}"

    def remove(self) -> None:
        """Export it anew next time."""
        rmtree(self._folder, ignore_errors=True)


def _make_room(folder: Path, newest: Path) -> None:
    files = [file for file in folder.glob("*/graph.xml") if file.parent != newest]
    total = _bytes(newest)
    for file in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True):
        total += _bytes(file.parent)
        if total > MOST_BYTES:
            rmtree(file.parent, ignore_errors=True)


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())
