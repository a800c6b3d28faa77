"""How sure the board's rank ranges are, and what spam does to them: the tables of docs/decisions/0011.

    python benchmarks/ranks.py FOLDER [--draws N] [--images N]

FOLDER holds top-5 predictions of models and the labels, as `leaderboard import` reads them. Its
models and images are taken for the whole population, in which true ranks are known. Images are then drawn
from it with replacement, and it is counted how often a range holds every rank that the truth allows. Compared
are ours (without the widening, which only adds), Holm's correction within an entry's own comparisons and over
all pairs of the board, and the percentiles of resampled ranks. In the second part junk entries are added, and
the ranges that change are counted.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from imagenet_hard.evaluation.intervals import mcnemar
from imagenet_hard.leaderboard.answer_tables import read_answer_table
from imagenet_hard.leaderboard.answers import Answers
from imagenet_hard.leaderboard.importing import gold_of_labels
from imagenet_hard.leaderboard.rescore import rescore
from imagenet_hard.leaderboard.stats.correctness import Correctness
from imagenet_hard.leaderboard.stats.pairs import ALPHA, holm
from imagenet_hard.leaderboard.stats.ranks import resampled, told_apart

RESAMPLES = 1000
"""Half of the board's, for speed."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--images", type=int, help="in each draw [default: as many as there are]")
    options = parser.parse_args()
    table = read_answer_table(options.folder / "top5.parquet")
    gold = gold_of_labels(options.folder / "labels.parquet", "measured")
    names = sorted(table.models)
    answers = (Answers.without_probabilities(table.ids, table.models[name]) for name in names)
    correct = np.stack([rescore(each, gold).correct for each in answers])
    m, n = correct.shape
    print(f"{m} models, {n} images, {options.draws} draws of {options.images or n}\n")
    counts, rng = correct.sum(axis=1), np.random.default_rng(0)
    print(
        "| truth | ranges | least sure model | mean | all at once | mean width |\n|---|---|---|---|---|---|"
    )
    for title, truth in (
        ("as it is", counts),
        ("ties, 200 images apart", np.round(counts / 200) * 200),
        ("all equal", np.full(m, counts.mean())),
    ):
        cover(title, with_counts(correct, truth, rng), options)
    print("\n| added entries | ranges of the others that change: ours | Holm, own | Holm, all pairs |")
    print("|---|---|---|---|")
    before = {name: apart(Correctness.of(correct)) for name, apart in METHODS.items()}
    for title, junk in spam(correct, names, rng):
        board = Correctness.of(np.concatenate([correct, junk]))
        changed = [
            int((ends(apart(board)[:m, :m], counts) != ends(before[name], counts)).any(axis=0).sum())
            for name, apart in METHODS.items()
        ]
        print(f"| {title} | {' | '.join(map(str, changed))} |", flush=True)


def holm_own(correct: Correctness) -> np.ndarray:
    """bool (m, m): told apart by both entries' families, Holm within each."""
    only = correct.only()
    p = mcnemar(only, only.T)
    apart = np.zeros(p.shape, np.bool_)
    for i in range(len(p)):
        others = np.arange(len(p)) != i
        apart[i, others] = holm(p[i, others]) <= ALPHA
    return apart & apart.T


def holm_all(correct: Correctness) -> np.ndarray:
    """bool (m, m): told apart with Holm over all pairs."""
    only = correct.only()
    upper = np.triu_indices(correct.m, 1)
    apart = np.zeros(only.shape, np.bool_)
    apart[upper] = holm(mcnemar(only[upper], only.T[upper])) <= ALPHA
    return apart | apart.T


METHODS: dict[str, Callable[[Correctness], np.ndarray]] = {
    "ours": lambda correct: told_apart(correct, resamples=RESAMPLES),
    "Holm, own": holm_own,
    "Holm, all pairs": holm_all,
}


def ends(apart: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """int (2, m): lowest and highest rank that is left open."""
    better = apart & (counts[:, None] > counts[None, :])
    return np.stack([1 + better.sum(axis=0), len(apart) - better.sum(axis=1)])


def percentiles(correct: Correctness) -> np.ndarray:
    """int (2, m): 2.5 % and 97.5 % of the ranks in resampled images, which promises more than it holds."""
    scores = (resampled(correct, RESAMPLES, seed=0) + correct.counts()[:, None]).T
    rising, m = np.sort(scores, axis=1), correct.m
    best = np.stack(
        [m - np.searchsorted(r, s, side="right") + 1 for r, s in zip(rising, scores, strict=True)]
    )
    worst = np.stack([m - np.searchsorted(r, s, side="left") for r, s in zip(rising, scores, strict=True)])
    low = np.quantile(best, 0.025, axis=0, method="lower")
    return np.stack([low, np.quantile(worst, 0.975, axis=0, method="higher")])


def with_counts(correct: np.ndarray, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The population with so many right images each, by turning over random ones."""
    made = correct.copy()
    for row, wanted in zip(made, counts.astype(int), strict=True):
        more = int(wanted - row.sum())
        row[rng.choice(np.flatnonzero(row == (more < 0)), abs(more), replace=False)] ^= True
    return made


def cover(title: str, population: np.ndarray, options: argparse.Namespace) -> None:
    """A line of the first table for each kind of range."""
    m, n = population.shape
    truth = population.sum(axis=1)
    best = 1 + (truth[None, :] > truth[:, None]).sum(axis=1)
    worst = m - (truth[None, :] < truth[:, None]).sum(axis=1)
    rng = np.random.default_rng(1)
    held = {name: [np.zeros(m), 0, 0.0] for name in (*METHODS, "percentiles")}
    for _ in range(options.draws):
        drawn = population[:, rng.integers(0, n, options.images or n)]
        board, counts = Correctness.of(drawn), drawn.sum(axis=1)
        found = {name: ends(apart(board), counts) for name, apart in METHODS.items()}
        found["percentiles"] = percentiles(board)
        for name, (low, high) in found.items():
            inside = (low <= best) & (high >= worst)
            held[name][0] += inside
            held[name][1] += inside.all()
            held[name][2] += (high - low + 1).mean()
    for name, (each, every, width) in held.items():
        shares = each / options.draws
        print(
            f"| {title} | {name} | {100 * shares.min():.1f} % | {100 * shares.mean():.2f} % | "
            f"{100 * every / options.draws:.1f} % | {width / options.draws:.2f} |",
            flush=True,
        )


def spam(correct: np.ndarray, names: list[str], rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """What a submitter could add without the labels."""

    def noisy(row: np.ndarray, share: float, k: int) -> np.ndarray:
        return np.stack([row & (rng.random(len(row)) >= share) for _ in range(k)])

    alexnet, best = correct[names.index("alexnet")], correct[np.argmax(correct.sum(axis=1))]
    for k in (100, 900):
        yield f"{k} copies of alexnet, 5 % of the answers spoilt", noisy(alexnet, 0.05, k)
        yield f"{k} copies of the best, 1 % spoilt", noisy(best, 0.01, k)
        yield f"{k} copies of the best, 3 % spoilt", noisy(best, 0.03, k)
    yield "300 copies of the best as it is", np.repeat(best[None], 300, axis=0)


if __name__ == "__main__":
    main()
