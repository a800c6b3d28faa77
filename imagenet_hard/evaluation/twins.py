"""Classes that a zero-shot model can never put first, since an earlier class has the same name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MOST = 5
"""Classes that are named; more are counted."""


def twins_of(module: Any) -> dict[int, int]:
    """Class -> the earlier class with the same head column, whose logit is therefore the same."""
    from imagenet_hard.classifiers.zero_shot import ZeroShotModule

    if not isinstance(module, ZeroShotModule):
        return {}
    return {index: first for index, first in enumerate(module.twin.tolist()) if index != first}


def twins_warning(module: Any, labels: Sequence[Sequence[int]]) -> list[str]:
    """What a result says of images that ``module`` cannot solve for that reason; nothing if there are none.

    On equal logits the lower index comes first, so an image all of whose ``labels`` have an earlier twin
    is wrong whatever the model sees.
    """
    twins = twins_of(module)
    lost = [each for each in labels if all(label in twins for label in each)]
    if not lost:
        return []
    classes = sorted({label for each in lost for label in each})
    told = ", ".join(f"{index} (of {twins[index]})" for index in classes[:MOST])
    more = f" and {len(classes) - MOST} more" if len(classes) > MOST else ""
    return [
        f"{len(lost)} of {len(labels)} images cannot be top-1 right: all of their classes have the name of "
        f"an earlier class, which comes first on equal logits: {told}{more}. "
        "--classnames distinct tells such classes apart"
    ]
