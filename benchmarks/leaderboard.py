"""The board's statistics at scale: seconds for each part, and the pairs against a plain loop.

    python benchmarks/leaderboard.py [--entries M] [--images N]

Entries are random, of rising strength on images of different difficulty. The loop counts and tests one
pair after the other with scipy, on 2,000 pairs; its time for all pairs follows.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from record import record
from scipy.stats import binomtest

from imagenet_hard.leaderboard.stats.correctness import Correctness
from imagenet_hard.leaderboard.stats.images import by_group, solved
from imagenet_hard.leaderboard.stats.pairs import better, error_consistency, neighbours_apart
from imagenet_hard.leaderboard.stats.ranks import ranks

LOOP_PAIRS = 2_000


def board(m: int, n: int) -> np.ndarray:
    """bool (m, n)."""
    rng = np.random.default_rng(0)
    difficulty = rng.normal(size=n)
    rows = [rng.random(n) < 1 / (1 + np.exp(difficulty - s)) for s in np.linspace(-2, 1, m)]
    return np.array(rows)


def timed(name: str, part: Callable[[], Any]) -> tuple[Any, float]:
    """Run one part and print its seconds."""
    start = time.perf_counter()
    value = part()
    seconds = time.perf_counter() - start
    print(f"{name:24} {seconds:7.2f} s", flush=True)
    return value, seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=1000)
    parser.add_argument("--images", type=int, default=10_980)
    options = parser.parse_args()
    plain = board(options.entries, options.images)
    m, n = plain.shape
    print(f"{m} entries, {n} images")
    correct, packing = timed("pack", lambda: Correctness.of(plain))
    significant, pairs = timed("pairs (McNemar, Holm)", lambda: better(correct))
    parts = [
        packing,
        pairs,
        timed("ranks (1000 resamples)", lambda: ranks(correct, significant))[1],
        timed("error consistency", lambda: error_consistency(correct))[1],
        timed("images", lambda: solved(correct))[1],
        timed("groups", lambda: by_group(correct, [str(i % 8) for i in range(n)]))[1],
        timed("neighbours", lambda: neighbours_apart(correct))[1],
    ]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{'all':24} {sum(parts):7.2f} s, peak {peak} MiB")
    rng = np.random.default_rng(1)
    start = time.perf_counter()
    for i, j in rng.integers(0, m, (LOOP_PAIRS, 2)):
        a, b = int((plain[i] & ~plain[j]).sum()), int((plain[j] & ~plain[i]).sum())
        if a + b:
            binomtest(a, a + b, 0.5)
    loop = (time.perf_counter() - start) / LOOP_PAIRS * m * (m - 1) / 2
    record(f"McNemar of all pairs of {m} entries, against a loop", [pairs], reference=[loop])
    record(f"all statistics of {m} entries x {n} images", [sum(parts)])
    print(f"a loop over all pairs    {loop:7.1f} s, {loop / pairs:.0f} x ours")


if __name__ == "__main__":
    main()
