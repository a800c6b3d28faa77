"""Metrics that installed packages bring: functions of what was scored, beside the standard ones.

A package names its function by an entry point of the group ``imagenet_hard.metrics`` (``docs/extending.md``).
Nothing is imported before it is asked for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Annotated, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.extensions import extensions
from imagenet_hard.base.text import shorten
from imagenet_hard.base.types import Predictions, Record
from imagenet_hard.evaluation.metrics import Metrics

GROUP = "metrics"

MAX_VALUES = 100
"""Of one metric."""

_NAME = r"^[A-Za-z0-9][A-Za-z0-9@_.-]{0,60}$"
_NAMES = "a name of letters, digits and @_.-, 61 at the most"

Name = Annotated[str, Field(pattern=_NAME)]

Labels = tuple[tuple[int, ...], ...]
"""Of each image its class indices in 0..999, sorted, one or more."""

Function = Callable[[Predictions, Labels], float | Mapping[str, float]]

Array = TypeVar("Array", bound=np.generic)


class PackageMetric(Record):
    """What one function of an installed package says of a result."""

    package: Annotated[str, Field(max_length=200)] = Field(
        description="name and version of the package that brings the metric"
    )
    values: float | Annotated[dict[Name, float], Field(min_length=1, max_length=MAX_VALUES)] = Field(
        description="a number, or several by name"
    )

    def named(self, name: str) -> dict[str, float]:
        """Its numbers as a table heads them: with what tells that another version of it is another metric."""
        several = self.values if isinstance(self.values, dict) else {"": self.values}
        return {f"{f'{name} {part}'.strip()} ({self.package})": value for part, value in several.items()}


@dataclass(frozen=True)
class Metric:
    """A function that is asked for. ``package``: name and version of the one that brings it."""

    name: str
    package: str
    function: Function

    def of(self, predictions: Predictions, labels: Labels) -> PackageMetric:
        """Its values, each checked to be a finite number.

        Raises:
            Exception: whatever the function raises, or what is wrong with what it gives.
        """
        return PackageMetric(package=self.package, values=_checked(self.function(predictions, labels)))


def find_metrics(names: Sequence[str]) -> tuple[Metric, ...]:
    """Metrics of installed packages by name, each once.

    Raises:
        UsageError: there is none of a name, or its package cannot be imported or gives no function.
    """
    if isinstance(names, str):
        raise UsageError(f"metrics is {names!r}: expected a list of names, [{names!r}]")
    if not names:
        return ()
    installed = extensions(GROUP, Metrics.model_fields)
    found = []
    for name in dict.fromkeys(names):
        if name not in installed:
            known = f"expected {', '.join(installed)}" if installed else "no installed package brings one"
            standard = " (that one is in every result)" if name in Metrics.model_fields else ""
            raise UsageError(f"unknown metric {shorten(name)}{standard}: {known}")
        extension = installed[name]
        where = f"{name!r} of the installed package {extension.origin}"
        if not re.fullmatch(_NAME, name):
            raise UsageError(f"the metric {where}: expected {_NAMES}")
        function = extension.load()
        if not callable(function):
            raise UsageError(
                f"the metric {where} is a {type(function).__name__}: expected a function of predictions and "
                "labels"
            )
        found.append(Metric(name, extension.origin, function))
    return tuple(found)


def measure(
    metrics: Sequence[Metric], predictions: Predictions, labels: Labels
) -> tuple[dict[str, PackageMetric], dict[Metric, BaseException]]:
    """Values by the metric's name; and those that failed, each with what went wrong.

    No function can write into ``predictions``: it is given views that are read only.
    """
    p = predictions
    shown = Predictions(p.ids, _read_only(p.top5), _read_only(p.logprob5), _read_only(p.margin))
    values: dict[str, PackageMetric] = {}
    failed: dict[Metric, BaseException] = {}
    for each in metrics:
        try:
            values[each.name] = each.of(shown, labels)
        except (Exception, SystemExit) as error:  # whatever foreign code throws
            failed[each] = error
    return values, failed


def _read_only(array: NDArray[Array]) -> NDArray[Array]:
    view = array.view()
    view.setflags(write=False)
    return view


def _checked(given: Any) -> float | dict[str, float]:
    if not isinstance(given, Mapping):
        return _number(given, "it")
    if not 1 <= len(given) <= MAX_VALUES:
        raise ValueError(f"it gave {len(given)} numbers: expected 1 to {MAX_VALUES}")
    for name in given:
        if not isinstance(name, str) or not re.fullmatch(_NAME, name):
            raise ValueError(f"it gave a number for {shorten(name)}: expected {_NAMES}")
    return {name: _number(value, name) for name, value in given.items()}


def _number(value: Any, what: str) -> float:
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{what} is a {type(value).__name__}: expected a number, or numbers by name")
    if not math.isfinite(number := float(value)):
        raise ValueError(f"{what} is {number}: expected a finite number")
    return number
