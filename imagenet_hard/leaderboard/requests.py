"""Requests that the board evaluate a model, as the issue form ``evaluate-model.yml`` writes them.

A request is a stranger's text: it is read into a record of a few checked fields, and a model is named, never
a file or code.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationError

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.records import first_problem
from imagenet_hard.base.text import printable, shorten
from imagenet_hard.base.types import Record
from imagenet_hard.leaderboard.plain_text import Https, Line, Name

MAX_REQUEST = 2**16
MAX_WHY = 2000

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
PUBLISHED = re.compile(
    rf"((timm|torchvision|bundled):)?{_PART}|(open_clip|clip):{_PART}(/{_PART}(@[0-9]+px)?)?|hf-hub:{_PART}/{_PART}"
    r"(@[0-9a-f]{40})?",
    re.ASCII,
)
"""Names of models whose weights are published and loaded as data: no path, no module, no file."""

FIELDS: Mapping[str, str] = {
    "Model": "model",
    "Where it is published": "source",
    "Organisation": "org",
    "Benchmark": "benchmark",
    "Licence of the weights": "licence",
    "Training data": "training_data",
    "Why": "why",
}
"""Label in the form -> field of the record."""

_OPTIONAL = {"training_data"}
_EMPTY = "_No response_"


class ModelRequest(Record):
    """A model that somebody asks to be evaluated."""

    model: Annotated[str, StringConstraints(max_length=200)]
    source: Https
    org: Name
    benchmark: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    licence: Name
    training_data: Line = ""
    why: Annotated[str, Field(min_length=1, max_length=MAX_WHY)]

    def command(self) -> str:
        """The command line that evaluates it, each value quoted for a shell."""
        words = ["imagenet-hard", "leaderboard", "evaluate", self.model, "--benchmark", self.benchmark]
        words += ["--org", self.org, "--link", f"Weights={self.source}"]
        words += ["--training-data", self.training_data] if self.training_data else []
        return shlex.join(words)


def check_published(model: str) -> str:
    """The name of a model whose weights are published.

    Raises:
        UsageError: a file, a module, or anything else that would be run as code.
    """
    if not PUBLISHED.fullmatch(model):
        raise UsageError(
            f"{shorten(model)} names no published model: expected timm:NAME[.TAG], torchvision:NAME, "
            "open_clip:ARCH/TAG, clip:NAME or hf-hub:ORG/NAME[@COMMIT]; files and code are not run here"
        )
    return model


def read_request(text: str) -> ModelRequest:
    """The request in an issue's text: a heading ``### LABEL`` for each field of the form, its value below.

    Raises:
        UsageError: a field is missing, there twice, unknown, or holds what it may not.
    """
    if len(text) > MAX_REQUEST:
        raise UsageError(f"the request has {len(text)} characters: expected at most {MAX_REQUEST}")
    before, *parts = re.split(r"^### (.*)$", text.replace("\r\n", "\n"), flags=re.MULTILINE)
    labels, values = [each.strip() for each in parts[::2]], [each.strip() for each in parts[1::2]]
    if before.strip() or _odd(labels):
        what = before.strip() or _odd(labels)
        raise UsageError(f"the request has {shorten(what)}: expected each heading of the form once, no more")
    found = {FIELDS[label]: value for label, value in zip(labels, values, strict=True) if value != _EMPTY}
    if missing := [name for name, field in FIELDS.items() if field not in _OPTIONAL and not found.get(field)]:
        raise UsageError(f"the request does not say {', '.join(map(repr, missing))}")
    found["why"] = " ".join(printable(line) for line in found["why"].split("\n"))
    try:
        request = ModelRequest.model_validate(found)
    except ValidationError as error:
        raise UsageError(f"the request cannot be taken: {first_problem(error)}") from None
    check_published(request.model)
    return request


def _odd(labels: list[str]) -> str:
    """The first heading that the form has not, or that stands there twice; "" where there is none."""
    return next((label for i, label in enumerate(labels) if label not in FIELDS or label in labels[:i]), "")
