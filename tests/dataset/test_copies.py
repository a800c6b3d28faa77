"""Copies that were planted in real images are found, and pictures that are none are not."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from imagenet_hard.dataset.benchmark import Benchmark, Source
from imagenet_hard.dataset.copies import (
    BITS,
    BY_HASH_BITS,
    COLUMNS,
    COMPARED,
    NEAR_BITS,
    NEAR_LOW_BITS,
    ROWS,
    SIMILAR,
    HashedImages,
    agreement,
    candidates,
    copies_within,
    explain_copies,
    find_copies,
)
from imagenet_hard.dataset.load import load_dataset
from imagenet_hard.dataset.perceptual import VIEWS, WHOLE, hash_images, reduced
from tests.dataset.images import encoded, picture


def hashed(files: Mapping[str, bytes]) -> HashedImages:
    """Images in memory, hashed."""
    ids, data = list(files), list(files.values())
    images = Benchmark(Source("x", "folder"), ids, [()] * len(ids), [""] * len(ids), data.__getitem__)
    return HashedImages([*hash_images(images, range(len(ids)))], images)


@pytest.fixture(scope="module")
def photos() -> dict[str, bytes]:
    """Twelve real photographs."""
    sample = load_dataset("sample")
    return {sample.ids[i]: sample[i].image for i in range(12)}


@pytest.fixture(scope="module")
def originals(photos) -> HashedImages:
    return hashed(photos)


def crop(image: Image.Image, x: float, y: float) -> Image.Image:
    width, height = round(0.9 * image.width), round(0.9 * image.height)
    left, top = round(x * (image.width - width)), round(y * (image.height - height))
    return image.crop((left, top, left + width, top + height))


KINDS = {
    "small": lambda image: image.resize((100, 100)),
    "cropped": lambda image: crop(image, 0.3, 0.8),
    "mirrored": ImageOps.mirror,
    "bright": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "bordered": lambda image: ImageOps.expand(image, 20, (255, 255, 255)),
    "mirrored and cropped": lambda image: ImageOps.mirror(crop(image, 0.0, 1.0)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_planted_copies_are_found_and_nothing_else(kind, photos, originals):
    made = {
        f"copy of {id}": encoded(KINDS[kind](Image.open(BytesIO(data)).convert("RGB")), "JPEG", quality=80)
        for id, data in photos.items()
    }
    found = find_copies(originals, hashed(made))
    assert sorted((copy.a, copy.b) for copy in found) == sorted((id, f"copy of {id}") for id in photos)
    assert {copy.relation for copy in found} == {"near-copy"}
    assert all(SIMILAR <= copy.similarity <= 1 for copy in found)
    assert [copy.similarity for copy in found] == sorted((c.similarity for c in found), reverse=True)


def test_it_does_not_matter_which_side_is_the_copy(photos, originals):
    """A larger picture of which the benchmark has a part."""
    id, data = next(iter(photos.items()))
    part = hashed({"part": encoded(crop(Image.open(BytesIO(data)).convert("RGB"), 0.2, 0.6), "JPEG")})
    assert [(c.a, c.b) for c in find_copies(part, originals)] == [("part", id)]
    assert [(c.a, c.b) for c in find_copies(originals, part)] == [(id, "part")]


def test_within_one_set(photos):
    """Each pair once; images of equal bytes are compared with others under the first id."""
    (first, data), (second, other) = list(photos.items())[:2]
    again = encoded(Image.open(BytesIO(data)).convert("RGB"), "JPEG", quality=60)
    found = find_copies(hashed({first: data, "same": data, "near": again, second: other}))
    assert [copy[:3] for copy in found] == [
        (first, "same", "identical bytes"),
        (first, "near", "near-copy"),
    ]


def test_between_sets_equal_bytes_are_all_told(photos):
    data = next(iter(photos.values()))
    found = find_copies(hashed({"a": data}), hashed({"b": data, "c": data}))
    assert found == [("a", "b", "identical bytes", 1.0), ("a", "c", "identical bytes", 1.0)]


def test_by_hash_alone_the_relation_says_so(photos, originals):
    made = {id: encoded(Image.open(BytesIO(data)).convert("RGB"), "JPEG") for id, data in photos.items()}
    found = find_copies(originals, HashedImages(hashed(made).rows))
    assert {(copy.a, copy.b) for copy in found} == {(id, id) for id in photos}
    assert {copy.relation for copy in found} == {"near-copy by hash"}
    assert all(copy.similarity >= 1 - BY_HASH_BITS / BITS for copy in found)


def test_what_cannot_be_decoded_is_compared_by_its_bytes():
    broken = hashed({"a": b"text", "b": b"text", "c": encoded(picture())})
    assert broken.unread == ("a", "b")
    assert find_copies(broken) == [("a", "b", "identical bytes", 1.0)]


def test_pictures_without_anything_in_them_are_no_near_copies():
    plain = {str(grey): encoded(Image.new("L", (50, 40), grey)) for grey in (0, 1, 128, 255)}
    assert find_copies(hashed(plain)) == []


def test_nothing_at_all():
    assert find_copies(hashed({}), hashed({"a": encoded(picture())})) == []


def test_a_copy_agrees_and_a_blurred_likeness_does_not(photos):
    """Agreement is of the detail: the same coarse shapes under other detail are no copy."""
    image = reduced(next(iter(photos.values())), "x")
    assert agreement(image, WHOLE, image, WHOLE) == pytest.approx(1)
    coarse = image.resize((8, 8)).resize(image.size, Image.Resampling.BICUBIC)
    noise = np.random.default_rng(0).normal(0, 12, (image.height, image.width))
    likeness = Image.fromarray(np.clip(np.asarray(coarse) + noise, 0, 255).astype(np.uint8))
    assert agreement(image, WHOLE, likeness, WHOLE) < SIMILAR / 2


def test_within_a_benchmark_in_words(photos, monkeypatch):
    """One call for a benchmark, and its warning; without ImageHash the copies are unknown, not none."""
    data = next(iter(photos.values()))
    images = hashed({"a": data, "b": data}).images
    seen: list[int] = []
    found = copies_within(images, seen.append)
    assert found == [("a", "b", "identical bytes", 1.0)]
    assert sum(seen) == 2
    assert explain_copies(found) == "1 pair shows the same picture: a = b (1.00)"
    assert explain_copies([]) == ""
    monkeypatch.setattr("imagenet_hard.dataset.copies.find_spec", lambda name: None)
    assert copies_within(images) is None
    assert explain_copies(None).startswith("near-copies were not looked for: pip install")


def near(rng: np.random.Generator, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Random hashes, uint64 (n, VIEWS, 4), and others of which some views are near to one of them."""
    a = rng.integers(0, 2**64, (n, VIEWS, 4), dtype=np.uint64)
    b = rng.integers(0, 2**64, (m, VIEWS, 4), dtype=np.uint64)
    for _ in range(12):
        view_a, view_b = COMPARED[rng.integers(len(COMPARED))]
        flips = rng.random((4, 64)) < rng.choice([0.02, 0.25, 0.32])
        mask = np.packbits(flips, axis=1).view(np.uint64)[:, 0]
        b[rng.integers(m), view_b] = a[rng.integers(n), view_a] ^ mask
    return a, b


def expected(a: np.ndarray, b: np.ndarray) -> dict[tuple[int, int], int]:
    """(i, j) -> the fewest bits, pair by pair."""
    found: dict[tuple[int, int], int] = {}
    for i in range(len(a)):
        for j in range(len(b)):
            for view_a, view_b in COMPARED:
                bits = [
                    (int(x) ^ int(y)).bit_count() for x, y in zip(a[i, view_a], b[j, view_b], strict=True)
                ]
                if bits[0] <= NEAR_LOW_BITS and sum(bits) <= NEAR_BITS:
                    found[i, j] = min(sum(bits), found.get((i, j), BITS))
    return found


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, ROWS + 3), st.integers(1, 9))
def test_candidates_are_those_of_pair_by_pair(seed, n, m):
    a, b = near(np.random.default_rng(seed), n, m)
    seen: list[int] = []
    found = list(candidates(a, b, seen.append))
    assert {(each.i, each.j): each.bits for each in found} == expected(a, b)
    assert len({(each.i, each.j) for each in found}) == len(found)
    assert sum(seen) == n


def test_candidates_across_blocks():
    """More columns than a block has, within one set: the pairs above the diagonal, each once."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 2**64, (COLUMNS + 40, VIEWS, 4), dtype=np.uint64)
    for i, j in [(0, COLUMNS + 5), (COLUMNS - 1, COLUMNS), (COLUMNS + 1, COLUMNS + 39), (17, 18)]:
        a[j, WHOLE] = a[i, WHOLE]
    some = np.r_[0:20, COLUMNS - 4 : COLUMNS + 40]
    within = {(each.i, each.j) for each in candidates(a[some])}
    across = {(some[each.i], some[each.j]) for each in candidates(a[some], a[some]) if each.i < each.j}
    assert {(some[i], some[j]) for i, j in within} == across
    assert {(int(i), int(j)) for i, j in across} >= {(0, COLUMNS + 5), (17, 18)}
    assert {(e.i, e.j) for e in candidates(a[:20], a)} >= {(0, COLUMNS + 5), (17, 18)}
