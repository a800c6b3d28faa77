"""A folder that appears whole or not at all, in place of an earlier build and of nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagenet_hard.base.errors import DatasetError, ResultError
from imagenet_hard.base.records import read_record
from imagenet_hard.base.text import shorten_list
from imagenet_hard.curation.build.manifest import MANIFEST, Manifest

SHOWN = 5


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of ``out`` at the end; where ``out`` is a link, of its target.

    Raises:
        DatasetError: ``out`` is there and is no build, or holds more than a build.
        ResultError: the system refuses.
    """
    out = out.expanduser().resolve()
    _check_replaceable(out)
    before = out.with_name(f".{out.name}.before")
    fresh = out.with_name(f".{out.name}.building")
    try:
        _restore(before, out)
        for leftover in (fresh, before):  # of a build that was killed
            if leftover.exists():
                shutil.rmtree(leftover)
        fresh.mkdir(parents=True)
        yield fresh
        if out.exists():
            out.rename(before)
        fresh.rename(out)
    except OSError as error:
        raise ResultError(
            f"cannot write the data set to {out}: {error.strerror or error}. Free some space or give another "
            "--out; an earlier build is as it was"
        ) from error
    finally:
        _restore(before, out)
        for rest in (fresh, before):
            shutil.rmtree(rest, ignore_errors=True)


def _restore(before: Path, out: Path) -> None:
    """Undo the first of the two renames, where the second did not happen."""
    if before.exists() and not out.exists():
        before.rename(out)


def _check_replaceable(out: Path) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    path = out / MANIFEST
    try:
        manifest = read_record(path, Manifest) if path.is_file() else None
    except ResultError:  # another program's manifest.json
        manifest = None
    if manifest is None:
        raise DatasetError(
            f"{out} exists and is not a build (it has no {MANIFEST} of one): nothing is deleted; give "
            "another --out"
        )
    found = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_symlink() or not p.is_dir()}
    if strays := sorted(found - {MANIFEST, *manifest.files}):
        raise DatasetError(
            f"{out} holds more than a build: {shorten_list(strays, SHOWN)}. A new build would delete "
            "that: move it away, or give another --out"
        )
