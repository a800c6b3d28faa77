"""Evaluation transforms as data: an image to pixels on the host, pixels to a batch on the device.

The split keeps the host's share small (uint8 leaves the decode threads) and the result exact:
``Transform`` gives bit for bit what torchvision's ``Resize``, ``CenterCrop``, ``ToTensor`` and
``Normalize`` give on a PIL image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import cache
from threading import RLock
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imagenet_hard.base.errors import ClassifierError, UsageError
from imagenet_hard.imagenet.resizing import Enlarged, resize_shorter

if TYPE_CHECKING:
    import torch

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
INTERPOLATIONS: Mapping[str, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}

_ONE_AT_A_TIME = RLock()
"""For all transforms that are called alone: two may share what they keep."""


class ImageTransform(Protocol):
    """Two steps: ``pixels`` runs in a decode thread, ``batch`` in front of the forward pass."""

    def pixels(self, image: Image.Image) -> Any:
        """A decoded PIL image, in the mode of its file -> what ``batch`` takes."""

    def batch(self, pixels: Sequence[Any], device: torch.device | str) -> torch.Tensor:
        """float32 (n, 3, H, W) on ``device``, channels last in memory."""

    def describe(self) -> dict[str, Any]:
        """The transform as JSON data."""

    def sha256(self) -> str:
        """Hash of the float32 output on two fixed test images."""


@dataclass(frozen=True)
class Transform:
    """Resize, crop, scale to [0, 1], normalise.

    ``resize``: the shorter side in pixels (torchvision's rule: the longer is
    ``int(resize * long / short)``), or (height, width), or None. ``crop``: height and width of
    the centre crop (padded with black where the image is smaller), or None. ``mean``, ``std``:
    per RGB channel, in [0, 1] units. ``rgb``: "first" converts before the resize; "last" after
    the crop, as the paper's torchvision code does (palette images differ).
    """

    resize: int | tuple[int, int] | None
    crop: tuple[int, int] | None
    interpolation: str = "bilinear"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    rgb: Literal["first", "last"] = "first"

    def __post_init__(self) -> None:
        if self.interpolation not in INTERPOLATIONS:
            raise UsageError(
                f"unknown interpolation {self.interpolation!r}: expected one of {', '.join(INTERPOLATIONS)}"
            )
        if self.crop is None and not isinstance(self.resize, tuple):
            raise UsageError("a transform needs a crop or a fixed (height, width), or its batches are ragged")

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """uint8 (H, W, 3)."""
        if self.rgb == "first":
            image = to_rgb(image)
        resized: Image.Image | Enlarged = image
        if isinstance(self.resize, int):
            resized = resize_shorter(image, self.resize, INTERPOLATIONS[self.interpolation])
        elif self.resize is not None:
            resized = image.resize(self.resize[::-1], INTERPOLATIONS[self.interpolation])
        cropped = center_crop(resized, self.crop) if self.crop is not None else resized
        assert isinstance(cropped, Image.Image)  # without a crop the size is fixed
        return np.asarray(to_rgb(cropped))

    def batch(self, pixels: Sequence[NDArray[np.uint8]], device: torch.device | str) -> torch.Tensor:
        """float32 (n, 3, H, W), channels last: ``(x / 255 - mean) / std``."""
        import torch

        if torch.device(device).type == "cpu":
            return self._on_cpu(pixels)
        host = torch.from_numpy(np.stack(pixels))
        if torch.device(device).type == "cuda":
            host = host.pin_memory()
        x = host.to(device, non_blocking=True).permute(0, 3, 1, 2).float().div_(255)
        mean = torch.tensor(self.mean, device=device).view(3, 1, 1)
        std = torch.tensor(self.std, device=device).view(3, 1, 1)
        return x.sub_(mean).div_(std)

    def _on_cpu(self, pixels: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        """The same bits in a third of the time: an image at a time, in the cache, and whole rows at once."""
        import torch

        height, width, _ = pixels[0].shape
        mean, std = (torch.tensor(each).repeat(width) for each in (self.mean, self.std))
        x = torch.empty(len(pixels), height, width * 3)
        host = x.numpy()  # PIL's arrays are read-only, which torch.from_numpy warns of
        for i, each in enumerate(pixels):
            host[i] = each.reshape(height, -1)
            x[i].div_(255).sub_(mean).div_(std)
        return x.view(-1, height, width, 3).permute(0, 3, 1, 2)

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "standard",
            **{k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()},
        }

    def sha256(self) -> str:
        return output_sha256(self)


@dataclass(frozen=True)
class CallableTransform:
    """Any ``PIL image -> float tensor (3, H, W)``: one's own, or a backend's that is not standard.

    ``own``: it was given by the caller, so its code is not known by name. ``alone``: it is called by one
    thread at a time, as its code may count on that (in a DataLoader each worker is a process). ``remarks``:
    what a reader of numbers under it must know.
    """

    function: Callable[[Image.Image], Any]
    description: Mapping[str, Any]
    own: bool = False
    alone: bool = False
    remarks: tuple[str, ...] = ()

    def pixels(self, image: Image.Image) -> torch.Tensor:
        """float32 (3, H, W), in memory of its own whatever the function keeps or does to its image.

        Raises:
            ClassifierError: it gave something else, with what to do.
        """
        with _ONE_AT_A_TIME if self.alone else nullcontext():
            return self._pixels(image.copy() if image.mode == "RGB" else image.convert("RGB"))

    def _pixels(self, image: Image.Image) -> torch.Tensor:
        import torch

        x = self.function(image)
        if isinstance(x, torch.Tensor) and x.ndim == 3 and x.shape[0] == 3 and x.is_floating_point():
            return x.detach().to(torch.float32, copy=True)
        kind = str(x.dtype) if isinstance(x, torch.Tensor) else type(x).__name__
        raise ClassifierError(
            f"the transform gave {kind} {tuple(getattr(x, 'shape', ()))}: expected a float tensor (3, H, W)"
            + _what_to_do(x)
        )

    def batch(self, pixels: Sequence[torch.Tensor], device: torch.device | str) -> torch.Tensor:
        import torch

        host = torch.stack(list(pixels))
        if torch.device(device).type == "cuda":
            host = host.pin_memory()
        return host.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)

    def describe(self) -> dict[str, Any]:
        return {"kind": "callable", **self.description}

    def sha256(self) -> str:
        return output_sha256(self)


@dataclass(frozen=True)
class Apart:
    """Somebody else's ``ImageTransform``: its memory kept apart, and one thread at a time."""

    inner: ImageTransform

    def pixels(self, image: Image.Image) -> Any:
        with _ONE_AT_A_TIME:
            return deepcopy(self.inner.pixels(image.copy()))

    def batch(self, pixels: Sequence[Any], device: torch.device | str) -> torch.Tensor:
        return self.inner.batch(pixels, device).clone()

    def describe(self) -> dict[str, Any]:
        return self.inner.describe()

    def sha256(self) -> str:
        return self.inner.sha256()


def apart(transform: ImageTransform) -> ImageTransform:
    """``transform`` as the engine may call it: ours as they are, others ``Apart``."""
    return transform if type(transform).__module__.startswith("imagenet_hard.") else Apart(transform)


def _what_to_do(x: Any) -> str:
    """About what a function gave in place of a float tensor (3, H, W)."""
    import torch

    shape = tuple(getattr(x, "shape", ()))
    if isinstance(x, Image.Image):
        return ": end with ToTensor()"
    if isinstance(x, Mapping) or hasattr(x, "keys"):
        keys = ", ".join(map(str, list(x.keys())[:3]))
        return f": take the tensor out of it (it has {keys})"
    if isinstance(x, (tuple, list)):
        return ": several views of an image are --tta's business"
    if not isinstance(x, (torch.Tensor, np.ndarray)):
        return ""
    if len(shape) == 4 and shape[0] == 1:
        return ": take [0], one image without a batch"
    if len(shape) == 3 and shape[0] not in (1, 3) and shape[2] in (1, 3, 4):
        return ": its channels come last; permute(2, 0, 1), or ToTensorV2, puts them first"
    if isinstance(x, np.ndarray):
        return ": torch.from_numpy makes a tensor of it"
    if len(shape) != 3 or shape[0] != 3:
        return ": a classifier of ImageNet takes the three channels of RGB"
    return ", scaled to [0, 1]: end with ToTensor(), or ToDtype(torch.float32, scale=True)"


def paper_transform(mean: tuple[float, float, float], std: tuple[float, float, float]) -> Transform:
    """``--transform paper``: Resize(256) bilinear, CenterCrop(224), then RGB (paper, evaluation code)."""
    return Transform(256, (224, 224), "bilinear", mean, std, rgb="last")


def to_rgb(image: Image.Image) -> Image.Image:
    """RGB as PIL's ``convert``, the way torchvision's and timm's loaders do it."""
    return image if image.mode == "RGB" else image.convert("RGB")


def center_crop(image: Image.Image | Enlarged, crop: tuple[int, int]) -> Image.Image:
    """torchvision's ``CenterCrop``: what lies outside the image is black."""
    height, width = crop
    left, top = _before(image.width, width), _before(image.height, height)
    return image.crop((left, top, left + width, top + height))


def _before(length: int, crop: int) -> int:
    """Where the middle ``crop`` of a side begin; torchvision pads a shorter one, the odd pixel at its end."""
    return -((crop - length) // 2) if length < crop else round((length - crop) / 2.0)


def fixed_images() -> list[Image.Image]:
    """Two fixed images, made by integer arithmetic: 500 x 375 and 120 x 200. A caller may write into them."""
    return [Image.fromarray(pixels) for pixels in _fixed_pixels()]


@cache
def _fixed_pixels() -> list[NDArray[np.uint8]]:
    """uint8 (H, W, 3) each."""
    found = []
    for width, height in ((500, 375), (120, 200)):
        y, x = np.mgrid[0:height, 0:width]
        rgb = np.stack([(x * 7 + y * 3) % 256, (x * y) % 251, (x * 5 ^ y * 9) % 256], axis=2)
        found.append(rgb.astype(np.uint8))
    return found


def output_sha256(transform: ImageTransform) -> str:
    """Hash of a transform's float32 output: two machines with one hash see the same pixels."""
    digest = hashlib.sha256()
    for image in fixed_images():
        x = transform.batch([transform.pixels(image)], "cpu").contiguous()
        digest.update(repr(tuple(x.shape)).encode() + x.numpy().tobytes())
    return digest.hexdigest()
