"""Which labels are doubtful, from what entries answer: they agree on one class, and it is another.

The score of an image is p(other) - p(given), where p is the weighted mean of what the independent entries
say, the other class is the one with the largest p that is not among the image's labels, and p(given) is the
sum over those that are. This is the normalized margin of confident learning (Northcutt, Jiang, Chuang 2021,
arXiv 1911.00068, section 3.2) of an ensemble, where:

- of a family of near-copies one entry speaks (``families``);
- an entry's weight is its odds of being right on these images: next to nothing for one that guesses, and for
  one that is wrong on all because it chose them;
- an entry without probabilities gives each of its five classes the share of the images on which that place of
  its is right, out of those on which one of them is.

docs/decisions/0018 has what each of these is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.types import N_CLASSES, NO_CLASS
from imagenet_hard.leaderboard.stats.families import speakers

BLOCK = 1024
"""Images at a time: what is held beside the answers does not grow with their number."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """What the entry ``name`` says to n images: ``classes`` int16 (n, k), best first, ``NO_CLASS`` for none.

    ``probabilities``: float32 (n, k), or None where classes alone are known.
    """

    name: str
    classes: NDArray[np.int16]
    probabilities: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Doubts:
    """Of n images, in their order.

    ``other``: int16 (n,), the class that speaks most against the labels; ``score``: float64 (n,) in [-1, 1].
    ``agree``, ``given``: float64 (n,), the weighted shares of the entries that answer the other class, and
    one of the labels; ``votes``: int64 (n,), how many answer the other class. ``speakers``: the independent
    entries, which alone counted.
    """

    other: NDArray[np.int16]
    score: NDArray[np.float64]
    agree: NDArray[np.float64]
    given: NDArray[np.float64]
    votes: NDArray[np.int64]
    speakers: tuple[str, ...]

    @property
    def order(self) -> NDArray[np.int64]:
        """int64 (n,): the images, the most doubtful first, equals in their order."""
        order: NDArray[np.int64] = np.argsort(-self.score, kind="stable")
        return order


def find_doubts(ballots: Sequence[Ballot], right: NDArray[np.bool_]) -> Doubts:
    """The doubts of one ballot or more on the same images; ``right``: bool (n, 1000), their labels."""
    n = len(right)
    top1 = np.stack([each.classes[:, 0] for each in ballots])
    correct = np.stack([_hits(each.classes[:, 0], right) for each in ballots])
    chosen = speakers(top1, correct)
    weights = odds(correct[chosen].sum(axis=1), n)
    weights /= weights.sum()
    says = [_says(ballots[k], right) for k in chosen]
    found = Doubts(
        other=np.empty(n, np.int16),
        score=np.empty(n),
        agree=np.empty(n),
        given=np.empty(n),
        votes=np.empty(n, np.int64),
        speakers=tuple(ballots[k].name for k in chosen),
    )
    for start in range(0, n, BLOCK):
        rows = slice(start, min(start + BLOCK, n))
        inside = np.arange(rows.stop - start)
        p = np.zeros((len(inside), N_CLASSES + 1))  # the last column takes what is no class
        for k, weight, said in zip(chosen, weights, says, strict=True):
            classes = ballots[k].classes[rows]
            for place in range(classes.shape[1]):
                p[inside, classes[:, place]] += weight * said[rows if len(said) > 1 else 0, ..., place]
        p = p[:, :N_CLASSES]
        labels = right[rows]
        against = np.where(labels, -1.0, p)
        other = against.argmax(axis=1)
        found.other[rows] = other
        found.score[rows] = against[inside, other] - np.where(labels, p, 0.0).sum(axis=1)
        answers_other = top1[chosen, rows] == other
        found.agree[rows] = weights @ answers_other
        found.votes[rows] = answers_other.sum(axis=0)
        found.given[rows] = weights @ correct[chosen, rows]
    return found


def odds(right: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Right answers for each wrong one of ``n``, one more of both: never 0, and never without end."""
    found: NDArray[np.float64] = (right + 1) / (n - right + 1)
    return found


def _hits(classes: NDArray[np.integer], right: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """bool (n,): which answers are among the labels; ``NO_CLASS`` is not."""
    hits: NDArray[np.bool_] = right[np.arange(len(right)), classes] & (classes != NO_CLASS)
    return hits


def _says(ballot: Ballot, right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The probability of each place: (n, k), or the same for all images, (1, k)."""
    if ballot.probabilities is not None:
        return ballot.probabilities.astype(np.float64)
    often = np.array([_hits(place, right).sum() for place in ballot.classes.T], np.float64)
    often[0] = max(often[0], 1.0)
    shares: NDArray[np.float64] = (often / often.sum())[None, :]
    return shares
