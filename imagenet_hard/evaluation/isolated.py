"""Read a stranger's predictions file in a process of its own, with limits on memory and time.

pyarrow parses Parquet in C++. A file made to harm can end the process that reads it, or unfold a few
bytes to gigabytes; here that ends a child, and the parent raises a ResultError.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from imagenet_hard.errors import ResultError
from imagenet_hard.evaluation.canonical import canonical, from_canonical
from imagenet_hard.evaluation.predictions import check_predictions, read_predictions
from imagenet_hard.types import Predictions

MEMORY_BYTES = 4 * 2**30
"""Address space of the child (POSIX): pyarrow alone reserves about 1 GiB of it."""

SECONDS = 120
_REFUSED = 3


def read_isolated(path: str | Path) -> Predictions:
    """``read_predictions`` in a child process; takes about half a second more.

    Raises:
        ResultError: as ``read_predictions``, or the child crashed or passed its limits.
    """
    root = str(Path(__file__).resolve().parents[2])
    search = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    try:
        child = subprocess.run(  # noqa: S603 - this interpreter, this module
            [sys.executable, "-m", __name__, str(path), str(MEMORY_BYTES)],
            env={**os.environ, "PYTHONPATH": search},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ResultError(
            f"{path} took more than {SECONDS} s to read: it is not a sound predictions file"
        ) from None
    if child.returncode == _REFUSED:
        raise ResultError(child.stderr.decode(errors="replace").strip())
    if child.returncode:
        raise ResultError(
            f"reading {path} ended with code {child.returncode} within {MEMORY_BYTES / 2**30:.0f} GiB: "
            "it is not a sound predictions file"
        )
    try:
        predictions = from_canonical(child.stdout)
    except ValueError as error:
        raise ResultError(f"reading {path} gave other bytes than predictions ({error})") from None
    check_predictions(predictions, where=str(path))
    return predictions


def _child(path: str, memory_bytes: int) -> int:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):
        pass  # Windows has none, macOS refuses some: there the time limit alone holds
    try:
        parts = canonical(read_predictions(path))
    except ResultError as error:
        sys.stderr.write(str(error))
        return _REFUSED
    sys.stdout.buffer.writelines(parts)
    return 0


if __name__ == "__main__":
    sys.exit(_child(sys.argv[1], int(sys.argv[2])))
