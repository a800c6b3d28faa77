"""What test-time augmentation is asked for, checked once; the Result keeps it as it stands here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict, Unpack

from pydantic import Field, ValidationError, model_validator

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.options import Option, takes
from imagenet_hard.base.records import first_problem
from imagenet_hard.base.types import Record, says_nothing
from imagenet_hard.imagenet.zoom_list import MAX_SCALE, read_zoom_list
from imagenet_hard.imagenet.zoom_prior import likeliest_zooms
from imagenet_hard.tta.methods import METHODS, Method, find_method

if TYPE_CHECKING:
    import torch

    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.engine.forward import Predictor
    from imagenet_hard.engine.settings import RunSettings

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")]
Optimizer = Literal["sgd", "adamw"]

FIXED = ("zooms", "standard")
"""Views that no seed draws."""

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

    method: Name = Field(
        description="zoom: mean of the views' softmax; memo, zoom-memo: one step that lowers the entropy of "
        "that mean, then the standard view; or one of an installed package"
    )
    package: Annotated[str, Field(max_length=200)] | None = Field(
        None, exclude_if=says_nothing, description="name and version of the package that brings the method"
    )
    view: Name = Field(
        description="random-resized-crop: the paper's zoomed views; augmix: MEMO's own; zooms: a fixed list; "
        "standard: the one view of plain evaluation; or another of a package's method"
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
        if (self.view not in FIXED) != (self.seed is not None):
            raise ValueError("seed: random views have one, others have none")
        if (self.view == "zooms") != (self.zooms is not None):
            raise ValueError("zooms: expected with the view `zooms` and with no other")
        count = len(self.zooms) if self.zooms is not None else 1 if self.view == "standard" else self.views
        if self.views != count:
            raise ValueError(f"views is {self.views}: the list has {count}")
        if (self.method in METHODS) == (self.package is not None):
            raise ValueError("package: a method of an installed package has one, the project's own have none")
        if (own := METHODS.get(self.method)) is not None:
            if own.adapts != (self.step is not None):
                raise ValueError("step: memo and zoom-memo have one, zoom has none")
            if self.view not in own.views:
                raise ValueError(f"view: {self.method} takes {' or '.join(own.views)}")
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
    def adapts(self) -> bool:
        """Whether the model is changed by a step."""
        return self.step is not None

    def recorded(self) -> TtaRecord:
        """What the Result says: these settings and their cost.

        Raises:
            UsageError: its method is of a package that is not installed.
        """
        forward, backward = find_method(self.method)[0].passes(self.views)
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
        got, own = (self.forward_passes, self.backward_passes), METHODS.get(self.method)
        if own is not None and got != (expected := own.passes(self.views)):
            raise ValueError(f"passes are {got}: {self.method} of {self.views} views takes {expected}")
        return self


class TtaOptions(TypedDict, total=False):
    """What ``tta_settings`` takes, and the command behind ``--tta-``."""

    views: Annotated[int | None, Option(None, "Views of one image [default: 64].", metavar="N", least=1)]
    seed: Annotated[int | None, Option(None, "Seed of random views [default: 0].", metavar="N", least=0)]
    zooms: Annotated[
        str | Path | int | None,
        Option(
            None,
            "Fixed zooms in place of random ones: a CSV of zooms (a study's cover.csv), the first N of the "
            "paper's, or the standard view alone.",
            metavar="FILE|N|standard",
        ),
    ]
    optimizer: Annotated[Optimizer | None, Option(None, "Optimizer of MEMO's one step [default: sgd].")]
    lr: Annotated[
        float | None,
        Option(None, "Learning rate of MEMO's one step [default: 0.00025 or 1e-5].", metavar="RATE"),
    ]


@takes(TtaOptions)
def tta_settings(method: str = "none", **options: Unpack[TtaOptions]) -> TtaSettings | None:
    """Settings of a method of ``tta.methods``, or of an installed package; None for "none".

    ``zooms``: a CSV file of zooms (``imagenet.zoom_list``), or a number: that many of the paper's
    324, those that solve most images first, or "standard": the one view of plain evaluation.

    Raises:
        UsageError: an unknown method, a value out of range, or options that this method does not have.
    """
    known, package = (None, None) if method == "none" else find_method(method)
    views, seed, zooms = options.get("views"), options.get("seed"), options.get("zooms")
    optimizer, lr = options.get("optimizer"), options.get("lr")
    _refuse(method, known, {f"--tta-{name}" for name, value in options.items() if value is not None})
    if known is None:
        return None
    fields: dict[str, Any] = {"method": method, "package": package}
    if zooms is not None:
        fields |= _fixed(zooms)
    else:
        fields |= {
            "view": known.views[0],
            "views": DEFAULT_VIEWS if views is None else views,
            "seed": 0 if seed is None else seed,
        }
        if known.views[0] == "standard":
            fields |= {"views": 1, "seed": None}
    if known.adapts:
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


def _refuse(name: str, method: Method | None, given: set[str]) -> None:
    """Options that would be passed over in silence."""
    if method is None:
        if given:
            raise UsageError(f"{', '.join(sorted(given))}: only with --tta {_either(METHODS)}")
        return
    if not method.adapts and (wrong := given & {"--tta-optimizer", "--tta-lr"}):
        adapting = [each for each, one in METHODS.items() if one.adapts]
        raise UsageError(
            f"{', '.join(sorted(wrong))}: --tta {name} takes no step; only {' and '.join(adapting)} do"
        )
    if "--tta-zooms" in given:
        if "zooms" not in method.views:
            listed = [each for each, one in METHODS.items() if "zooms" in one.views]
            raise UsageError(
                f"--tta-zooms: only with --tta {_either(listed)}; the views of {name} are random"
            )
        if wrong := given & {"--tta-views", "--tta-seed"}:
            raise UsageError(f"{', '.join(sorted(wrong))}: the list of --tta-zooms says which views")


def _either(names: Iterable[str]) -> str:
    *some, last = names
    return f"{', '.join(some)} or {last}" if some else last


def _fixed(zooms: str | Path | int) -> dict[str, Any]:
    if zooms == "standard":
        return {"view": "standard", "views": 1}
    if isinstance(zooms, str) and zooms.isdigit():
        zooms = int(zooms)
    chosen = likeliest_zooms(zooms) if isinstance(zooms, int) else read_zoom_list(Path(zooms))
    triples = [(zoom.scale, zoom.row, zoom.column) for zoom in chosen]
    return {"view": "zooms", "views": len(triples), "zooms": triples}


def _default(method: str, views: int) -> TtaSettings | None:
    """What ``tta_settings`` makes of a method and a number of views; None where it cannot be known here."""
    if method not in METHODS:  # a record may be read where its package is not installed
        return None
    return tta_settings(method, views=views)


def build_predictor(
    tta: TtaSettings, classifier: Classifier, settings: RunSettings, device: torch.device
) -> Predictor:
    """``classifier`` under ``tta``; with ``tta`` bound it is what a job builds with.

    Raises:
        UsageError: no such method, a combination of views and step that it does not have, or settings or a
            classifier that it cannot take; the message says which.
    """
    try:
        tta = TtaSettings.model_validate(tta.model_dump(include=set(TtaSettings.model_fields)))
    except ValidationError as error:  # a changed copy of settings is not checked when it is made
        raise UsageError(f"test-time augmentation: {first_problem(error)}") from None
    method, package = find_method(tta.method)
    if tta.package != package:
        raise UsageError(f"--tta {tta.method} is of {tta.package}: here {package} is installed")
    return method.maker()(classifier, tta, settings, device)
