"""Which split of a data set is scored, and whether all of its numbered files are there.

A missing shard would be images left out: a data set in numbered files is whole, or is not read.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice, pairwise

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


_NUMBERED = re.compile(r"(?P<stem>.*?)(?P<number>\d+)-of-(?P<total>\d+)(?P<rest>.*)")
SHOWN = 4
"""Missing files that a message names."""


def check_whole(paths: Iterable[str], where: str) -> None:
    """Every file ``-00000-of-00002`` has its others; names without such a number are let through.

    Raises:
        DatasetError: shards are missing, or those of two builds are mixed; they are named.
    """
    series: defaultdict[str, list[re.Match[str]]] = defaultdict(list)
    for path in sorted(paths):
        folder, _, name = path.replace("\\", "/").rpartition("/")
        if found := _NUMBERED.fullmatch(name):
            series[f"{folder}/{found['stem']}"].append(found)
    for shards in series.values():
        _check_series(shards, where)


def _check_series(shards: list[re.Match[str]], where: str) -> None:
    first = shards[0]
    numbers = {int(shard["number"]) for shard in shards}
    total = int(first["total"])
    base = int(0 not in numbers and total in numbers)  # some count from 1
    expected = range(base, base + total)
    odd = [s for s in shards if int(s["total"]) != total or int(s["number"]) not in expected]
    if odd or len(numbers) < len(shards):
        twice = [b for a, b in pairwise(shards) if int(a["number"]) == int(b["number"])]
        raise DatasetError(
            f"{where} mixes shards of two builds: {first[0]} and {(odd or twice)[0][0]}. Delete the old."
        )
    if len(numbers) < total:
        dot = first["rest"].rfind(".")  # what stands before it may be a hash of the one file
        width, ending = len(first["number"]), first["rest"][dot:] if dot >= 0 else ""
        missing = islice((n for n in expected if n not in numbers), SHOWN)
        names = [f"{first['stem']}{n:0{width}d}-of-{first['total']}{ending}" for n in missing]
        refuse_part(names, total - len(numbers), total, where)


def refuse_part(names: Sequence[str], missing: int, total: int, where: str) -> None:
    """Say which of ``total`` files are not there; ``names``: of the ``missing`` ones, the first.

    Raises:
        DatasetError: always.
    """
    more = f" and {missing - SHOWN:,} more" if missing > SHOWN else ""
    raise DatasetError(
        f"{where} is incomplete: {missing:,} of {total:,} files {'is' if missing == 1 else 'are'} missing, "
        f"{', '.join(names[:SHOWN])}{more}. Complete the download: a score on a part of the images is "
        "another score."
    )
