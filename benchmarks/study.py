"""The zoom study: the greedy cover of 50,000 images by 324 zooms, and the zooms of real images.

    python benchmarks/study.py [--images N] [--repeats N] [--zoomed N] [--data FOLDER] [--model NAME]

The matrix is random, of images of different difficulty and zooms of different worth; the plain loop counts
every zoom again at each step, as the paper's notebook does. Both must choose the same zooms. --zoomed N
runs every zoom of N images by torch and by OpenVINO instead, in turns (an image takes 3 to 10 s by each of
them on two cores): no prediction may differ, near-ties aside. The limit is that of benchmarks/curation.py.
"""

from __future__ import annotations

import argparse
import statistics
import time
from functools import partial
from typing import Any

import numpy as np
from record import record

from curation import WAYS, evenly, limit, ours, warm_up, ways
from imagenet_hard.curation.recipe import Recipe
from imagenet_hard.curation.score.classifiers import load_classifiers
from imagenet_hard.curation.store import CurationStore
from imagenet_hard.dataset.load import load_dataset
from imagenet_hard.imagenet.zoom import ZoomGrid
from imagenet_hard.study.cover import greedy_cover
from imagenet_hard.study.figures import zoom_accuracy


def matrix(n: int) -> np.ndarray:
    """bool (n, 324): about 96 % of the images solvable, with a cover of some 180 zooms."""
    rng = np.random.default_rng(0)
    difficulty, worth = rng.normal(size=(n, 1)), rng.normal(-0.8, 0.7, (1, 324))
    return difficulty + worth + rng.normal(size=(n, 324)) > 1.2


def plain(correct: np.ndarray) -> list[int]:
    left, zooms = np.ones(len(correct), bool), []
    while (gain := correct[left].sum(axis=0)).max() > 0:
        zooms.append(int(gain.argmax()))
        left &= ~correct[:, zooms[-1]]
    return zooms


def zooms(data: str, n: int, model: str, repeats: int) -> None:
    recipe = Recipe.model_validate(
        {
            "name": "benchmark",
            "version": "1.0.0",
            "sources": [{"variant": "imagenet", "path": "images"}],
            "classifiers": [{"model": model}],
        }
    )
    classifiers, images = load_classifiers(recipe), evenly(load_dataset(data), n)
    seconds: dict[str, list[float]] = {way: [] for way in ways(["fp32", "openvino"])}
    bare: dict[str, list[float]] = {way: [] for way in seconds}
    seen: dict[str, Any] = {}

    def looked(way: str, store: CurationStore) -> None:
        found = [store.views(record.id)[classifiers[0].id] for record in store.images()]
        seen[way] = tuple(
            np.stack([getattr(each, name) for each in found]) for name in ("predicted", "deficit")
        )

    for way in seconds:
        warm_up(classifiers, way)
    for _ in range(repeats):
        for way, took in seconds.items():
            _, progress, work = ours(
                images, classifiers, WAYS[way][0], exhaustive=True, looked=partial(looked, way)
            )
            took.append(progress.seconds)
            print(f"{way:10} {progress.seconds:.1f} s for {progress.crops} zooms", flush=True)
            bare[way].append(sum(limit(images, classifiers, work, WAYS[way][0])))
    for way, took in seconds.items():
        ratios = [b / s for b, s in zip(bare[way], took, strict=True)]
        print(
            f"{way:10} {statistics.median(took) / n:7.3f} s/image (spread {min(took) / n:.3f}.."
            f"{max(took) / n:.3f}), {statistics.median(ratios):.2f} of the limit"
        )
    if "openvino" in seen:
        (plain, deficits), (other, _) = seen["fp32"], seen["openvino"]
        differ = plain != other
        ratios = [a / b for a, b in zip(seconds["fp32"], seconds["openvino"], strict=True)]
        print(
            f"openvino: {statistics.median(ratios):.2f} x fp32; {differ.sum()} of {differ.size} predictions "
            f"differ, {(differ & (np.abs(deficits) >= 1e-3)).sum()} of them where no near-tie decides"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--zoomed", type=int, metavar="N")
    parser.add_argument("--data", default="sample", help="folder of labelled images")
    parser.add_argument("--model", default="efficientnet_lite0")
    options = parser.parse_args()
    if options.zoomed:
        zooms(options.data, options.zoomed, options.model, options.repeats)
        return
    correct = matrix(options.images)
    seconds: dict[str, list[float]] = {"pack": [], "ours": [], "plain": [], "accuracies": []}
    for _ in range(options.repeats):
        start = time.perf_counter()
        packed = np.packbits(correct.T, axis=1)
        seconds["pack"].append(time.perf_counter() - start)
        start = time.perf_counter()
        cover = greedy_cover(packed)
        seconds["ours"].append(time.perf_counter() - start)
        start = time.perf_counter()
        assert plain(correct) == list(cover.zooms), "the covers differ"
        seconds["plain"].append(time.perf_counter() - start)
        start = time.perf_counter()
        zoom_accuracy(correct, ZoomGrid())
        seconds["accuracies"].append(time.perf_counter() - start)
    median = {name: statistics.median(each) for name, each in seconds.items()}
    print(f"{options.images:,} x 324: {cover.n_solvable:,} solvable, cover of {len(cover.zooms)} zooms")
    for name, value in median.items():
        print(f"{name:10} {value:8.3f} s (worst {max(seconds[name]):.3f})")
    record(
        f"greedy cover of {options.images:,} x 324, against the plain loop",
        seconds["ours"],
        reference=seconds["plain"],
    )
    print(f"ours is {median['plain'] / median['ours']:.1f} times as fast as the plain loop")


if __name__ == "__main__":
    main()
