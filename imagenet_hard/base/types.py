"""The records that flow between the rooms of the project. Read this file first.

``Example`` goes in, ``Prediction`` comes out; ``ModelSpec`` and ``BenchmarkInfo``
say which classifier and which images these belong to. No torch here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

N_CLASSES = 1000
"""ImageNet-1k: class indices are 0..999, in the order of the sorted wnids."""

SCHEMA_VERSION = 1
"""Version of the JSON and Parquet records; raised when a field changes meaning."""


def _this_version(value: int) -> int:
    if value != SCHEMA_VERSION:
        raise ValueError(f"schema version {value}: this release reads {SCHEMA_VERSION}")
    return value


SchemaVersion = Annotated[int, AfterValidator(_this_version)]
"""Of a record: this release reads no other."""

NO_CLASS = -1
"""In place of a class index: an answer in words that names no class."""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled image, its bytes untouched.

    ``id`` is unique in its benchmark; ``image`` is the encoded file (JPEG, PNG, ...);
    ``labels`` holds one or more class indices in 0..999, sorted, without repeats;
    ``origin`` is the variant that the image came from ("" where there is only one).
    """

    id: str
    image: bytes = field(repr=False)
    labels: tuple[int, ...]
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predictions for ``n`` examples, row ``i`` belonging to ``ids[i]``.

    ``top5``: int16 (n, 5), class indices, best first, the lower index first on equal logits.
    ``logprob5``: float32 (n, 5), natural log of the softmax over all 1000 classes, or over those of a mask.
    ``margin``: float32 (n,), best logit minus second-best logit (>= 0).

    Answers in words have no scores: ``top5`` is (n, 1) there, the class that is named or ``NO_CLASS``;
    ``logprob5`` is (n, 0) and ``margin`` is (0,).
    """

    ids: tuple[str, ...]
    top5: NDArray[np.int16]
    logprob5: NDArray[np.float32]
    margin: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def in_words(cls, ids: tuple[str, ...], classes: NDArray[np.integer]) -> Predictions:
        """Of answers in words: the class of each, integers (n,), or ``NO_CLASS``."""
        top1 = np.asarray(classes, np.int16).reshape(-1, 1)
        return cls(ids, top1, np.empty((len(ids), 0), np.float32), np.empty(0, np.float32))

    @property
    def top1_only(self) -> bool:
        """Whether they are answers in words."""
        return bool(self.top5.shape[1] == 1)


class Record(BaseModel):
    """Base of the JSON records: frozen, unknown keys refused, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def says_nothing(value: object) -> bool:
    """``exclude_if`` of fields that records got later: not written where they are empty, so that records from
    before keep their digests."""
    return not value


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ModelSpec(Record):
    """Which classifier gave the predictions."""

    backend: str = Field(description="prefix of its name, such as timm; custom: code of one's own")
    name: str = Field(description="architecture name in that backend, e.g. vit_b_32 or ViT-L-14")
    tag: str | None = Field(
        default=None, description="weights tag, e.g. IMAGENET1K_V1, openai or a file name"
    )
    weights_sha256: str | None = Field(
        default=None, description="sha256 over the state dict's sorted (key, dtype, shape, bytes)"
    )
    parameters: int | None = Field(default=None, ge=0, description="number of parameters")
    input_size: tuple[int, int] | None = Field(default=None, description="height and width in pixels")
    transform: Mapping[str, Any] = Field(description="the evaluation transform as data")
    transform_sha256: str | None = Field(default=None, description="hash of its output on fixed test images")
    head: Mapping[str, Any] | None = Field(
        default=None, description="zero-shot head: hashes of templates and class names, their number"
    )
    package: str | None = Field(
        default=None,
        exclude_if=says_nothing,
        description="installed package that brings the backend, and its version, where it is not this one",
    )

    @property
    def key(self) -> str:
        """``BACKEND:NAME/TAG``, as gold labels and tables of difficulties name models."""
        return f"{self.backend}:{self.name}" + (f"/{self.tag}" if self.tag else "")


LeftOut = Annotated[str, Field(pattern=r"^[a-z_]{1,40}(\.[a-z0-9_]{1,12})?$")]
"""A kind of what is left out, such as images_without_label or not_images.heic."""


class Witness(Record):
    """What tells a classifier that brings code of one's own, besides its weights (``engine.witness``)."""

    code: Sha256 = Field(description="hash of the code of model and transform, and of the values it reads")
    logits: Sha256 = Field(description="hash of the float32 logits on images of the benchmark")
    images: int = Field(ge=0, description="how many images these are")

    def against(self, other: Witness) -> str | None:
        """What tells this one from ``other``, in words; None where nothing does."""
        if self.code != other.code:
            return "its code, or a value that its code reads, is another"
        if (self.logits, self.images) != (other.logits, other.images):
            return f"its code looks the same, but its logits on {self.images} of the images are others"
        return None


class Selection(Record):
    """Which images of a benchmark were chosen, and how (see ``dataset.subset``)."""

    kind: Literal["ids", "sample", "estimate"] = Field(
        description="ids: named one by one; sample: drawn; estimate: drawn from strata of difficulty, "
        "as many from each, whatever their sizes"
    )
    n: int = Field(ge=1, description="images chosen")
    total: int = Field(ge=1, description="images to choose from")
    seed: int | None = Field(default=None, description="of a draw")
    difficulty_sha256: Sha256 | None = Field(
        default=None,
        exclude_if=says_nothing,
        description="of an estimate: the hash of the difficulties that the strata are made of",
    )
    until: float | None = Field(
        default=None,
        exclude_if=says_nothing,
        gt=0,
        description="of an estimate: the half-width in points at which no more images were drawn",
    )
    ids_sha256: Sha256 = Field(description="sha256 over the chosen ids, sorted, each with a line end")


class BenchmarkInfo(Record):
    """Which images and labels were scored."""

    name: str
    source: str = Field(
        description="where it was read from: hub id, 'folder', 'package', 'object' in a program; no path"
    )
    revision: str | None = Field(default=None, description="the Hub commit, where there is one")
    split: str | None = None
    n: int = Field(ge=1)
    limit: int | None = Field(default=None, description="--limit, where only the first images were scored")
    fingerprint: str = Field(description="sha256 over ids, labels and image bytes")
    selection: Selection | None = Field(
        default=None,
        exclude_if=says_nothing,
        description="--ids or --sample, where only chosen images were scored",
    )
    left_out: Mapping[LeftOut, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict,
        exclude_if=says_nothing,
        description="what was seen where the benchmark was read and is not scored, by kind",
    )

    @property
    def part(self) -> str:
        """What of the benchmark it is, for names: "" for all of it."""
        return part_name(self.limit, self.selection)


def part_name(limit: int | None, selection: Selection | None) -> str:
    """A part of a benchmark in words that fit a file name: "first-100", "sample-100-seed-0"."""
    names = []
    if selection is not None and selection.kind == "sample":
        names.append(f"sample-{selection.n}-seed-{selection.seed}")
    elif selection is not None and selection.kind == "estimate":
        size = selection.n if selection.until is None else f"until-{selection.until:g}"
        names.append(f"estimate-{size}-seed-{selection.seed}")
    elif selection is not None:
        names.append(f"ids-{selection.n}-{selection.ids_sha256[:8]}")
    return "-".join([*names, *([f"first-{limit}"] if limit else [])])


Precision = Literal["fp32", "bf16", "fp16"]
"""Arithmetic of the forward pass; logits and softmax are always float32."""

OutputForm = Literal["logits", "probabilities", "log-probabilities"]
"""What a model gives for each class."""

DropClass = Literal[0, 1000]
"""The background class of a model with 1001 outputs: the first, as in TensorFlow's, or the last."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Everything that scoring a benchmark leaves behind; all sequences are sorted by id alike.

    ``labels`` and ``origins`` repeat what the benchmark said, ``image_sha256`` is the hash of
    each image's bytes, so metrics and the fingerprint need no second look at the images.
    """

    predictions: Predictions
    labels: tuple[tuple[int, ...], ...]
    origins: tuple[str, ...]
    image_sha256: tuple[str, ...]
