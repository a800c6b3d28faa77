"""The checks of one entry as they are made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from imagenet_hard.base.errors import ResultError
from imagenet_hard.leaderboard.verify.report import Check, Outcome, check

T = TypeVar("T")

Finding = tuple[bool, str] | str
"""What a look for anomalies gives: (flagged, what was found), or why nothing could be looked for."""


def _nothing(_: object) -> Finding:
    return False, ""


class CheckFailed(Exception):
    """A check failed that the later ones build on; it is on the list already."""


class Checklist:
    """Checks in the order in which they are made, all dated ``now``."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._checks: list[Check] = []

    @property
    def now(self) -> datetime:
        """When the checks are made."""
        return self._now

    @property
    def checks(self) -> tuple[Check, ...]:
        """What was made so far."""
        return tuple(self._checks)

    def add(self, name: str, outcome: Outcome, detail: str = "", *, miss: float | None = None) -> None:
        """Note a check."""
        self._checks.append(check(name, outcome, detail, when=self._now, miss=miss))

    def step(self, name: str, do: Callable[[], T], found: Callable[[T], Finding] = _nothing) -> T:
        """Make a check that others build on: ``do``'s value, described (and flagged) by ``found``.

        Raises:
            CheckFailed: ``do`` raised a ResultError, which is noted.
        """
        try:
            value = do()
        except ResultError as error:
            self.add(name, "failed", str(error))
            raise CheckFailed from None
        said = found(value)
        self.flag(name, (False, said) if isinstance(said, str) else said)
        return value

    def flag(self, name: str, finding: Finding) -> None:
        """Note a look for an anomaly."""
        if isinstance(finding, str):
            self.add(name, "skipped", finding)
        else:
            flagged, detail = finding
            self.add(name, "flagged" if flagged else "passed", detail)
