"""The transform of a transformers image processor: as data where that is exact, else the processor itself.

A processor has two backends that give different pixels: torchvision's resizes tensors and takes mean and std
times 255, PIL's resizes images, as the library first did. Which one ran is part of the data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.classifiers.transform import (
    INTERPOLATIONS,
    CallableTransform,
    ImageTransform,
    Transform,
    fixed_images,
    to_rgb,
)

if TYPE_CHECKING:
    import torch

PLAIN = frozenset(f"{name}ImageProcessor" for name in ("Bit", "CLIP", "DeiT", "Pvt", "Siglip", "ViT"))
"""Classes that resize, crop, scale and normalise and do nothing else, under their torchvision names."""

RESAMPLE: Mapping[int, str] = {2: "bilinear", 3: "bicubic"}
"""PIL's numbers, of those that both backends have."""

CONVNEXT_WARPED = 384
"""From this size on ConvNeXT's processor resizes to a square, and crops nothing."""


@dataclass(frozen=True)
class ProcessorTransform(Transform):
    """A processor's steps as data, bit for bit what it gives for an RGB image.

    ``resizer``: its backend. The odd pixel of a centre crop is left at the end, as both backends do it, and
    before an image that is padded where the backend is PIL's.
    """

    resizer: Literal["torchvision", "pil"] = "torchvision"

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """uint8 (H, W, 3)."""
        image = to_rgb(image)
        size = self.resize
        if isinstance(size, int):
            short, long = sorted(image.size)
            other = int(size * long / short)
            size = (other, size) if image.width <= image.height else (size, other)
        if size is None:
            resized = np.asarray(image)
        elif self.resizer == "pil":
            resized = np.asarray(image.resize(size[::-1], INTERPOLATIONS[self.interpolation]))
        else:
            resized = _resized_tensor(image, size, self.interpolation)
        return resized if self.crop is None else np.ascontiguousarray(self._cropped(resized, self.crop))

    def _cropped(self, pixels: NDArray[np.uint8], crop: tuple[int, int]) -> NDArray[np.uint8]:
        missing = [max(0, wanted - side) for wanted, side in zip(crop, pixels.shape, strict=False)]
        if any(missing):
            more = 1 if self.resizer == "pil" else 0
            before = [(n + more) // 2 for n in missing]
            pixels = np.pad(pixels, [*((b, n - b) for b, n in zip(before, missing, strict=True)), (0, 0)])
        top, left = ((side - wanted) // 2 for wanted, side in zip(crop, pixels.shape, strict=False))
        return pixels[top : top + crop[0], left : left + crop[1]]

    def batch(self, pixels: Sequence[NDArray[np.uint8]], device: torch.device | str) -> torch.Tensor:
        """float32 (n, 3, H, W), channels last; torchvision's backend divides by ``std * 255`` at once."""
        import torch

        if self.resizer == "pil":
            return super().batch(pixels, device)
        host = torch.from_numpy(np.stack(pixels))
        if torch.device(device).type == "cuda":
            host = host.pin_memory()
        x = host.to(device, non_blocking=True).permute(0, 3, 1, 2).float()
        mean, std = ((torch.tensor(each) * 255.0).to(device).view(3, 1, 1) for each in (self.mean, self.std))
        return x.sub_(mean).div_(std)

    def describe(self) -> dict[str, Any]:
        described = {**super().describe(), "kind": "processor"}
        del described["rgb"]
        return described


def _resized_tensor(image: Image.Image, size: tuple[int, int], interpolation: str) -> NDArray[np.uint8]:
    import torch
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2.functional import resize

    x = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()[None]
    resized = resize(x, list(size), interpolation=InterpolationMode(interpolation), antialias=True)
    found: NDArray[np.uint8] = resized[0].permute(1, 2, 0).contiguous().numpy()
    return found


def transform_of(processor: Any) -> ImageTransform:
    """What ``processor`` does to an image."""
    settings = _settings(processor)
    found = _as_data(processor, settings)
    if found is not None and all(_agree(found, processor, image) for image in fixed_images()):
        return found
    described = {
        "name": f"transformers.{type(processor).__name__}",
        "backend": _backend(processor),
        **settings,
    }
    if (constants := _constants(settings)) is not None:
        described |= {"mean": list(constants[0]), "std": list(constants[1])}
    return CallableTransform(Processed(processor), described)


def _agree(transform: ImageTransform, processor: Any, image: Image.Image) -> bool:
    """Whether they give the same bits: a later version of the class may do other steps."""
    import torch

    return torch.equal(transform.batch([transform.pixels(image)], "cpu")[0], Processed(processor)(image))


def input_size(transform: ImageTransform) -> tuple[int, int]:
    """(height, width) of what the model takes."""
    function = transform.function if isinstance(transform, CallableTransform) else None
    if isinstance(function, Processed) and (patches := patches_of(function.processor)) is not None:
        return patches.square
    height, width = transform.batch([transform.pixels(fixed_images()[0])], "cpu").shape[-2:]
    return height, width


@dataclass(frozen=True)
class Processed:
    """A processor as a function of one image: float32 (3, H, W), or its patches packed (``Patches``)."""

    processor: Any

    def __call__(self, image: Image.Image) -> torch.Tensor:
        given = self.processor(images=[image], return_tensors="pt")
        if (patches := patches_of(self.processor)) is not None:
            return patches.packed(given)
        pixels: torch.Tensor = given["pixel_values"][0]
        return pixels.float()


@dataclass(frozen=True)
class Patches:
    """How an image of a size of its own (NaFlex) becomes a tensor of one size, and is read again.

    ``side``: of a patch in pixels; ``most``: patches that an image has at most. Packed is float32
    (3, most + 1, side²): the patches in rows, and in the last row how many they are down and across, in two
    digits of base 64 each, so that no precision rounds them.
    """

    side: int
    most: int

    @property
    def square(self) -> tuple[int, int]:
        """The largest square image, in pixels."""
        length = int(self.most**0.5) * self.side
        return length, length

    def packed(self, given: Mapping[str, torch.Tensor]) -> torch.Tensor:
        import torch

        rows = given["pixel_values"][0].reshape(self.most, self.side**2, 3).permute(2, 0, 1).float()
        last = torch.zeros(3, 1, self.side**2)
        height, width = given["spatial_shapes"][0].tolist()
        last[:, 0, :4] = torch.tensor([*divmod(height, 64), *divmod(width, 64)], dtype=torch.float32)
        return torch.cat([rows, last], dim=1)

    def inputs(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        """What the model is called with, for packed images or for (n, 3, H, W) whole patches in size.

        Raises:
            ClassifierError: for images that it cannot take.
        """
        import torch

        n, _, height, width = batch.shape
        side = self.side
        if (height, width) == (self.most + 1, side**2):
            values = batch[:, :, :-1].permute(0, 2, 3, 1).reshape(n, self.most, -1)
            digits = batch[:, 0, -1, :4].round().long()
            shapes = torch.stack([digits[:, 0] * 64 + digits[:, 1], digits[:, 2] * 64 + digits[:, 3]], dim=1)
        elif height % side == width % side == 0 and height * width <= self.most * side**2:
            down, across = height // side, width // side
            cut = batch.reshape(n, 3, down, side, across, side).permute(0, 2, 4, 3, 5, 1)
            values = batch.new_zeros(n, self.most, side**2 * 3)
            values[:, : down * across] = cut.reshape(n, down * across, -1)
            shapes = torch.tensor([[down, across]], device=batch.device).expand(n, -1)
        else:
            raise ClassifierError(
                f"images of {height} x {width} pixels: expected sides of whole patches of {side}, "
                f"{self.most} in all at most"
            )
        counted = torch.arange(self.most, device=batch.device)
        mask = (counted < shapes.prod(dim=1)[:, None]).int()
        return {"pixel_values": values, "pixel_attention_mask": mask, "spatial_shapes": shapes}


def patches_of(processor: Any) -> Patches | None:
    """The patches that a processor gives in place of an image; None of any other."""
    if "spatial_shapes" not in getattr(processor, "model_input_names", ()):
        return None
    return Patches(int(processor.patch_size), int(processor.max_num_patches))


def _backend(processor: Any) -> str:
    return str(getattr(processor, "backend", "pil"))


def _settings(processor: Any) -> dict[str, Any]:
    """Its settings as JSON data."""
    found: dict[str, Any] = json.loads(json.dumps(processor.to_dict(), default=str))
    return {key: value for key, value in found.items() if value is not None}


def _constants(settings: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and std of RGB in [0, 1]; None where the processor does something else, as ``BGR``."""
    mean, std = settings.get("image_mean"), settings.get("image_std")
    usual = (
        settings.get("do_rescale")
        and settings.get("do_normalize")
        and settings.get("rescale_factor") == 1 / 255
        and not settings.get("rescale_offset")
        and not settings.get("do_flip_channel_order")
    )
    if not usual or not all(isinstance(each, list) and len(each) == 3 for each in (mean, std)):
        return None
    assert mean is not None
    assert std is not None
    return tuple(map(float, mean)), tuple(map(float, std))


def _as_data(processor: Any, settings: Mapping[str, Any]) -> ProcessorTransform | None:
    """Its steps, where they are known to be no others."""
    kind, backend = type(processor).__name__.removesuffix("Pil"), _backend(processor)
    steps = _convnext(settings) if kind == "ConvNextImageProcessor" else _plain(kind, settings)
    constants, interpolation = _constants(settings), RESAMPLE.get(settings.get("resample", -1))
    if steps is None or constants is None or interpolation is None or settings.get("do_pad"):
        return None
    resize, crop = steps
    if backend not in ("torchvision", "pil") or (crop is None and not isinstance(resize, tuple)):
        return None
    mean, std = constants
    resizer: Literal["torchvision", "pil"] = "pil" if backend == "pil" else "torchvision"
    return ProcessorTransform(
        resize, crop, interpolation, (mean[0], mean[1], mean[2]), (std[0], std[1], std[2]), resizer=resizer
    )


Steps = tuple[int | tuple[int, int] | None, tuple[int, int] | None]
"""``resize`` and ``crop`` of a ``Transform``."""


def _plain(kind: str, settings: Mapping[str, Any]) -> Steps | None:
    if kind not in PLAIN:
        return None
    resize: int | tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    if settings.get("do_resize"):
        size = settings.get("size", {})
        if set(size) == {"shortest_edge"}:
            resize = int(size["shortest_edge"])
        elif set(size) == {"height", "width"}:
            resize = (int(size["height"]), int(size["width"]))
        else:
            return None
    if settings.get("do_center_crop"):
        size = settings.get("crop_size", {})
        if set(size) != {"height", "width"}:
            return None
        crop = (int(size["height"]), int(size["width"]))
    return resize, crop


def _convnext(settings: Mapping[str, Any]) -> Steps | None:
    """ConvNeXT's, which ResNet and RegNet have as well: ``crop_pct`` of the shorter side below 384 pixels."""
    size, pct = settings.get("size", {}), settings.get("crop_pct")
    if set(size) != {"shortest_edge"} or not settings.get("do_resize") or settings.get("do_center_crop"):
        return None
    side = int(size["shortest_edge"])
    if side >= CONVNEXT_WARPED:
        return (side, side), None
    return None if pct is None else (int(side / float(pct)), (side, side))
