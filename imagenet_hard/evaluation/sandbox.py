"""Read a stranger's file of answers in a process of its own, with limits on memory, time and output.

pyarrow parses Parquet in C++. A file made to harm can end the process that reads it, or unfold a few
bytes to gigabytes; here that ends a child, and the parent raises a ResultError. The child holds no token and
imports nothing from the current folder.
"""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from imagenet_hard.base.children import bare_environment, module_command
from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.files import read_bounded
from imagenet_hard.base.types import Predictions
from imagenet_hard.evaluation.predictions import (
    check_predictions,
    predictions_from_bytes,
    predictions_to_bytes,
)

PARQUET = "imagenet_hard.evaluation.predictions:read_predictions"

MEMORY_BYTES = 4 * 2**30
"""Address space of the child (POSIX): pyarrow alone reserves about 1 GiB of it."""

OUTPUT_BYTES = 2**30
SECONDS = 120
_REFUSED = 3
_MAX_MESSAGE = 4000


def read_sandboxed(path: str | Path, reader: str = PARQUET) -> Predictions:
    """What ``reader`` gives for ``path``, in a child process; takes about half a second more.

    ``reader``: ``module:function`` of this package, from a path to predictions.

    Raises:
        ResultError: as ``reader``, or the child crashed or passed its limits.
    """
    try:
        predictions = predictions_from_bytes(bytes_sandboxed(path, reader))
    except ValueError as error:
        raise ResultError(f"reading {path} gave other bytes than predictions ({error})") from None
    check_predictions(predictions, where=str(path))
    return predictions


def bytes_sandboxed(path: str | Path, reader: str, seconds: float | None = None) -> bytes:
    """The same of a ``reader`` that gives bytes, in parts; ``seconds``: that it may take, else ``SECONDS``.

    Raises:
        ResultError: as ``read_sandboxed``.
    """
    absolute, seconds = str(Path(path).absolute()), SECONDS if seconds is None else seconds
    with TemporaryDirectory(prefix="imagenet-hard-read-") as empty:
        output, errors = Path(empty) / "output", Path(empty) / "errors"
        try:
            with output.open("wb") as sink, errors.open("wb") as said:
                code = _in_a_child(reader, absolute, empty, seconds, sink, said)
        except subprocess.TimeoutExpired:
            raise ResultError(
                f"{path} took more than {seconds:g} s to read: it is not a sound file of answers"
            ) from None
        if code == _REFUSED:
            with errors.open(encoding="utf-8", errors="replace") as said_text:
                message = said_text.read(_MAX_MESSAGE).strip()
            raise ResultError(message.replace(absolute, str(path)))
        if code:
            raise ResultError(
                f"reading {path} ended with code {code} within {MEMORY_BYTES / 2**30:.0f} GiB: "
                "it is not a sound file of answers"
            )
        return read_bounded(output, OUTPUT_BYTES)


def _in_a_child(reader: str, path: str, empty: str, seconds: float, sink: BinaryIO, said: BinaryIO) -> int:
    """``_read`` in a process of its own that stands in the folder ``empty``; its exit code.

    Raises:
        subprocess.TimeoutExpired: it takes more than so many seconds.
    """
    child = subprocess.run(  # noqa: S603 - this interpreter, this module
        module_command(__name__, [reader, path, str(MEMORY_BYTES), str(OUTPUT_BYTES)]),
        # Threads would each reserve a part of the address space.
        env=bare_environment(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1"),
        cwd=empty,
        stdin=subprocess.DEVNULL,
        stdout=sink,
        stderr=said,
        timeout=seconds,
        check=False,
    )
    return child.returncode


def _child(reader: str, path: str, memory_bytes: int, output_bytes: int) -> int:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_FSIZE, (output_bytes, output_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):
        pass  # Windows has none, macOS refuses some: there the time limit alone holds
    return _read(reader, path, sys.stdout.buffer, sys.stderr.buffer)


def _read(reader: str, path: str, sink: BinaryIO, said: BinaryIO) -> int:
    """What ``reader`` gives for ``path`` into ``sink``, or its refusal into ``said``; the exit code."""
    module, _, function = reader.partition(":")
    try:
        read = getattr(import_module(module), function)(path)
        parts = predictions_to_bytes(read) if isinstance(read, Predictions) else read
    except ResultError as error:
        said.write(str(error).encode("utf-8", "backslashreplace"))
        return _REFUSED
    sink.writelines(parts)
    return 0


if __name__ == "__main__":
    sys.exit(_child(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
