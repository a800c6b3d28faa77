"""What is odd about an entry's answers. Flagged for people, never judged: each has innocent explanations.

The thresholds leave room above what 67 honest models do on ImageNet-V2 (``docs/verification.md``).
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.evaluation.intervals import kappa_of_right, wilson
from imagenet_hard.evaluation.metrics import confidence
from imagenet_hard.leaderboard.answers import Answers
from imagenet_hard.leaderboard.gold import Gold
from imagenet_hard.leaderboard.rescore import Rescored
from imagenet_hard.leaderboard.stats.families import same_mistakes
from imagenet_hard.leaderboard.verify.report import Finding

SCORE, UNSOLVED, CANARIES = "plausible score", "unsolved images", "canaries"
"""Checks whose flags say that an entry may have seen the labels."""

MIN_IMAGES = 20
"""Fewer images say nothing."""

MIN_PEERS = 3

NEAR_COPY = 0.9
"""Share of one wrong answer for both, of the images that two entries get wrong. Ports of one network's
weights to another framework reach 0.83; different networks stay below 0.7."""

UNSOLVED_FACTOR, UNSOLVED_FLOOR = 2.0, 0.03
"""Honest models solve at most 1.4 % of the images that none of the 66 others solves."""

ACCOMPLICES = 20
"""One in so many entries may belong to the one that is looked at, where none is known to be independent."""

MOST_PLAUSIBLE = 0.95
"""Top-1 that nobody reaches: the best published models stand at 91 % on ImageNet's validation images, a tenth
of whose labels ReaL drops."""

SAME_ERRORS = 0.95
"""Cohen's kappa of right and wrong. Different networks reach 0.83; one network's weights, ported, 0.91."""

CANARY_CHANCE, CANARY_P = 0.02, 1e-3
"""How often an honest model may hit a planted label, and the tail probability that is flagged."""

SEPARATION = 0.995
"""Area under the ROC curve of confidence against being right: real classifiers reach 0.75 to 0.9."""

MIN_CONFIDENCES = 0.05


@dataclass(frozen=True)
class Peer:
    """Another entry on the same images: ``correct`` bool (n,), ``top1_class`` int16 (n,).

    ``independent``: it was on the board before, and its answers are not flagged there.
    """

    id: str
    predictions_sha256: str
    correct: NDArray[np.bool_]
    top1_class: NDArray[np.int16]
    independent: bool = False


def plausible_score(entry: Rescored) -> Finding:
    """A score that no classifier has: whoever repeats the labels also repeats the wrong ones among them."""
    low = wilson(entry.top1.n_correct, entry.top1.n_total)[0]
    return low > MOST_PLAUSIBLE, (
        f"top-1 is {'' if low > MOST_PLAUSIBLE else 'not '}surely above {100 * MOST_PLAUSIBLE:.0f} %"
    )


def unsolved_images(entry: Rescored, peers: Sequence[Peer]) -> Finding:
    """Right answers to images that no other entry solves, against what the other entries do there.

    Each entry has unsolved images of its own: those that all but it get wrong. A stronger model solves
    more of them than the rest; a copy of the labels solves them all. Compared with are the entries that
    are independent of it. Where these are too few, all are, and some of them may be accomplices: then images
    that so few others solve count as unsolved too, and as many of the others as may be are no measure.
    """
    independent = [peer for peer in peers if peer.independent]
    allowed = 0
    if len(independent) < MIN_PEERS:
        independent, allowed = list(peers), max(1, len(peers) // ACCOMPLICES)
    if len(independent) < MIN_PEERS:
        return f"needs {MIN_PEERS} other entries on the benchmark, there are {len(peers)}"
    solvers = np.sum([peer.correct for peer in independent], axis=0)
    alone, unsolved = _share_alone(entry.correct, solvers, allowed)
    who = "no other entry solves" if not allowed else f"at most {allowed} of the other entries solve"
    if unsolved < MIN_IMAGES:
        return f"{unsolved} images are left that {who}: {MIN_IMAGES} are needed"
    shares = [_share_alone(peer.correct, solvers - peer.correct, allowed) for peer in independent]
    measured = sorted((wilson(k, n)[1] for k, n in shares if n >= MIN_IMAGES), reverse=True)[allowed:]
    best = measured[0] if measured else 0.0
    limit = max(UNSOLVED_FACTOR * best, UNSOLVED_FLOOR)
    return wilson(alone, unsolved)[0] > limit, (
        f"solves {alone} of the {unsolved} images that {who}; other entries solve at most "
        f"{100 * best:.1f} % of theirs"
    )


def _share_alone(correct: NDArray[np.bool_], solvers: NDArray[np.integer], allowed: int) -> tuple[int, int]:
    """Of the images that at most ``allowed`` others solve: how many an entry solves, how many there are."""
    unsolved = solvers <= allowed
    return int((correct & unsolved).sum()), int(unsolved.sum())


def errs_alike(entry: Rescored, predictions_sha256: str, peers: Sequence[Peer]) -> Finding:
    """Entries that err alike: the same weights under another name, or a copied file.

    By the same wrong answers, or by being wrong on the same images with whatever answers.
    """
    if not peers:
        return "there is no other entry on the benchmark"
    if same := [peer.id for peer in peers if peer.predictions_sha256 == predictions_sha256]:
        return True, f"the predictions are those of {', '.join(same[:3])} to the last digit"
    kappa, most = max((_kappa(entry.correct, peer.correct), peer.id) for peer in peers)
    if kappa >= SAME_ERRORS:
        return True, f"wrong on the images that {most} is wrong on: Cohen's kappa is {kappa:.3f}"
    found = [(*_agreement(entry, peer), peer.id) for peer in peers]
    enough = [each for each in found if each[1] >= MIN_IMAGES]
    if not enough:
        return f"no other entry shares {MIN_IMAGES} wrong images with it"
    share, n, other = max(enough)
    return share >= NEAR_COPY, (
        f"most alike is {other}: the same wrong answer on {100 * share:.1f} % of {n} images that both miss"
    )


def _agreement(entry: Rescored, peer: Peer) -> tuple[float, int]:
    same, both = same_mistakes(entry.top1_class, entry.correct, peer.top1_class, peer.correct)
    return (int(same) / int(both) if both else 0.0), int(both)


def _kappa(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Cohen's kappa of right and wrong; 0 where one of the two has too few of either to speak of copying."""
    n = len(a)
    if min(a.sum(), n - a.sum(), b.sum(), n - b.sum()) < MIN_IMAGES:
        return 0.0
    return float(kappa_of_right(a.sum(), b.sum(), (a & b).sum(), n))


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
    ours, wrong = p[right], np.sort(p[~right])
    twice = int(np.searchsorted(wrong, ours).sum() + np.searchsorted(wrong, ours, "right").sum())
    return twice / 2 / (len(ours) * len(wrong))
