"""The zoom grid against the paper's protocol, done the plain way with torchvision and numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from imagenet_hard.base.errors import UsageError
from imagenet_hard.imagenet.zoom import ANCHORS, PAPER_SCALES, ZoomGrid, origin

GRID = ZoomGrid()


def by_protocol(image: Image.Image, scale: int, row: int, column: int, size: int = 224) -> np.ndarray:
    """One zoom by the letter of the protocol: torchvision's resize, then pixels copied row by row."""
    return cut(resized(image, scale), row, column, size)


def resized(image: Image.Image, scale: int) -> np.ndarray:
    """uint8 (h, w, 3): by torchvision, as all nine zooms of a scale see the image."""
    return np.asarray(transforms.Resize(scale, InterpolationMode.BICUBIC)(image))


def cut(resized: np.ndarray, row: int, column: int, size: int = 224) -> np.ndarray:
    """uint8 (size, size, 3): the square around the centre of one cell, copied row by row."""
    height, width = resized.shape[:2]
    tile_w, tile_h = width // 3, height // 3
    left = column * tile_w + tile_w // 2 - size // 2
    top = row * tile_h + tile_h // 2 - size // 2
    out = np.zeros((size, size, 3), np.uint8)
    for y in range(size):
        if 0 <= top + y < height:
            first, last = max(0, left), min(width, left + size)
            if first < last:
                out[y, first - left : last - left] = resized[top + y, first:last]
    return out


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """RGB noise."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def test_the_grid_is_the_papers():
    """36 scales, made as the paper's code makes them, and 9 anchors: 324 zooms."""
    picked = {16, 32, 48, 64, 96, 128, 192, 224, 256, 288, 320, 384, 448, 512, 576, 640}
    linspace = {int(x) for x in np.linspace(10, 1024, 10)}
    assert len(PAPER_SCALES) == 36
    assert picked | linspace <= set(PAPER_SCALES)
    assert len(ANCHORS) == 9
    assert len(GRID) == len(list(GRID)) == 324
    assert (GRID.standard, GRID[112].scale, GRID[112].row, GRID[112].column) == (112, 256, 1, 1)


def test_every_zoom_of_one_image_equals_the_protocol():
    """All 324, pixel by pixel, from one pass that resizes once a scale."""
    image = picture(150, 211)
    found = list(GRID.crops(image, range(324)))
    assert [number for number, _ in found] == list(range(324))
    seen = {scale: resized(image, scale) for scale in GRID.scales}
    for number, pixels in found:
        zoom = GRID[number]
        expected = cut(seen[zoom.scale], zoom.row, zoom.column)
        np.testing.assert_array_equal(pixels, expected, err_msg=str(zoom))


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 400),
    height=st.integers(1, 400),
    number=st.integers(0, 323),
    seed=st.integers(0, 99),
)
def test_any_zoom_of_any_size_equals_the_protocol(width, height, number, seed):
    """Also images of one pixel, and smaller than the crop."""
    if max(width, height) > 40 * min(width, height):  # a resize to 40,000 pixels proves no more
        return
    image = picture(width, height, seed)
    zoom = GRID[number]
    ((_, pixels),) = GRID.crops(image, [number])
    np.testing.assert_array_equal(pixels, by_protocol(image, zoom.scale, zoom.row, zoom.column))


@pytest.mark.parametrize("size", [(1, 60), (60, 1), (3, 200), (1, 1), (2, 3)])
def test_extreme_aspect_ratios(size):
    """A line of pixels is resized by the same rule."""
    image = picture(*size)
    for number in (0, 40, 112, 116):
        zoom = GRID[number]
        ((_, pixels),) = GRID.crops(image, [number])
        np.testing.assert_array_equal(pixels, by_protocol(image, zoom.scale, zoom.row, zoom.column))


@pytest.mark.parametrize("number", [4, 112, 318, 319, 323])
def test_a_line_of_3000_pixels_at_any_scale(number):
    """At scale 1024 it would have 3 billion pixels. As it is one pixel wide, one column tells them all."""
    line, zoom = picture(1, 3000), GRID[number]
    column = np.asarray(line.resize((1, zoom.scale * 3000), Image.Resampling.BICUBIC))
    left, top = origin((zoom.scale, len(column)), zoom.row, zoom.column)
    expected = np.zeros((224, 224, 3), np.uint8)
    for x in range(224):
        if 0 <= left + x < zoom.scale:
            expected[:, x] = column[top : top + 224, 0]
    ((_, down),) = GRID.crops(line, [number])
    np.testing.assert_array_equal(down, expected)
    turned = number // 9 * 9 + 3 * zoom.column + zoom.row
    ((_, across),) = GRID.crops(line.transpose(Image.Transpose.TRANSPOSE), [turned])
    np.testing.assert_array_equal(across, expected.swapaxes(0, 1))


@given(st.sets(st.integers(0, 323), max_size=12))
@settings(max_examples=20, deadline=None)
def test_a_subset_gives_the_same_crops(numbers):
    """What else is asked for does not change a crop."""
    image = picture(40, 30)
    for number, pixels in GRID.crops(image, numbers):
        ((_, alone),) = GRID.crops(image, [number])
        np.testing.assert_array_equal(pixels, alone)


@given(width=st.integers(1, 3000), height=st.integers(1, 3000))
def test_anchors_lie_in_the_image(width, height):
    """The centre of every anchor is a pixel of the image."""
    for row, column in ANCHORS:
        left, top = origin((width, height), row, column)
        assert 0 <= left + 112 < width
        assert 0 <= top + 112 < height


@pytest.mark.parametrize("size", [112, 160, 240, 336, 448])
def test_another_crop_size_shows_the_same_region(size):
    """At another input size each zoom covers the same part of the image, to a pixel of the resized one."""
    grid = ZoomGrid.for_size(size)
    assert grid.scale_of(grid.standard) == round(256 * size / 224)
    for number in range(0, 324, 37):
        zoom = GRID[number]
        scale = max(1, round(zoom.scale * size / 224))
        twin = grid.scales.index(scale) * 9 + number % 9
        a, b = (
            np.array(origin((s, s), zoom.row, zoom.column, c)) / s
            for s, c in ((zoom.scale, 224), (scale, size))
        )
        assert np.abs(a - b).max() < 4 / zoom.scale + 4 / scale
        assert grid[twin].row == zoom.row


@pytest.mark.parametrize("scales", [(), (0,), (20, 10), (10, 10)])
def test_scales_that_make_no_grid_are_refused(scales):
    """Scales rise and are positive."""
    with pytest.raises(UsageError, match="zoom scales are"):
        ZoomGrid(scales)


def test_a_grid_without_the_standard_view_says_so():
    """The standard view needs its scale."""
    with pytest.raises(UsageError, match="lack 256, that of the standard view"):
        _ = ZoomGrid((10, 20)).standard


def test_what_a_zoom_shows_of_the_image():
    """Scale 448 of a 448 x 672 image: its own pixels around the centre; scale 112 reaches beyond it."""
    grid = ZoomGrid((112, 448))
    assert grid.shown(9 + 4, (448, 672)) == (111.0, 224.0, 224.0, 224.0)
    left, top, width, height = grid.shown(4, (448, 672))
    assert (width, height) == (896.0, 896.0)
    assert left < 0
    assert top < 0
