"""The predictor that test-time augmentation asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pydantic import ValidationError

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.records import first_problem
from imagenet_hard.tta.settings import TtaSettings

if TYPE_CHECKING:
    import torch

    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.engine.forward import Predictor
    from imagenet_hard.engine.settings import RunSettings

Make = Callable[["Classifier", TtaSettings, "RunSettings", "torch.device"], "Predictor"]


def _zoomed() -> Make:
    from imagenet_hard.tta.zoomed import ZoomPredictor

    return ZoomPredictor


def _memo() -> Make:
    from imagenet_hard.tta.memo import MemoPredictor

    return MemoPredictor


PREDICTORS: Mapping[str, Callable[[], Make]] = {"zoom": _zoomed, "memo": _memo, "zoom-memo": _memo}
"""Each method of ``settings.KINDS`` -> what runs it."""


def predictor(
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
    return PREDICTORS[tta.method]()(classifier, tta, settings, device)
