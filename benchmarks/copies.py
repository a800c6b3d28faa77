"""How many planted copies `imagenet-hard copies` finds, and how many pairs it finds that are none.

    python benchmarks/copies.py [--data FOLDER]... [--copies N] [--seed S]

Of N images (default 150) a copy of each kind is planted, as JPEG of quality 90 where the kind says nothing
else, and all of them are compared with all images. FOLDERs of images, by default those that stand beside the
checkout, or else the sample. A pair of a copy and another image than its own is false; an image that is in
the data twice would count as such, so the pairs are printed to be looked at.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps
from record import record

from imagenet_hard.dataset.benchmark import Benchmark, Source
from imagenet_hard.dataset.copies import HashedImages, find_copies
from imagenet_hard.dataset.decode import decode
from imagenet_hard.dataset.load import load_images
from imagenet_hard.dataset.perceptual import hash_images

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
Kind = Callable[[Image.Image, random.Random], Image.Image]


def resized(side: int) -> Kind:
    return lambda image, rng: image.resize((side, side), Image.Resampling.BILINEAR)


def cropped(image: Image.Image, x: float, y: float, kept: float = 0.9) -> Image.Image:
    width, height = round(kept * image.width), round(kept * image.height)
    left, top = round(x * (image.width - width)), round(y * (image.height - height))
    return image.crop((left, top, left + width, top + height))


def brighter(factor: float) -> Kind:
    return lambda image, rng: ImageEnhance.Brightness(image).enhance(factor)


def bordered(share: float, colour: tuple[int, int, int]) -> Kind:
    return lambda image, rng: ImageOps.expand(image, round(share * max(image.size)), colour)


def anywhere(image: Image.Image, rng: random.Random) -> Image.Image:
    return cropped(image, rng.random(), rng.random())


KINDS: Mapping[str, Kind] = {
    "half the size": lambda image, rng: image.resize([max(1, side // 2) for side in image.size]),
    "224 x 224": resized(224),
    "64 x 64": resized(64),
    "JPEG of quality 30": lambda image, rng: image,
    "cropped by 10 %, centre": lambda image, rng: cropped(image, 0.5, 0.5),
    "cropped by 10 %, anywhere": anywhere,
    "mirrored": lambda image, rng: ImageOps.mirror(image),
    "brighter by 40 %": brighter(1.4),
    "darker by 30 %": brighter(0.7),
    "black border of 10 %": bordered(0.1, (0, 0, 0)),
    "white border of 10 %": bordered(0.1, (255, 255, 255)),
    "green border of 4 %": bordered(0.04, (60, 130, 60)),
    "mirrored, cropped, 200 x 200": lambda image, rng: resized(200)(
        ImageOps.mirror(anywhere(image, rng)), rng
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, action="append")
    parser.add_argument("--copies", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folders = options.data or [
        each for each in (SHARED / "imagenet-val" / "images", SHARED / "imagenet-samples") if each.is_dir()
    ]
    originals = joined([load_images(each) for each in folders] or [load_images("sample")])
    planted = plant(originals, options.copies, random.Random(options.seed))
    start = time.perf_counter()
    ours = HashedImages([*hash_images(originals, range(len(originals)))], originals)
    seconds = time.perf_counter() - start
    theirs = HashedImages([*hash_images(planted, range(len(planted)))], planted)
    print(f"{len(originals):,} images, hashed at {1000 * seconds / len(originals):.1f} ms each")
    record("copies: hashing an image", [seconds / len(originals)])
    report("confirmed on pixels", ours, theirs)
    report("by hash alone", ours, HashedImages(theirs.rows))
    within = find_copies(ours)
    print(f"\nwithin the images themselves, {len(within)} pairs:")
    for copy in within:
        print(f"  {copy.a} = {copy.b}: {copy.relation}, {copy.similarity:.3f}")


def joined(sets: list[Benchmark]) -> Benchmark:
    """All images as one set; their folder's name stands before their ids."""
    places = [(each, i) for each in sets for i in range(len(each))]
    ids = [f"{each.name}/{each.ids[i]}" for each, i in places]
    return images("all", ids, lambda i: places[i][0][places[i][1]].image)


def images(name: str, ids: list[str], read: Callable[[int], bytes]) -> Benchmark:
    return Benchmark(Source(name, "folder"), ids, [()] * len(ids), [""] * len(ids), read)


def plant(originals: Benchmark, n: int, rng: random.Random) -> Benchmark:
    """A copy of each kind of ``n`` images; ids are KIND|ID."""
    chosen = sorted(rng.sample(range(len(originals)), min(n, len(originals))))
    places = [(kind, i) for i in chosen for kind in KINDS]

    def read(place: int) -> bytes:
        kind, i = places[place]
        example = originals[i]
        image = decode(example.image, id=example.id).convert("RGB")
        buffer = BytesIO()
        made = KINDS[kind](image, random.Random(place))
        made.save(buffer, "JPEG", quality=30 if kind == "JPEG of quality 30" else 90)
        return buffer.getvalue()

    return images("planted", [f"{kind}|{originals.ids[i]}" for kind, i in places], read)


def report(how: str, ours: HashedImages, theirs: HashedImages) -> None:
    start = time.perf_counter()
    found = find_copies(ours, theirs)
    seconds = time.perf_counter() - start
    right, false = defaultdict[str, int](int), []
    for copy in found:
        kind, _, id = copy.b.partition("|")
        if id == copy.a:
            right[kind] += 1
        else:
            false.append(copy)
    n = len(theirs.rows) // len(KINDS)
    pairs = len(theirs.rows) * (len(ours.rows) - 1)
    print(f"\n{how}: {len(theirs.rows):,} x {len(ours.rows):,} in {seconds:.1f} s")
    for kind in KINDS:
        print(f"  {kind:<30} {100 * right[kind] / n:6.2f} % of {n}")
    touched = len({copy.b for copy in false})
    print(f"  false: {len(false)} of {pairs:,} pairs, at {touched} of {len(theirs.rows):,} copies")
    for copy in false[:20]:
        print(f"    {copy.a} = {copy.b}: {copy.similarity:.3f}")


if __name__ == "__main__":
    main()
