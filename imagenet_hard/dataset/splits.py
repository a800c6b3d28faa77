"""Which split is scored."""

from __future__ import annotations

from collections.abc import Iterable

from imagenet_hard.base.errors import DatasetError, UsageError

DEFAULT_SPLIT = "validation"


def choose_split(wanted: str | None, there: Iterable[str], name: str) -> str:
    """``wanted``, else "validation", else the only split there is.

    Raises:
        UsageError: ``wanted`` is not there.
        DatasetError: none was named and there are several, or none.
    """
    splits = [str(split) for split in there]
    listed = ", ".join(splits)
    if not splits:
        raise DatasetError(f"{name} has no split with data files")
    if wanted is not None:
        if wanted in splits:
            return wanted
        raise UsageError(f"{name} has no split {wanted!r}: expected one of {listed}")
    if DEFAULT_SPLIT in splits:
        return DEFAULT_SPLIT
    if len(splits) == 1:
        return splits[0]
    raise DatasetError(
        f"{name} has the splits {listed}, none of them {DEFAULT_SPLIT!r}: choose one with split="
    )
