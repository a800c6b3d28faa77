"""A checkpoint's own mean and std: what a training script's normalising layer leaves beside the weights.

With other constants the same weights give other numbers, and nothing fails. So they are taken where
they are unmistakable, and a file whose constants cannot be understood is refused.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from imagenet_hard.base.errors import WeightsError
from imagenet_hard.classifiers.transform import IMAGENET_MEAN, ImageTransform, Transform

log = logging.getLogger(__name__)

Triple = tuple[float, float, float]

# Beside mean and std: mu and sigma; new_mean (MadryLab); pixel_mean (detectron2); image_mean (transformers).
_WORD = r"(?:new|pixel|image|img|input|data|norm|normali[sz]e|imagenet|channel|rgb)?_?"
_ROLES = {
    "mean": re.compile(rf"{_WORD}(?:means?|mu)_?"),
    "std": re.compile(rf"{_WORD}(?:stds?|stddev|sigma|sds?)_?"),
}

SAME = 1e-6
"""Largest difference of constants that are the same, one of them having been float32."""

BGR = 2e-3
"""Largest difference from ImageNet's mean, read backwards, at which constants are said to be in BGR order."""


@dataclass(frozen=True)
class Normalisation:
    """``mean`` and ``std`` per RGB channel in [0, 1] units, and the ``names`` that they had in the file."""

    mean: Triple
    std: Triple
    names: tuple[str, ...]


def role(name: str) -> str | None:
    """Whether an entry is called as the mean or the std of a normalisation is.

    >>> role("normalizer.new_mean"), role("sigma"), role("bn1.running_mean")
    ('mean', 'std', None)
    """
    last = name.rpartition(".")[2].lower()
    return next((each for each, pattern in _ROLES.items() if pattern.fullmatch(last)), None)


def triple(value: Any) -> Triple | None:
    """Three numbers of a tensor, an array or a list, whatever its shape; float32 becomes what was written.

    A list of one, among settings, is for all three channels, as in ``Normalize([0.5], [0.5])``.
    """
    lengths = (3,) if hasattr(value, "detach") else (1, 3)
    if hasattr(value, "detach"):
        value = value.detach().float().numpy()
    if not isinstance(value, (list, tuple, np.ndarray)):
        return None
    try:
        flat = np.asarray(value).reshape(-1)
    except ValueError:  # a ragged list
        return None
    if len(flat) not in lengths or flat.dtype.kind not in "fiu":
        return None
    red, green, blue = (float(str(x)) for x in np.broadcast_to(flat, 3))
    return red, green, blue


def find_normalisation(entries: Mapping[str, Any], where: str) -> Normalisation | None:
    """The one mean and the one std among ``entries``, name -> what it holds; None where there is neither.

    Raises:
        WeightsError: for one without the other, for several that differ, and for values that are no
            normalisation of RGB images in [0, 1] or 0..255.
    """
    found: dict[str, dict[str, Triple]] = {"mean": {}, "std": {}}
    for name, value in entries.items():
        if (kind := role(name)) and (values := triple(value)):
            found[kind][name] = values
    names = tuple(name for each in found.values() for name in each)
    if not names:
        return None
    told = f"{where} holds a normalisation of its own ({', '.join(names)})"
    for kind, values_of in found.items():
        if len(set(values_of.values())) != 1:
            what = "several that differ" if values_of else "none"
            raise WeightsError(
                f"{told}, and {what} for the {kind}: with other constants the weights give other numbers. "
                "Load them in a function of your own, with the transform that they were trained under, and "
                "name it, FILE.py:function"
            )
    mean, std = (next(iter(found[kind].values())) for kind in ("mean", "std"))
    return Normalisation(*_in_units(mean, std, told), names)


def _in_units(mean: Triple, std: Triple, told: str) -> tuple[Triple, Triple]:
    """In [0, 1] units; constants for pixels of 0 to 255 are divided."""
    # A caffe model subtracts 104 and divides by 1; a model that scales by itself has mean 0 and std 255.
    by_255 = max(mean) > 1 or max(std) > 1
    scale = 255.0 if by_255 else 1.0
    lowest = 1.0 if by_255 else 0.0
    mixed = by_255 and 0 < max(mean) <= 1
    if mixed or not (all(0 <= m <= scale for m in mean) and all(lowest <= s <= scale and s > 0 for s in std)):
        raise WeightsError(
            f"{told} that is not understood: mean {_words(mean)}, std {_words(std)}; expected a mean of 0 to "
            "1 and a std above 0 up to 1, or both for pixels of 0 to 255"
        )
    if by_255:
        mean, std = _over_255(mean), _over_255(std)
    if _near(mean[::-1], IMAGENET_MEAN, BGR):
        raise WeightsError(
            f"{told} whose mean, {_words(mean)}, is in the order blue, green, red: such a model takes images "
            "in that order. Load it in a function of your own, with a transform that gives it them"
        )
    return mean, std


def normalised(
    transform: ImageTransform, found: Normalisation | None, name: str, *, given: bool = False
) -> ImageTransform:
    """``transform`` with the checkpoint's own constants, and a word where they are others.

    ``given``: the transform came with one's own model, so another one in the file contradicts it.

    Raises:
        WeightsError: for a transform whose mean and std can't be replaced, or that contradicts.
    """
    if found is None:
        return transform
    own = ", ".join(found.names)
    if not isinstance(transform, Transform) or (given and not _same(transform, found)):
        raise WeightsError(
            f"the weights of {name} come with a mean and a std of their own ({own}: {_words(found.mean)} and "
            f"{_words(found.std)}), but its transform "
            + ("has others" if isinstance(transform, Transform) else "is one where these can't be seen")
            + ": put them into the module, as buffers of these names, or give it a transform with these"
        )
    if _same(transform, found):
        return transform
    log.warning(
        "%s: mean %s and std %s come from the weights file (%s) and replace %s and %s",
        name, _words(found.mean), _words(found.std), own, _words(transform.mean), _words(transform.std),
    )  # fmt: skip
    return replace(transform, mean=found.mean, std=found.std)


def _same(transform: Transform, found: Normalisation) -> bool:
    return _near(transform.mean, found.mean, SAME) and _near(transform.std, found.std, SAME)


def _near(a: Triple, b: Triple, most: float) -> bool:
    return all(abs(x - y) <= most for x, y in zip(a, b, strict=True))


def _over_255(values: Triple) -> Triple:
    red, green, blue = (float(f"{v / 255:.12g}") for v in values)  # 0.485 of 123.675
    return red, green, blue


def _words(values: Triple) -> str:
    return "(" + ", ".join(f"{v:.6g}" for v in values) + ")"
