"""One line of the suite's table, as a benchmark writes it: ours, what it is compared with, and the limit."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Sequence
from pathlib import Path

VARIABLE = "IMAGENET_HARD_BENCH"
"""Names the file that `benchmarks/suite.py` collects from; unset, nothing is written."""


def record(
    name: str,
    ours: Sequence[float],
    *,
    reference: Sequence[float] = (),
    limit: Sequence[float] = (),
    unit: str = "s",
) -> None:
    """Append a row. Each sequence holds one value a repeat, all in ``unit``, less being better.

    Ratios are medians of the ratios within a repeat where there are as many, as machines are noisy.
    """
    path = os.environ.get(VARIABLE)
    if not path:
        return
    row = {
        "name": name,
        "unit": unit,
        "ours": statistics.median(ours),
        "low": min(ours),
        "high": max(ours),
        "reference": statistics.median(reference) if reference else None,
        "limit": statistics.median(limit) if limit else None,
        "ratio": _ratio(reference, ours),
        "of_limit": _ratio(limit, ours),
    }
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _ratio(other: Sequence[float], ours: Sequence[float]) -> float | None:
    if not other:
        return None
    if len(other) != len(ours):
        return statistics.median(other) / statistics.median(ours)
    return statistics.median(a / b for a, b in zip(other, ours, strict=True))
