"""How a model is asked, as versioned data: the words, the answers to choose from, and how it decodes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import AwareDatetime, Field

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.types import N_CLASSES, Record, Sha256, says_nothing
from imagenet_hard.evaluation.generative.distractors import Distractors, DistractorsInfo, nearest
from imagenet_hard.imagenet import classes

PromptName = Literal["open", "choices", "list"]
OPEN: PromptName = "open"
"""How a model is asked unless somebody says otherwise."""

MAX_CONCURRENCY = 1024
Count = Annotated[int, Field(ge=0)]
Price = Annotated[float, Field(ge=0)]


class Prompt(Record):
    """A protocol. A change of any field is another ``version``: figures of two versions are two figures."""

    name: PromptName
    version: int = Field(ge=1)
    text: str = Field(description="what is said beside the image; {names}: the names to choose from")
    names: int = Field(
        default=0,
        description="how many names are given: 0, 1000, or fewer, of which one is a label of the image",
    )
    settings: Mapping[str, int] = Field(description="how the model decodes, in the words of the request")

    @property
    def sha256(self) -> str:
        """Hash of all of it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def label(self) -> str:
        """Name and version: "open 1"."""
        return f"{self.name} {self.version}"


class Asked(Record):
    """Whom a model's answers are from, and how it was asked. Whoever asks again may get others."""

    prompt: Prompt
    prompt_sha256: Sha256
    settings: Mapping[str, Any] = Field(description="fields of each request, besides model and messages")
    endpoint: str = Field(max_length=2000, description="base URL, without any key")
    models: Mapping[Annotated[str, Field(max_length=200)], Count] = Field(
        description="what the endpoint called the model, and in how many answers"
    )
    first: AwareDatetime = Field(description="when the first of the answers came")
    last: AwareDatetime
    encoded_anew: Count = Field(description="images that were sent as PNG, and not as they are")
    prompt_tokens: Count | None = Field(description="of all answers; null where the endpoint does not count")
    completion_tokens: Count | None
    distractors: DistractorsInfo | None = Field(
        None,
        exclude_if=says_nothing,
        description="what the wrong names to choose from are drawn from, where it is not WordNet",
    )
    price: tuple[Price, Price] | None = Field(
        None, description="US dollars for a million tokens of prompts and of answers, as was said"
    )

    @property
    def label(self) -> str:
        """Name and version, and the table that was drawn from: "choices 1, distractors 1f2e3d4c"."""
        drawn = self.distractors
        return self.prompt.label + (f", distractors {drawn.sha256[:8]}" if drawn else "")

    @property
    def cost(self) -> float | None:
        """US dollars, as far as is known."""
        if self.price is None or self.prompt_tokens is None or self.completion_tokens is None:
            return None
        return (self.price[0] * self.prompt_tokens + self.price[1] * self.completion_tokens) / 1e6


_DECODING = {"temperature": 0, "max_tokens": 64}

PROMPTS: Mapping[PromptName, Prompt] = {
    "open": Prompt(
        name="open",
        version=1,
        text="What is the main object in this image? Answer with its name alone, as specific as you can.",
        settings=_DECODING,
    ),
    "choices": Prompt(
        name="choices",
        version=1,
        text="What is the main object in this image? Answer with one of these names, exactly as it is "
        "written here, and nothing else: {names}.",
        names=5,
        settings=_DECODING,
    ),
    "list": Prompt(
        name="list",
        version=1,
        text="What is the main object in this image? Answer with one of the names in this list, exactly as "
        "it is written there, and nothing else.\n{names}",
        names=N_CLASSES,
        settings=_DECODING,
    ),
}


def prompt(name: str) -> Prompt:
    """The protocol of a name.

    Raises:
        UsageError: there is none.
    """
    if name not in PROMPTS:
        raise UsageError(f"protocol {name!r}: expected one of {', '.join(get_args(PromptName))}")
    return PROMPTS[name]  # type: ignore[index] # it is in there


def parse_request(text: str) -> dict[str, Any]:
    """Fields of a request as JSON.

    Raises:
        ValueError: it is no JSON object.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        value = None
    if not isinstance(value, dict):
        raise ValueError("""expected a JSON object, as {"max_tokens": null, "max_completion_tokens": 2000}""")
    return value


def parse_concurrency(text: str) -> int | None:
    """``auto``, or a number of calls."""
    if text == "auto":
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_CONCURRENCY:
        raise ValueError(f"expected auto, or a number from 1 to {MAX_CONCURRENCY}")
    return int(text)


def parse_price(text: str) -> tuple[float, float]:
    """Two prices with a comma between."""
    prices = [float(part) for part in text.split(",")]
    if len(prices) != 2 or not all(0 <= each < 1e6 for each in prices):
        raise ValueError("expected two prices in US dollars, as 2.5,10")
    return prices[0], prices[1]


def question(asked: Prompt, id: str, labels: Sequence[int], distractors: Distractors | None = None) -> str:
    """The words for one image; of "choices" they depend on its id, labels and the table alone."""
    if not asked.names:
        return asked.text
    if asked.names == N_CLASSES:
        return asked.text.replace("{names}", "\n".join(classes.distinct_names()))
    names = classes.distinct_names()
    # In quotes: some names have a comma.
    given = "; ".join(f'"{names[i]}"' for i in choices(asked.names, id, labels, distractors))
    return asked.text.replace("{names}", given)


def choices(
    n: int, id: str, labels: Sequence[int], distractors: Distractors | None = None
) -> tuple[int, ...]:
    """``n`` classes in an order that a hash draws: a label of the image, and the other classes that known
    models take it for, or are nearest to it in WordNet, none of which is a label of the image.

    >>> sorted(choices(3, "cat.jpg", [281]))  # tabby, tiger cat, Persian cat
    [281, 282, 283]
    """
    label = min(labels, key=lambda index: _drawn(id, index))
    if distractors is not None:
        others = distractors.of(label, labels)
    else:
        others = [index for index in nearest(label) if index not in labels]
    return tuple(sorted([label, *others[: n - 1]], key=lambda index: _drawn(f"order {id}", index)))


def _drawn(key: str, index: int) -> str:
    return hashlib.sha256(f"{key}:{index}".encode()).hexdigest()
