"""What is odd about an entry's answers. Flagged for people, never judged: each has innocent explanations.

The thresholds leave room above what 67 honest models do on ImageNet-V2 (``docs/verification.md``).
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.evaluation.intervals import wilson
from imagenet_hard.evaluation.metrics import confidence
from imagenet_hard.leaderboard.answers import Answers
from imagenet_hard.leaderboard.checklist import Finding
from imagenet_hard.leaderboard.gold import Gold
from imagenet_hard.leaderboard.rescore import Rescored

MIN_IMAGES = 20
"""Fewer images say nothing."""

MIN_PEERS = 3

NEAR_COPY = 0.9
"""Share of one wrong answer for both, of the images that two entries get wrong. Ports of one network's
weights to another framework reach 0.83; different networks stay below 0.7."""

UNSOLVED_FACTOR, UNSOLVED_FLOOR = 2.0, 0.03
"""Honest models solve at most 1.4 % of the images that none of the 66 others solves."""

CANARY_CHANCE, CANARY_P = 0.02, 1e-3
"""How often an honest model may hit a planted label, and the tail probability that is flagged."""

SEPARATION = 0.995
"""Area under the ROC curve of confidence against being right: real classifiers reach 0.75 to 0.9."""

MIN_CONFIDENCES = 0.05


@dataclass(frozen=True)
class Peer:
    """Another entry on the same images: ``correct`` bool (n,), ``top1_class`` int16 (n,)."""

    id: str
    predictions_sha256: str
    correct: NDArray[np.bool_]
    top1_class: NDArray[np.int16]


def unsolved_images(entry: Rescored, peers: Sequence[Peer]) -> Finding:
    """Right answers to images that no other entry solves, against what the other entries do there.

    Each entry has unsolved images of its own: those that all but it get wrong. A stronger model solves
    more of them than the rest; a copy of the labels solves them all.
    """
    if len(peers) < MIN_PEERS:
        return f"needs {MIN_PEERS} other entries on the benchmark, there are {len(peers)}"
    solvers = np.sum([peer.correct for peer in peers], axis=0)
    alone = int((entry.correct & (solvers == 0)).sum())
    unsolved = int((solvers == 0).sum())
    if unsolved < MIN_IMAGES:
        return f"the others leave {unsolved} images unsolved: {MIN_IMAGES} are needed"
    total = solvers + entry.correct
    best = max(_share_alone(peer.correct, total)[1] for peer in peers)
    low = wilson(alone, unsolved)[0]
    limit = max(UNSOLVED_FACTOR * best, UNSOLVED_FLOOR)
    return low > limit, (
        f"solves {alone} of the {unsolved} images that no other entry solves; other entries solve at most "
        f"{100 * best:.1f} % of theirs"
    )


def _share_alone(correct: NDArray[np.bool_], total: NDArray[np.integer]) -> tuple[float, float]:
    """Wilson interval of the share that one entry solves of the images that nobody else solves."""
    alone = int((correct & (total == 1)).sum())
    return wilson(alone, max(1, alone + int((total == 0).sum())))


def near_copies(entry: Rescored, predictions_sha256: str, peers: Sequence[Peer]) -> Finding:
    """Entries that give the same wrong answers: the same weights under another name, or a copied file."""
    if not peers:
        return "there is no other entry on the benchmark"
    if same := [peer.id for peer in peers if peer.predictions_sha256 == predictions_sha256]:
        return True, f"the predictions are those of {', '.join(same[:3])} to the last digit"
    found = [(*_agreement(entry, peer), peer.id) for peer in peers]
    enough = [each for each in found if each[1] >= MIN_IMAGES]
    if not enough:
        return f"no other entry shares {MIN_IMAGES} wrong images with it"
    share, n, other = max(enough)
    return share >= NEAR_COPY, (
        f"most alike is {other}: the same wrong answer on {100 * share:.1f} % of {n} images that both miss"
    )


def _agreement(entry: Rescored, peer: Peer) -> tuple[float, int]:
    both = ~entry.correct & ~peer.correct
    n = int(both.sum())
    return (float((entry.top1_class == peer.top1_class)[both].mean()) if n else 0.0), n


def canaries(entry: Rescored, gold: Gold, planted: Set[str]) -> Finding:
    """Answers that repeat labels which were planted wrong: who hits them has seen the labels."""
    from scipy.special import bdtrc  # upper tail of the binomial distribution

    at = [i for i, each in enumerate(gold.ids) if each in planted]
    if not at:
        return "no canaries are known for the benchmark"
    hit = int(entry.correct[at].sum())
    tail = float(bdtrc(hit - 1, len(at), CANARY_CHANCE)) if hit else 1.0
    flagged = tail < CANARY_P
    # Which they are and how many stays with the maintainers.
    return (
        flagged,
        f"planted labels are hit {'more often than chance allows' if flagged else 'as rarely as by chance'}",
    )


def calibration(entry: Rescored, answers: Answers) -> Finding:
    """Confidences that no classifier has: they tell right from wrong without fail, or take few values."""
    if answers.predictions is None:
        return "the entry has no probabilities"
    p, right = confidence(answers.predictions), entry.correct
    n = len(p)
    if min(right.sum(), n - right.sum()) < MIN_IMAGES:
        return f"needs {MIN_IMAGES} right and {MIN_IMAGES} wrong answers"
    area, distinct = separation(p, right), len(np.unique(answers.predictions.logprob5[:, 0]))
    return area > SEPARATION or distinct < MIN_CONFIDENCES * n, (
        f"confidence separates right from wrong with an area under the curve of {area:.3f}; "
        f"{distinct} different confidences on {n} images"
    )


def separation(p: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: the chance that a right answer has more confidence than a wrong one.

    ``p`` (n,), ``right`` bool (n,) with both kinds; ties count half (Mann-Whitney U over the pairs).
    """
    from scipy.stats import rankdata

    n_right = int(right.sum())
    ranks = float(rankdata(p)[right].sum())
    return (ranks - n_right * (n_right + 1) / 2) / (n_right * (len(p) - n_right))
