"""A processor's transform: the bits that it gives itself, under both of its backends."""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

from typing import Any

import pytest
import torch
from PIL import Image

from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.classifiers.processor_transform import (
    Patches,
    ProcessorTransform,
    input_size,
    patches_of,
    transform_of,
)
from imagenet_hard.classifiers.transform import CallableTransform, fixed_images

transformers = pytest.importorskip("transformers")

MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
SQUARE, SHORTEST = {"height": 24, "width": 24}, {"shortest_edge": 24}
CROP = {"height": 19, "width": 19}

SAMPLES = [
    *fixed_images(),
    *(
        fixed_images()[0].resize(size)
        for size in ((24, 24), (25, 24), (31, 200), (19, 23), (7, 5), (48, 333))
    ),
    fixed_images()[0].convert("L"),
]
"""Wide, tall, of the size itself, with an odd rest, smaller than the crop, grey."""

DATA: list[tuple[str, dict[str, Any]]] = [
    ("ViT", {"size": SQUARE}),
    ("ViT", {"size": {"height": 24, "width": 31}, "resample": 3, "image_mean": MEAN, "image_std": STD}),
    ("CLIP", {"size": SHORTEST, "crop_size": CROP, "image_mean": MEAN, "image_std": STD}),
    ("CLIP", {"size": SHORTEST, "crop_size": {"height": 32, "width": 29}}),
    ("CLIP", {"do_resize": False, "crop_size": {"height": 32, "width": 29}}),
    ("Siglip", {"size": SQUARE}),
    ("DeiT", {"size": {"height": 30, "width": 30}, "crop_size": CROP}),
    ("Bit", {"size": SHORTEST, "crop_size": CROP, "resample": 2}),
    ("Pvt", {"size": SQUARE}),
    ("ConvNext", {"size": SHORTEST, "crop_pct": 0.875}),
    ("ConvNext", {"size": {"shortest_edge": 29}, "crop_pct": 0.95, "resample": 2}),
    ("ConvNext", {"size": {"shortest_edge": 384}}),
]

CODE: list[tuple[str, dict[str, Any]]] = [
    ("EfficientNet", {"size": SQUARE, "rescale_factor": 1 / 127.5, "rescale_offset": True}),
    ("MobileViT", {"size": SHORTEST, "crop_size": CROP}),
    ("ViT", {"size": SQUARE, "do_normalize": False}),
    ("ViT", {"size": SQUARE, "rescale_factor": 1 / 127.5}),
    ("ViT", {"size": SQUARE, "resample": 0}),
    ("PoolFormer", {"size": SHORTEST, "crop_size": CROP}),
]


def processor(name: str, backend: str, settings: dict[str, Any]) -> Any:
    suffix = "Pil" if backend == "pil" else ""
    return getattr(transformers, f"{name}ImageProcessor{suffix}")(**settings)


@pytest.mark.parametrize("backend", ["torchvision", "pil"])
@pytest.mark.parametrize(("name", "settings"), [*DATA, *CODE])
def test_it_gives_the_processors_bits(name: str, settings: dict[str, Any], backend: str) -> None:
    """As data for the classes that are known, else by the processor itself; which backend ran is said."""
    theirs = processor(name, backend, settings)
    ours = transform_of(theirs)
    described = ours.describe()
    if (name, settings) in DATA:
        assert isinstance(ours, ProcessorTransform)
        assert (described["kind"], described["resizer"]) == ("processor", backend)
    else:
        assert isinstance(ours, CallableTransform)
        assert (described["kind"], described["backend"]) == ("callable", backend)
        assert described["name"] == f"transformers.{type(theirs).__name__}"
    for image in SAMPLES:
        expected = theirs(images=[image.convert("RGB")], return_tensors="pt")["pixel_values"][0]
        got = ours.batch([ours.pixels(image)], "cpu")
        assert got.dtype == torch.float32
        assert torch.equal(got[0], expected.float()), image.size
    assert input_size(ours) == tuple(got.shape[-2:])


def test_the_backends_differ_and_have_other_hashes() -> None:
    """Which is why the record says which one ran."""
    fast, slow = (transform_of(processor("CLIP", b, {"size": SHORTEST})) for b in ("torchvision", "pil"))
    assert fast.sha256() != slow.sha256()
    assert transform_of(processor("CLIP", "pil", {"size": SHORTEST})) == slow


def test_a_class_that_does_other_steps_than_it_is_known_for_runs_itself() -> None:
    """Seen on the fixed images."""

    class ViTImageProcessor(transformers.ViTImageProcessor):  # type: ignore[misc, name-defined]
        def rescale_and_normalize(self, images: Any, *args: Any) -> Any:
            return super().rescale_and_normalize(images, *args) * 2

    assert isinstance(transform_of(ViTImageProcessor(size=SQUARE)), CallableTransform)


@pytest.mark.parametrize("name", ["Siglip2ImageProcessor", "Siglip2ImageProcessorPil"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_patches_are_packed_and_read_again(name: str, dtype: torch.dtype) -> None:
    """NaFlex: values, mask and shape of each image, in one batch; a long image has more than 256 across."""
    theirs = getattr(transformers, name)(patch_size=4, max_num_patches=600)
    ours, patches = transform_of(theirs), patches_of(theirs)
    assert patches == Patches(4, 600)
    assert input_size(ours) == (96, 96)
    images = [*fixed_images(), Image.new("RGB", (4000, 6), (250, 3, 99))]
    batch = ours.batch([ours.pixels(image) for image in images], "cpu").to(dtype)
    found = patches.inputs(batch)
    expected = theirs(images=images, return_tensors="pt")
    assert expected["spatial_shapes"].max() > 256
    assert torch.equal(found["pixel_values"], expected["pixel_values"].to(dtype))
    for key in ("pixel_attention_mask", "spatial_shapes"):
        assert torch.equal(found[key].long(), expected[key].long()), key


def test_patches_are_cut_from_images_of_whole_patches() -> None:
    """As the processor cuts them; others are refused."""
    theirs = transformers.Siglip2ImageProcessor(patch_size=4, max_num_patches=24)
    patches = Patches(4, 24)
    pixels = torch.rand(2, 3, 12, 20)
    found = patches.inputs(pixels)
    for i in range(2):
        as_given = theirs(
            images=[pixels[i]], do_resize=False, do_rescale=False, do_normalize=False, return_tensors="pt",
            input_data_format="channels_first",
        )  # fmt: skip
        for key in ("pixel_values", "pixel_attention_mask", "spatial_shapes"):
            assert torch.equal(found[key][i], as_given[key][0].to(found[key].dtype)), key
    with pytest.raises(ClassifierError, match="12 x 18 pixels: expected sides of whole patches of 4, 24 in"):
        patches.inputs(pixels[..., :18])
    with pytest.raises(ClassifierError, match="64 x 64 pixels"):
        patches.inputs(torch.rand(1, 3, 64, 64))
