"""The predictor that test-time augmentation asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.engine.predictor import Predictor
    from imagenet_hard.engine.settings import RunSettings
    from imagenet_hard.tta.settings import TtaSettings


def predictor(
    tta: TtaSettings, classifier: Classifier, settings: RunSettings, device: torch.device
) -> Predictor:
    """``classifier`` under ``tta``; with ``tta`` bound it is what a job builds with.

    Raises:
        UsageError: settings or a classifier that the method cannot take; the message says which.
    """
    if tta.step is None:
        from imagenet_hard.tta.zoomed import ZoomPredictor

        return ZoomPredictor(classifier, tta, settings, device)
    from imagenet_hard.tta.memo import MemoPredictor

    return MemoPredictor(classifier, tta, settings, device)
