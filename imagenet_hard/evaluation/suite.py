"""Suites: lists of models in YAML, known by name, checked when read.

name: demo
description: three small models
models:
  - {model: resnet50, weights: IMAGENET1K_V1, transform: paper}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator, with_config
from typing_extensions import TypedDict  # pydantic refuses typing.TypedDict before Python 3.12

from imagenet_hard.base.records import load_record
from imagenet_hard.base.types import DropClass, Precision, Record

FOLDER = "evaluate/suites"

Pixels = Annotated[int, Field(ge=1, le=4096)]


@with_config(ConfigDict(extra="forbid"))
class TransformOptions(TypedDict, total=False):
    """An evaluation transform in place of the model's own; mean and std stay the model's unless given."""

    resize: Pixels | tuple[Pixels, Pixels]
    crop: Pixels | tuple[Pixels, Pixels]
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    rgb: Literal["first", "last"]


def _kind(value: object) -> str:
    return "options" if isinstance(value, Mapping) else "policy"


class SuiteModel(Record):
    """One model to score: what ``evaluate`` takes."""

    model: Annotated[str, Field(min_length=1)]
    weights: str | None = None
    pretrained: str | None = Field(None, description="weights tag of an open_clip architecture")
    transform: Annotated[
        Annotated[Literal["native", "paper", "study"], Tag("policy")]
        | Annotated[TransformOptions, Tag("options")],
        Discriminator(_kind),
    ] = "native"
    precision: Precision | None = None
    drop_class: DropClass | None = Field(None, description="background class of 1001 outputs")
    published_as: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="what published tables call it, where that is another name"
    )
    note: str = ""


class Suite(Record):
    """Models that belong together, such as a table of the paper."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    description: str = ""
    models: tuple[SuiteModel, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> Suite:
        seen = set()
        for index, each in enumerate(self.models):
            key = each.model_dump_json(exclude={"published_as", "note"})
            if key in seen:
                raise ValueError(f"models[{index}] ({each.model}) repeats an earlier one")
            seen.add(key)
        return self


def load_suite(name_or_path: str | Path) -> Suite:
    """A suite by its name, or from a YAML file (with a ``.yaml`` or ``.yml`` suffix, or a path separator).

    Raises:
        UsageError: no such suite, or the file's first wrong line with what is wrong in it.
    """
    return load_record(Suite, name_or_path, FOLDER)
