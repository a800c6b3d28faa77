"""Which models answer behind an endpoint, and the options that they alone have; not how they are asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.options import declared
from imagenet_hard.classifiers.backends import ENDPOINT
from imagenet_hard.evaluation.options import Options

PREFIX = f"{ENDPOINT}:"

OWN = ("base_url", "protocol", "distractors", "request", "concurrency", "key_env", "price")
"""Options of such models alone."""


def is_endpoint_model(model: Any) -> bool:
    """Whether it is the name of a model behind an endpoint."""
    return isinstance(model, str) and model.startswith(PREFIX)


def refuse_own_options(models: Sequence[Any], asked: Mapping[str, Any]) -> None:
    """Refuse what would be ignored.

    Raises:
        UsageError: options of ``api:`` models, and there is none.
    """
    if any(map(is_endpoint_model, models)):
        return
    if given := [name for name in OWN if asked[name] != declared(Options)[name].option.default]:
        raise UsageError(f"{', '.join(given)}: only with a model behind an endpoint, api:MODEL")
