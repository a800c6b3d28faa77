"""What test-time augmentation is asked for, checked once; the Result keeps it as it stands here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, Unpack

from pydantic import Field, ValidationError, model_validator

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.options import Option, takes
from imagenet_hard.base.records import first_problem
from imagenet_hard.base.types import Record
from imagenet_hard.imagenet.zoom_list import MAX_SCALE, read_zoom_list
from imagenet_hard.imagenet.zoom_prior import likeliest_zooms

Method = Literal["zoom", "memo", "zoom-memo"]
View = Literal["random-resized-crop", "augmix", "zooms", "standard"]
Optimizer = Literal["sgd", "adamw"]


@dataclass(frozen=True)
class Kind:
    """What a method is made of: the views that it may take, and whether it adapts the model in a step."""

    views: tuple[View, ...]
    adapts: bool


KINDS: Mapping[str, Kind] = {
    "zoom": Kind(("random-resized-crop", "zooms", "standard"), adapts=False),
    "memo": Kind(("augmix",), adapts=True),
    "zoom-memo": Kind(("random-resized-crop",), adapts=True),
}
"""The methods; ``predictor.PREDICTORS`` has what runs each."""

METHODS = ("none", *KINDS)
DEFAULT_VIEWS, MAX_VIEWS = 64, 4096
MAX_SEED = 2**63 - 1

STEPS: dict[str, tuple[float, float]] = {"sgd": (0.00025, 0.0), "adamw": (1e-5, 0.01)}
"""Optimizer -> learning rate and weight decay of MEMO (arXiv 2110.09506: residual networks, transformers)."""

BATCH_NORM_PRIOR = 16
"""N of MEMO: running statistics weigh N / (N + 1), those of the views 1 / (N + 1)."""

Cell = Annotated[int, Field(ge=0, le=2)]


class GradientStep(Record):
    """MEMO's one step from the original weights, for each image anew."""

    optimizer: Optimizer = "sgd"
    lr: float = Field(STEPS["sgd"][0], gt=0, le=10)
    weight_decay: float = Field(STEPS["sgd"][1], ge=0, le=1)
    batch_norm_prior: int = Field(
        BATCH_NORM_PRIOR, ge=0, le=1_000_000, description="running statistics weigh N / (N + 1)"
    )


class TtaSettings(Record):
    """Which views of an image a model sees, and what it does with them. ``tta_settings`` makes one."""

    method: Method = Field(
        description="zoom: mean of the views' softmax; memo, zoom-memo: one step that lowers the entropy of "
        "that mean, then the standard view"
    )
    view: View = Field(
        description="random-resized-crop: the paper's zoomed views; augmix: MEMO's own; zooms: a fixed list; "
        "standard: the one view of plain evaluation"
    )
    views: int = Field(ge=1, le=MAX_VIEWS, description="views of one image")
    seed: int | None = Field(
        None, ge=0, le=MAX_SEED, description="of the random views, with each image's sha256"
    )
    zooms: tuple[tuple[Annotated[int, Field(ge=1, le=MAX_SCALE)], Cell, Cell], ...] | None = Field(
        None, max_length=MAX_VIEWS, description="scale, row and column of each, for crops of 224 pixels"
    )
    step: GradientStep | None = None

    @model_validator(mode="after")
    def _agrees(self) -> TtaSettings:
        if (self.view in ("random-resized-crop", "augmix")) != (self.seed is not None):
            raise ValueError("seed: random views have one, others have none")
        if (self.view == "zooms") != (self.zooms is not None):
            raise ValueError("zooms: expected with the view `zooms` and with no other")
        count = len(self.zooms) if self.zooms is not None else 1 if self.view == "standard" else self.views
        if self.views != count:
            raise ValueError(f"views is {self.views}: the list has {count}")
        kind = KINDS[self.method]
        if kind.adapts != (self.step is not None):
            raise ValueError("step: memo and zoom-memo have one, zoom has none")
        if self.view not in kind.views:
            raise ValueError(f"view: {self.method} takes {' or '.join(kind.views)}")
        return self

    @property
    def label(self) -> str:
        """Short name for tables and files; other settings than the default's add a hash.

        >>> tta_settings("zoom").label, tta_settings("memo", views=8).label
        ('zoom64', 'memo8')
        """
        name = f"{self.method}{self.views}"
        if self == _default(self.method, self.views):
            return name
        return f"{name}-{hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:6]}"

    @property
    def passes(self) -> tuple[int, int]:
        """Views forward and backward through the model, per image; MEMO's standard view included."""
        return (self.views, 0) if self.step is None else (self.views + 1, self.views)

    def recorded(self) -> TtaRecord:
        """What the Result says: these settings and their cost."""
        forward, backward = self.passes
        return TtaRecord(**dict(self), forward_passes=forward, backward_passes=backward)


class TtaRecord(TtaSettings):
    """Settings, and the passes through the model that they cost for one image."""

    forward_passes: int = Field(ge=1, description="views forward through the model, per image")
    backward_passes: int = Field(ge=0, description="views backward through the model, per image")

    def settings(self) -> TtaSettings:
        """The settings alone."""
        return TtaSettings(**{name: getattr(self, name) for name in TtaSettings.model_fields})

    @property
    def label(self) -> str:
        """That of the settings."""
        return self.settings().label

    @model_validator(mode="after")
    def _costs(self) -> TtaRecord:
        if (got := (self.forward_passes, self.backward_passes)) != self.passes:
            raise ValueError(f"passes are {got}: {self.method} of {self.views} views takes {self.passes}")
        return self


class TtaOptions(TypedDict, total=False):
    """What ``tta_settings`` takes, and the command behind ``--tta-``."""

    views: Annotated[int | None, Option(None, "Views of one image [default: 64].", metavar="N", least=1)]
    seed: Annotated[int | None, Option(None, "Of random views [default: 0].", metavar="N", least=0)]
    zooms: Annotated[
        str | Path | int | None,
        Option(
            None,
            "Fixed zooms in place of random ones: a CSV of zooms (a study's cover.csv), the first N of the "
            "paper's, or the standard view alone.",
            metavar="FILE|N|standard",
        ),
    ]
    optimizer: Annotated[Optimizer | None, Option(None, "Of MEMO's one step [default: sgd].")]
    lr: Annotated[
        float | None, Option(None, "Of MEMO's one step [default: 0.00025 or 1e-5].", metavar="RATE")
    ]


@takes(TtaOptions)
def tta_settings(method: str = "none", **options: Unpack[TtaOptions]) -> TtaSettings | None:
    """Settings of a method of ``METHODS``; None for "none".

    ``zooms``: a CSV file of zooms (``imagenet.zoom_list``), or a number: that many of the paper's
    324, those that solve most images first, or "standard": the one view of plain evaluation.

    Raises:
        UsageError: an unknown method, a value out of range, or options that this method does not have.
    """
    if method not in METHODS:
        raise UsageError(f"unknown test-time augmentation {method!r}: expected {', '.join(METHODS)}")
    views, seed, zooms = options.get("views"), options.get("seed"), options.get("zooms")
    optimizer, lr = options.get("optimizer"), options.get("lr")
    _refuse(method, {f"--tta-{name}" for name, value in options.items() if value is not None})
    if method == "none":
        return None
    fields: dict[str, Any] = {"method": method}
    if zooms is not None:
        fields |= _fixed(zooms)
    else:
        fields |= {
            "view": "augmix" if method == "memo" else "random-resized-crop",
            "views": DEFAULT_VIEWS if views is None else views,
            "seed": 0 if seed is None else seed,
        }
    if KINDS[method].adapts:
        known_lr, decay = STEPS.get(optimizer or "sgd", STEPS["sgd"])
        fields["step"] = {
            "optimizer": optimizer or "sgd",
            "lr": known_lr if lr is None else lr,
            "weight_decay": decay,
        }
    try:
        return TtaSettings.model_validate(fields)
    except ValidationError as error:
        raise UsageError(f"test-time augmentation: {first_problem(error)}") from None


def _refuse(method: str, given: set[str]) -> None:
    """Options that would be passed over in silence."""
    if method == "none" and given:
        raise UsageError(f"{', '.join(sorted(given))}: only with --tta zoom, memo or zoom-memo")
    if method != "none" and not KINDS[method].adapts and (wrong := given & {"--tta-optimizer", "--tta-lr"}):
        raise UsageError(f"{', '.join(sorted(wrong))}: --tta zoom takes no step; only memo and zoom-memo do")
    if "--tta-zooms" in given:
        if method != "zoom":
            raise UsageError(f"--tta-zooms: only with --tta zoom; the views of {method} are random")
        if wrong := given & {"--tta-views", "--tta-seed"}:
            raise UsageError(f"{', '.join(sorted(wrong))}: the list of --tta-zooms says which views")


def _fixed(zooms: str | Path | int) -> dict[str, Any]:
    if zooms == "standard":
        return {"view": "standard", "views": 1}
    if isinstance(zooms, str) and zooms.isdigit():
        zooms = int(zooms)
    chosen = likeliest_zooms(zooms) if isinstance(zooms, int) else read_zoom_list(Path(zooms))
    triples = [(zoom.scale, zoom.row, zoom.column) for zoom in chosen]
    return {"view": "zooms", "views": len(triples), "zooms": triples}


def _default(method: str, views: int) -> TtaSettings:
    found = tta_settings(method, views=views)
    assert found is not None
    return found
