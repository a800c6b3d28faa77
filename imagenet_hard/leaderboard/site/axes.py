"""Axes for the small drawings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

from imagenet_hard.evaluation.metrics import Rate


@dataclass(frozen=True)
class Axis:
    """A common scale from ``low`` to ``high`` (shares) over ``width`` pixels, with marks at ``ticks``."""

    low: float
    high: float
    ticks: tuple[float, ...]
    width: int = 160

    def x(self, share: float) -> float:
        """Pixels from the left, one digit after the point; what lies outside stands at the end."""
        place = min(max((share - self.low) / (self.high - self.low), 0.0), 1.0)
        return round(4 + (self.width - 8) * place, 1)


def axis_for(rates: Sequence[Rate]) -> Axis:
    """A range of whole twentieths that holds the intervals, but for the lowest tenth of many.

    A few entries far below would leave all others without a visible interval; their place is drawn as
    an arrow at the end of the scale.
    """
    lows = sorted(rate.low for rate in rates)
    low = floor(20 * lows[len(lows) // 10]) / 20
    high = max(ceil(20 * max(rate.high for rate in rates)) / 20, low + 0.05)
    steps = round(20 * (high - low))
    every = 1 if steps <= 5 else 2 if steps <= 10 else 4
    return Axis(low, high, tuple(round(low + i / 20, 2) for i in range(0, steps + 1, every)))


FULL_AXIS = Axis(0.0, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0))
