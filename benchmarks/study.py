"""The greedy cover of 50,000 images by 324 zooms: ours against the plain loop, in one run.

    python benchmarks/study.py [--images N] [--repeats N]

The matrix is random, of images of different difficulty and zooms of different worth; the plain loop counts
every zoom again at each step, as the paper's notebook does. Both must choose the same zooms.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from record import record

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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
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
