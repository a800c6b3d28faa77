"""Recipes: which images, which classifiers, which zooms make a data set; YAML, checked when read.

name: my-hard-images
version: 1.0.0
sources:
  - {variant: imagenet, path: imagenet-val, labels: val.txt, licence: "ImageNet terms"}
classifiers:
  - {model: efficientnet_lite0}
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import Field, model_validator

from imagenet_hard.base.records import load_record
from imagenet_hard.base.types import Record
from imagenet_hard.imagenet.variants import MASKS, VARIANTS, Layout
from imagenet_hard.imagenet.zoom import PAPER_SCALES, PAPER_SIZE, ZoomGrid

FOLDER = "curation/recipes"

RULE = "any-zoom"
"""An image is hard if no classifier is right under any zoom: in every recipe's hash, as it was a key once."""

if TYPE_CHECKING:
    VariantName: TypeAlias = str
    MaskName: TypeAlias = str
else:
    VariantName = Literal[*VARIANTS]
    MaskName = Literal["none", *MASKS]

OWNERS: dict[str, tuple[str, ...]] = {
    key: tuple(variant.name for variant in VARIANTS.values() if key in variant.keys)
    for each in VARIANTS.values()
    for key in each.keys
}
"""Keys of a source that not every variant reads, and those that do: elsewhere they would be lost."""

OF_FOLDERS = ("labels", "original_labels", "make", "corruptions", "severities")
"""Keys that a data set on the Hub does not read."""

Text = Annotated[str, Field(min_length=1, max_length=2000)]
Name = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$",
        description="up to 96 letters, digits, '.', '_' or '-', a letter or digit first",
    ),
]


class SourceSpec(Record):
    """One source of images. Paths are relative to the folder given by ``--data``, or absolute."""

    variant: VariantName
    name: Name | None = Field(
        None, description="prefix of its ids and its origin in the data set; the variant if not given"
    )
    path: Text | None = Field(None, description="folder of images")
    hub: Text | None = Field(None, description="or a data set on the Hub, ORG/NAME")
    revision: Text | None = None
    split: Text | None = None
    labels: Text | None = Field(
        None, description="label file: ground truth of a flat folder; real.json for imagenet-real"
    )
    original_labels: Text | None = Field(
        None, description="imagenet-real: ground truth of the validation images, to be united with ReaL's"
    )
    make: bool = Field(False, description="imagenet-c: corrupt the clean images of `path` on the fly")
    corruptions: tuple[Text, ...] = Field((), description="imagenet-c: which; all that are there if empty")
    severities: tuple[Annotated[int, Field(ge=1, le=5)], ...] = Field((1, 2, 3, 4, 5))
    seed: Annotated[int, Field(ge=0)] = Field(
        0, description="imagenet-c with make: for the random corruptions"
    )
    border: Annotated[int, Field(ge=0, le=100)] = Field(
        2, description="objectnet: pixels cut off at each side (the release has a red frame of 2)"
    )
    mask: MaskName | None = Field(None, description="classes scored over; the variant's own if not given")
    limit: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="N images only, spread over classes, and over imagenet-c's corruptions and severities",
    )
    licence: Text = "unknown"
    url: Text | None = None

    @property
    def id(self) -> str:
        """The name that ids, origins and messages use."""
        return self.name or self.variant

    @property
    def layout(self) -> Layout:
        """How its variant's images lie on disk."""
        return VARIANTS[self.variant].layout

    @property
    def mask_name(self) -> MaskName:
        """The mask that is in force: the variant's own, if it has one, where none is given."""
        return self.mask or (self.variant if self.variant in MASKS else "none")

    @model_validator(mode="after")
    def _consistent(self) -> SourceSpec:
        if (self.path is None) == (self.hub is None):
            raise ValueError("give either path (a folder) or hub (a data set on the Hub)")
        if self.hub is None and (self.revision or self.split):
            raise ValueError("revision and split belong to hub")
        for key, owners in OWNERS.items():
            if self._says(key) and self.variant not in owners:
                raise ValueError(f"{key} belongs to {', '.join(owners)}, not to {self.variant}")
        for key in OF_FOLDERS:
            if self._says(key) and self.hub is not None:
                raise ValueError(f"{key} belongs to path: a data set on the Hub is taken as it is there")
        if self._says("seed") and not self.make:
            raise ValueError("seed belongs to `make: true`: nothing else is random")
        if self._says("labels") and self.layout == "corruptions" and not self.make:
            raise ValueError("labels belongs to `make: true`: ImageNet-C's own images lie in wnid folders")
        if self.layout == "relabelled" and self.hub is None and self.labels is None:
            raise ValueError(f"{self.variant} needs labels: the path of real.json")
        return self

    def _says(self, key: str) -> bool:
        """Whether a key has another value than the one that it has where it is left out."""
        return bool(getattr(self, key) != type(self).model_fields[key].default)


class ClassifierSpec(Record):
    """One of the classifiers that an image has to defeat."""

    model: Text
    weights: Text | None = None
    pretrained: Text | None = None
    templates: Text | None = None
    normalization: Literal["native", "imagenet"] = Field(
        "native",
        description="mean and std: the model's own, or ImageNet's as in the paper's code, also for CLIP",
    )
    size: Annotated[int, Field(ge=16, le=2048)] = Field(
        PAPER_SIZE, description="side of the zoom's crop in pixels; the scales grow with it"
    )
    note: str = ""

    @property
    def id(self) -> str:
        """A name that is unique in a recipe."""
        extra = [x for x in (self.weights, self.pretrained) if x]
        extra += [self.normalization] if self.normalization != "native" else []
        extra += [str(self.size)] if self.size != PAPER_SIZE else []
        return "/".join([self.model, *extra])


class OutputSpec(Record):
    """What the published data set is called, and what its card says."""

    name: Name = "imagenet-hard"
    title: Text = "ImageNet-Hard"
    licence_name: Name = "mixed"
    licence_link: Text | None = None
    homepage: Text | None = None
    evaluation_framework: Name | None = "imagenet-hard"
    """Of ``eval.yaml``, by a name that the Hub knows; null: no ``eval.yaml``."""
    summary: Annotated[str, Field(max_length=4000)] = ""
    known_biases: Annotated[str, Field(max_length=4000)] = ""
    shard_bytes: Annotated[int, Field(ge=2**16)] = 400 * 2**20


class Recipe(Record):
    """How a data set of hard images is made."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]*$", description="small letters, digits, '_' and '-' without blanks"
    )
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$", description="three numbers such as 1.0.0")
    description: str = ""
    sources: tuple[SourceSpec, ...] = Field(min_length=1)
    classifiers: tuple[ClassifierSpec, ...] = Field(min_length=1)
    scales: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        PAPER_SCALES, description="shorter sides in pixels, for crops of 224"
    )
    exif: bool = Field(False, description="turn images by their EXIF orientation; the paper does not")
    exclusions: tuple[Text, ...] = Field(
        (), description="CSV files of ids left out, beside the recipe or in curation/exclusions"
    )
    output: OutputSpec = OutputSpec()

    @model_validator(mode="before")
    @classmethod
    def _one_rule(cls, data: Any) -> Any:
        """Without ``rule: any-zoom`` of older recipes: there is no other."""
        if isinstance(data, dict) and data.get("rule") == RULE:
            return {key: value for key, value in data.items() if key != "rule"}
        return data

    @model_validator(mode="after")
    def _distinct(self) -> Recipe:
        for what in ("sources", "classifiers"):
            ids = [each.id for each in getattr(self, what)]
            for index, id in enumerate(ids):
                if id in ids[:index]:
                    raise ValueError(f"{what}[{index}] ({id}) repeats an earlier one: give it another name")
        ZoomGrid(self.scales)
        return self

    def scoring_sha256(self) -> str:
        """Hash of all that decides which images survive; texts, licences and the output may change."""
        rest = {"description", "version", "name", "exclusions", "output"}
        data = {**self.model_dump(mode="json", exclude=rest), "rule": RULE}
        for source in data["sources"]:
            # Where the images lie is not what they are: the store knows their hashes.
            for key in ("path", "labels", "original_labels", "licence", "url"):
                del source[key]
            if source["limit"] is not None:  # it took the first images once: those scores are others'
                source["limit"] = ["spread", source["limit"]]
        for classifier in data["classifiers"]:
            del classifier["note"]
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()

    def grid(self, size: int = PAPER_SIZE) -> ZoomGrid:
        """The zooms for a classifier whose crop is ``size`` pixels wide."""
        if size == PAPER_SIZE:
            return ZoomGrid(self.scales)
        return ZoomGrid.for_size(size, self.scales)


def load_recipe(name_or_path: str | Path) -> Recipe:
    """A recipe by its name, or from a YAML file.

    Raises:
        UsageError: no such recipe, or the file's first wrong line with what is wrong in it.
    """
    return load_record(Recipe, name_or_path, FOLDER)
