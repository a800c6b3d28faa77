"""What the page says of reported ImageNet accuracy: of one entry, and how scores go along with it."""

from __future__ import annotations

from collections.abc import Sequence

from imagenet_hard.base.text import counted, points, signed
from imagenet_hard.leaderboard.site.data import Rank, Ranked, Unranked
from imagenet_hard.leaderboard.stats.imagenet import Coefficient, correlate, fit, rank_differences


def reported_top1(entry: Ranked) -> str:
    """``76.13 %, https://...``; empty where nothing is reported."""
    return f"{entry.imagenet.percent:.2f} %, {entry.imagenet.source.url}" if entry.imagenet else ""


def effective(entry: Ranked) -> str:
    """Points above the line, and places against ImageNet; empty where there is no line."""
    if entry.effective_robustness is None or entry.rank_diff is None:
        return ""
    return (
        f"{points(entry.effective_robustness)} points against the board's line; "
        f"{signed(entry.rank_diff)} places against ImageNet"
    )


def ranked(models: Sequence[Unranked], ranks: Sequence[Rank]) -> tuple[Ranked, ...]:
    """Models with their ranks and, where ImageNet accuracy is reported, how they do against it.

    The line leaves out the models that chose the images: their score is biased low, which would lift all
    others.
    """
    both = {i: each.imagenet.percent / 100 for i, each in enumerate(models) if each.imagenet}
    y = {i: models[i].top1.accuracy for i in both}
    fair = [i for i in both if not models[i].used_in_curation]
    line = fit([both[i] for i in fair], [y[i] for i in fair])
    places = rank_differences(list(both.values()), list(y.values())).tolist() if line else []
    rank_diff = dict(zip(both, places, strict=False))
    return tuple(
        Ranked.of(
            model,
            rank,
            rank_diff=rank_diff.get(i),
            effective_robustness=y[i] - line.expected(both[i]) if line and 0 < both.get(i, 0) < 1 else None,
        )
        for i, (model, rank) in enumerate(zip(models, ranks, strict=True))
    )


def correlation_in_words(entries: Sequence[Ranked]) -> str:
    """The correlation of the entries' scores with their reported ImageNet accuracy, as a sentence."""
    pairs = [(e.imagenet.percent, e.top1.accuracy) for e in entries if e.imagenet]
    found = correlate([x for x, _ in pairs], [y for _, y in pairs])
    if found is None:
        return f"ImageNet accuracy is reported of {counted(len(pairs), 'entry')}: too few to correlate with."
    named = (("Pearson’s r", found.pearson), ("Spearman’s ρ", found.spearman), ("Kendall’s τ", found.kendall))
    coefficients = ", ".join(f"{name} {_text(value)}" for name, value in named)
    return (
        f"ImageNet accuracy is reported of {counted(found.n, 'entry')}, and not scored again here. Scores "
        f"correlate with it by {coefficients}; in brackets 95 % bootstrap intervals over these entries."
    )


def _text(found: Coefficient) -> str:
    """``0.971 (0.913 to 0.992)`` with true minus signs."""
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})".replace("-", "−")
