"""How well doubtful labels are found, beside the plain vote, cleanlab and chance: tables of decision 0018.

    python benchmarks/doubts.py ANSWERS... --labels FILE --truth FILE [--spam]

ANSWERS are results of `imagenet-hard eval`, or a table of class indices, as `imagenet-hard doubts` takes
them. An image is to be found where the truth (ReaL) drops its label. Compared are lists in order of our
score, of that without one of its parts, of the plain vote (share of the commonest other class less that of
the label, all entries counting the same), and of the scores that cleanlab gives to the mean of the same
predictions, where it is installed. `--spam` adds entries that are copies or guesses. A row is the average
precision, then the share of dropped labels among the first.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from record import record

from imagenet_hard.leaderboard.ballots import labels_by_id, read_files
from imagenet_hard.leaderboard.doubts import average_precision
from imagenet_hard.leaderboard.stats import doubts as formula
from imagenet_hard.leaderboard.stats.doubts import Ballot, find_doubts

LENGTHS = (200, 1000, 3000)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("answers", nargs="+", type=Path)
    parser.add_argument("--labels", required=True, type=Path)
    parser.add_argument("--truth", required=True, type=Path)
    parser.add_argument("--spam", action="store_true")
    options = parser.parse_args()
    read = read_files(options.answers, options.labels)
    right, ballots = read.gold.right, list(read.ballots)
    truth = labels_by_id(options.truth, read.gold.ids)
    known = np.array([bool(each) for each in truth])
    wrong = np.array([not set(a) & set(b) for a, b in zip(read.gold.labels, truth, strict=True)])[known]
    lengths = [k for k in LENGTHS if k < len(wrong)]

    def row(name: str, score: np.ndarray) -> None:
        found = wrong[np.argsort(-score[known], kind="stable")]
        first = " | ".join(f"{100 * found[:k].mean():.1f}" for k in lengths)
        print(f"| {name} | {average_precision(found):.4f} | {first} |", flush=True)

    start = time.perf_counter()
    ours = find_doubts(ballots, right)
    seconds = time.perf_counter() - start
    n = len(right)
    print(f"{len(ballots)} entries, {len(ours.speakers)} independent, {n} images: {seconds:.1f} s")
    print(f"the truth knows {len(wrong)}, and drops the labels of {wrong.sum()}\n")
    record(f"doubts of {len(ballots)} entries x {n} images", [seconds])
    print(f"| order | average precision | {' | '.join(f'first {k} %' for k in lengths)} |")
    print(f"|---|---|{'---|' * len(lengths)}")
    row("ours", ours.score)
    row("ours, top-1 alone", find_doubts(list(map(top1, ballots)), right).score)
    for name, score in parts(ballots, right):
        row(name, score)
    row("plain vote", margin(mean(list(map(top1, ballots))), right))
    for name, score in cleanlab_scores(mean(ballots), right):
        row(f"cleanlab, {name}", score)
    print(f"| chance | {wrong.mean():.4f} | {' | '.join([f'{100 * wrong.mean():.1f}'] * len(lengths))} |")
    if options.spam:
        print("\n| added entries | ours | plain vote |\n|---|---|---|")
        for name, junk in spam(ballots, right, np.random.default_rng(0)):
            more = [*ballots, *junk]
            scores = (find_doubts(more, right).score, margin(mean(list(map(top1, more))), right))
            found = [wrong[np.argsort(-score[known], kind="stable")] for score in scores]
            print(f"| {name} | {' | '.join(f'{average_precision(f):.4f}' for f in found)} |", flush=True)


def top1(ballot: Ballot) -> Ballot:
    """Its first class alone."""
    return Ballot(ballot.name, ballot.classes[:, :1])


def mean(ballots: Sequence[Ballot]) -> np.ndarray:
    """float64 (n, 1000): the mean of what entries say, each counting as much; of classes alone the first."""
    n = len(ballots[0].classes)
    p = np.zeros((n, 1000))
    for each in ballots:
        said = each.probabilities
        for place in range(each.classes.shape[1] if said is not None else 1):
            p[np.arange(n), each.classes[:, place]] += 1 if said is None else said[:, place]
    return p / len(ballots)


def margin(p: np.ndarray, right: np.ndarray) -> np.ndarray:
    """float64 (n,): the largest share of another class, less that of the label."""
    return np.where(right, -1, p).max(axis=1) - (p * right).sum(axis=1)


def parts(ballots: Sequence[Ballot], right: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Our score without one of its parts."""
    everybody = formula.speakers
    formula.speakers = lambda top1, correct: range(len(top1))
    yield "ours, copies counted", find_doubts(ballots, right).score
    formula.speakers = everybody
    kept = formula.odds
    formula.odds = lambda right, n: np.ones(len(right))
    yield "ours, all of one weight", find_doubts(ballots, right).score
    formula.odds = kept


def cleanlab_scores(p: np.ndarray, right: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """What cleanlab calls quality, turned round; nothing without it, or where an image has two labels."""
    try:
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        print("| (cleanlab is not installed) | | |")
        return
    if (right.sum(axis=1) != 1).any():
        return
    total = p.sum(axis=1, keepdims=True)
    p = p / total  # what lies beyond the fifth class is not known
    for method in ("self_confidence", "normalized_margin", "confidence_weighted_entropy"):
        for adjust in (False, True) if method != "confidence_weighted_entropy" else (False,):
            quality = get_label_quality_scores(
                right.argmax(axis=1), p, method=method, adjust_pred_probs=adjust
            )
            yield f"{method}{', adjusted' if adjust else ''}", -quality


def spam(
    ballots: Sequence[Ballot], right: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[str, list[Ballot]]]:
    """Names and entries that somebody might add."""
    n = len(right)
    by_score = sorted(ballots, key=lambda each: right[np.arange(n), each.classes[:, 0]].sum())
    copied: dict[str, Ballot] = {"the weakest": by_score[0], "the median": by_score[len(by_score) // 2]}

    def noisy(of: Ballot, share: float) -> Ballot:
        changed = rng.random((n, 1)) < share
        classes = np.where(changed, rng.integers(0, 1000, of.classes.shape), of.classes).astype(np.int16)
        return replace(of, classes=classes)

    yield "none", []
    for name, of in copied.items():
        for share in (0.05, 0.1):
            yield (
                f"60 copies of {name} entry, {100 * share:.0f} % of answers changed",
                [noisy(of, share) for _ in range(60)],
            )
    guesses: Callable[[], Ballot] = lambda: Ballot("", rng.integers(0, 1000, (n, 1)).astype(np.int16))  # noqa: E731
    yield "200 that guess", [guesses() for _ in range(200)]
    against = ((right.argmax(axis=1) + 1) % 1000).astype(np.int16)[:, None]
    yield "60 that say the class after the label's", [Ballot("", against)] * 60


if __name__ == "__main__":
    main()
