"""Suites: lists of models in YAML, known by name, checked when read.

name: demo
description: three small models
models:
  - {model: resnet50, weights: IMAGENET1K_V1, transform: paper}
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator, with_config
from typing_extensions import TypedDict  # pydantic refuses typing.TypedDict before Python 3.12

from imagenet_hard.content import content_dir
from imagenet_hard.errors import UsageError
from imagenet_hard.evaluation.files import first_problem
from imagenet_hard.types import Precision, Record

FOLDER = "evaluate/suites"
MAX_BYTES = 2**20
MAX_DEPTH = 20

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
        Annotated[Literal["native", "paper"], Tag("policy")] | Annotated[TransformOptions, Tag("options")],
        Discriminator(_kind),
    ] = "native"
    precision: Precision | None = None
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
            key = each.model_dump_json(exclude={"note"})
            if key in seen:
                raise ValueError(f"models[{index}] ({each.model}) repeats an earlier one")
            seen.add(key)
        return self


def suite_names() -> list[str]:
    """The suites that come with the project."""
    return sorted(path.stem for path in content_dir(FOLDER).glob("*.yaml"))


def load_suite(name_or_path: str | Path) -> Suite:
    """A suite by its name, or from a YAML file (with a ``.yaml`` or ``.yml`` suffix, or a path separator).

    Raises:
        UsageError: no such suite, or the file's first wrong line with what is wrong in it.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml") and path.name == str(name_or_path):
        if path.name not in suite_names():
            near = get_close_matches(path.name, suite_names(), 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UsageError(
                f"there is no suite {path.name!r}: {hint}there are {', '.join(suite_names())}, "
                "or give the path of a .yaml file"
            )
        path = content_dir(FOLDER) / f"{path.name}.yaml"
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read the suite {path}: {error.strerror or error}") from None
    if len(data) > MAX_BYTES:
        raise UsageError(f"the suite {path} has more than {MAX_BYTES} bytes")
    return parse_suite(data, str(path))


def parse_suite(data: bytes, where: str) -> Suite:
    """YAML text as a suite; ``where`` stands in front of every message.

    Raises:
        UsageError: ``where:LINE: place: what is wrong``.
    """
    try:
        node = _compose(data)
        value = yaml.constructor.SafeConstructor().construct_document(node) if node else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{where}:{mark.line + 1}" if mark else where
        raise UsageError(f"{place}: {error.problem or error.context or 'not YAML'}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{where}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(value, dict):
        raise UsageError(f"{where}: expected the keys name, description and models")
    try:
        return Suite.model_validate(value)
    except ValidationError as error:
        line, loc = _locate(node, error.errors()[0]["loc"])
        raise UsageError(f"{where}:{line}: {first_problem(error, loc)}") from None


class _Loader(yaml.SafeLoader):
    """YAML without what a list of models never needs: aliases (they can unfold without end),
    repeated keys (the last would win in silence), deep nesting."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call] # PyYAML's stubs leave it out
        is_alias: bool = isinstance(event, yaml.AliasEvent)
        if is_alias:
            raise yaml.MarkedYAMLError(problem="aliases are not read", problem_mark=event.start_mark)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="nested too deep", problem_mark=event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            problem = (
                "a key must be a word"
                if not isinstance(key, yaml.ScalarNode)
                else f"the key {key.value!r} stands twice"
                if key.value in seen
                else None
            )
            if problem:
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value)
        return node


def _compose(data: bytes) -> yaml.Node | None:
    loader = _Loader(data)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _locate(node: yaml.Node | None, loc: tuple[int | str, ...]) -> tuple[int, list[int | str]]:
    """Line of the deepest part of ``loc`` that the file has, and ``loc`` without pydantic's union tags."""
    assert node is not None
    line, known = node.start_mark.line, list[int | str]()
    for depth, key in enumerate(loc, start=1):
        if isinstance(node, yaml.SequenceNode) and isinstance(key, int):
            known.append(key)
            node = node.value[key]
            line = node.start_mark.line
        elif isinstance(node, yaml.MappingNode):
            found = [(k, v) for k, v in node.value if k.value == key]
            if found:
                line, node = found[0][0].start_mark.line, found[0][1]
            if found or depth == len(loc):  # the last one may be a key that is missing
                known.append(key)
    return line + 1, known
