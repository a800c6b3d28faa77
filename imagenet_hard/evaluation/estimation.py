"""A share of all images from a few of them, and how far it may be off. Pure functions on numpy arrays.

Images are put into strata by how hard known models find them, and as many are drawn from each at random
without replacement. Every interval here holds by the draw alone, whatever the model that is measured is like:
the known models only decide how narrow it is. ``H`` is the number of strata, ``N`` that of all images.
"""

from __future__ import annotations

from math import ceil, log
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imagenet_hard.base.errors import UsageError
from imagenet_hard.evaluation.intervals import CONFIDENCE

STRATA = 12
"""More narrow the estimate by 3 % at most (`benchmarks/estimate.py`), and leave too few draws in each."""

FLOOR = 0.15
"""Added to each image's expected spread, so that what known models all agree on is looked at as well."""

MOST = 0.75
"""Of a bet: the share of the capital that one image may cost."""

Floats = NDArray[np.float64]


def difficulty_of(correct: NDArray[np.bool_]) -> Floats:
    """The share of known models that get each image right, float64 (n,), from bool (models, n).

    Each counts by the square of its accuracy: what a good model gets right tells more of a new one.

    >>> difficulty_of(np.array([[1, 1, 0, 0], [1, 0, 0, 0]], bool)).tolist()
    [1.0, 0.8, 0.0, 0.0]
    """
    weights = correct.mean(axis=1) ** 2
    total = weights.sum()
    share = (weights @ correct) / total if total else np.zeros(correct.shape[1])
    return np.clip(share, 0, 1)


def strata_of(difficulty: Floats, ties: ArrayLike, strata: int = STRATA) -> NDArray[np.intp]:
    """The stratum 0..H-1 of each image, intp (n,), the hardest first.

    Neyman's allocation the other way round: equal draws from strata that are the smaller, the less certain
    their images are. ``ties``: what orders images of one difficulty. Each stratum gets an image.

    Raises:
        UsageError: fewer images than strata.
    """
    n = len(difficulty)
    if n < strata:
        raise UsageError(f"{n} images cannot be put into {strata} strata: score all of them")
    order = np.lexsort((np.asarray(ties), difficulty))
    spread = np.sqrt(difficulty * (1 - difficulty))[order] + FLOOR
    upto = np.cumsum(spread)
    starts = np.searchsorted(upto - spread / 2, upto[-1] * np.arange(strata) / strata)
    # Where few images are, none stays empty.
    earliest = np.arange(strata)
    starts = earliest + np.maximum.accumulate(starts - earliest)
    starts = np.minimum(starts, n - strata + earliest)
    place = np.searchsorted(starts, np.arange(n), side="right") - 1
    found = np.empty(n, np.intp)
    found[order] = place
    return found


def allocate(n: int, sizes: ArrayLike) -> NDArray[np.int64]:
    """How many of ``n`` images are drawn from each stratum: as many from each, or all where it has fewer.

    What does not divide goes to the first of those that have more.

    >>> allocate(10, [2, 30, 40]).tolist()
    [2, 4, 4]
    """
    room = np.asarray(sizes, np.int64)
    level = np.searchsorted(np.minimum(room, np.arange(n + 1)[:, None]).sum(axis=1), n, side="right") - 1
    drawn = np.minimum(room, level)
    drawn[np.flatnonzero(room > level)[: n - drawn.sum()]] += 1
    return drawn


def stratified(
    right: ArrayLike, drawn: ArrayLike, sizes: ArrayLike, confidence: float = CONFIDENCE
) -> tuple[Any, Any, Any]:
    """The share of all images that are right, and the ends of its interval, in [0, 1].

    ``right``: of the ``drawn`` in each of the strata of ``sizes`` images, (H,), or (k, H) for k samples. The
    variance adds half an image of either kind to each stratum (Krichevsky and Trofimov 1981), since none that
    is wrong among a few says little, and has the finite population correction. The interval is Wilson's for
    as many images as a random sample of that variance has (Korn and Graubard 1998). Where all are drawn, it
    is the share alone. Beyond the draw it takes the estimate for about normal.

    Raises:
        UsageError: a count is negative, or exceeds what it is of; a stratum without a draw.

    >>> share, low, high = stratified([10, 5], [10, 10], [100, 300])
    >>> print(f"{share:.3f}, {low:.2f} to {high:.2f}")
    0.625, 0.39 to 0.81
    """
    x, n, size = (np.asarray(each, np.float64) for each in (right, drawn, sizes))
    if (x < 0).any() or (x > n).any() or (n > size).any() or (n < 1).any():
        raise UsageError("no estimate: expected 0 <= right <= drawn <= images and a draw in each stratum")
    total = size.sum()
    share = np.clip((size / total * x / n).sum(axis=-1), 0, 1)
    near = (x + 0.5) / (n + 1)
    variance = ((size / total) ** 2 * (1 - n / size) / n * near * (1 - near)).sum(axis=-1)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    spread, whole = share * (1 - share), (size / total * near).sum(axis=-1)
    # One over the effective number of images: at a share near 0 or 1 a right image may be one that weighs
    # much, and no image weighs more than the heaviest.
    rare = np.minimum(variance / np.maximum(spread, 1e-12), (size / total * (1 - n / size) / n).max(axis=-1))
    zz = z * z * np.maximum(variance / (whole * (1 - whole)), rare)
    centre, half = share + zz / 2, np.sqrt(zz * spread + zz * zz / 4)
    low = np.maximum((centre - half) / (1 + zz), ((x / total).sum(axis=-1)))
    high = np.minimum((centre + half) / (1 + zz), 1 - ((n - x) / total).sum(axis=-1))
    # What is counted is certain, and rounding must not part the ends from the share.
    return share[()], np.minimum(low, share)[()], np.maximum(high, share)[()]


def confidence_sequence(
    values: ArrayLike,
    sizes: ArrayLike,
    guess: ArrayLike,
    *,
    target: float | None = None,
    confidence: float = CONFIDENCE,
) -> tuple[Floats, Floats]:
    """Ends of intervals after each round, float64 (R,) each, that all hold at once: stop when you like.

    ``values``: in [0, 1], (R, H), one image of each stratum a round, in random order without replacement;
    what is in a row beyond a stratum's last image is not looked at. ``guess``: what is expected of each
    stratum, and ``target``: the half-width that bets are tuned for. Both must not depend on the values; they
    decide how narrow it is and never whether it holds.

    Testing by betting (Waudby-Smith and Ramdas 2024; stratified: Spertus, Sridhar and Stark 2024). On the
    draw y of a stratum whose images left over have the mean r, ``log(1 + b (y - g)) - b (r - g)`` is the
    logarithm of an e-value for any g in [0, 1] and 0 <= b < 1 that were fixed before it, as is the same with
    -b. Bets in proportion to what is left in each stratum make the sum over a round linear in the mean of all
    images, so that no stratum's own mean has to be known. Ville's inequality for either sign ends it.
    """
    size, expected = np.asarray(sizes, np.float64), np.asarray(guess, np.float64)
    y = np.asarray(values, np.float64)
    rounds = np.arange(len(y))[:, None]
    left = np.maximum(size - rounds, 0) / size.sum()
    y = np.where(left > 0, y, 0.0)
    seen = np.cumsum(y, axis=0) - y
    g = (seen + expected) / (rounds + 1)
    g = np.where(left > 0, np.clip(g, 0, 1), 0.0)
    counted = seen.sum(axis=1) / size.sum()

    level = log(2 / (1 - confidence))
    spread = (left**2 * (y - g) ** 2).sum(axis=1)
    first = (left[0] ** 2 * np.maximum(expected * (1 - expected), 0.05)).sum()
    before = (first + np.cumsum(spread) - spread) / (1 + np.arange(len(y)))  # of the rounds before alone
    if target is None:
        t = 1.0 + np.arange(len(y))
        bet = np.sqrt(2 * level / (before * t * np.log(1 + t)))
    else:
        bet = target / before
    widest = left.max(axis=1)
    bet = np.minimum(bet, MOST / np.where(widest > 0, widest, 1.0))
    part = bet[:, None] * left
    upward = (np.log1p(part * (y - g)) + part * g).sum(axis=1) + bet * counted
    downward = (np.log1p(-part * (y - g)) - part * g).sum(axis=1) - bet * counted
    staked = np.cumsum(bet)
    low, high = (np.cumsum(upward) - level) / staked, (level - np.cumsum(downward)) / staked
    # What is counted is certain.
    sure = counted + y.sum(axis=1) / size.sum()
    rest = np.maximum(left - (left > 0) / size.sum(), 0).sum(axis=1)
    return np.clip(low, sure, sure + rest), np.clip(high, sure, sure + rest)


def images_needed(difference: float, variance: float, images: int, *, power: float = 0.8) -> int | None:
    """How many of ``images`` tell a difference from none at this power; None where there is none to tell.

    ``variance``: of one image's share in the estimate of the difference: of a random sample that of
    ``a - b`` over the images (McNemar's, Connor 1987), of a stratified one ``stratified_variance``. A draw
    without replacement needs fewer of a small set.
    """
    if difference == 0:
        return None
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) + NormalDist().inv_cdf(power)
    endless = (z / difference) ** 2 * variance
    return max(1, min(images, ceil(endless / (1 + endless / images))))


def stratified_variance(values: ArrayLike, strata: ArrayLike) -> float:
    """n times the variance of the estimate of a mean from n images, as many of each stratum, n small."""
    y, place = np.asarray(values, np.float64), np.asarray(strata)
    size = np.bincount(place)
    mean = np.bincount(place, weights=y) / size
    square = np.bincount(place, weights=(y - mean[place]) ** 2) / np.maximum(size - 1, 1)
    return float(len(size) * ((size / len(y)) ** 2 * square).sum())
