"""What the page says of reported ImageNet accuracy: of one entry, and how scores go along with it."""

from __future__ import annotations

from collections.abc import Sequence

from imagenet_hard.leaderboard.site.data import SiteEntry
from imagenet_hard.leaderboard.stats.correlation import Coefficient, correlate


def reported(entry: SiteEntry) -> str:
    """``76.13 %, https://...``; empty where nothing is reported."""
    if entry.imagenet_top1 is None:
        return ""
    source = f", {entry.imagenet_source.url}" if entry.imagenet_source else ""
    return f"{entry.imagenet_top1:.2f} %{source}"


def along(entries: Sequence[SiteEntry]) -> str:
    """The correlation of the entries' scores with their reported ImageNet accuracy, as a sentence."""
    pairs = [(e.imagenet_top1, e.top1.accuracy) for e in entries if e.imagenet_top1 is not None]
    found = correlate([x for x, _ in pairs], [y for _, y in pairs])
    if found is None:
        return f"ImageNet accuracy is reported of {len(pairs)} entries: too few to correlate with."
    named = (("Pearson’s r", found.pearson), ("Spearman’s ρ", found.spearman), ("Kendall’s τ", found.kendall))
    coefficients = ", ".join(f"{name} {_text(value)}" for name, value in named)
    return (
        f"ImageNet accuracy is reported of {found.n} entries, and not scored again here. Scores correlate "
        f"with it by {coefficients}; in brackets 95 % bootstrap intervals over these entries."
    )


def _text(found: Coefficient) -> str:
    """``0.971 (0.913 to 0.992)`` with true minus signs."""
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})".replace("-", "−")
