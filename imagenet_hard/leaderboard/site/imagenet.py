"""What the page says of reported ImageNet accuracy: of one entry, and how scores go along with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imagenet_hard.base.text import points, signed
from imagenet_hard.leaderboard.site.data import SiteEntry
from imagenet_hard.leaderboard.stats.correlation import Coefficient, correlate
from imagenet_hard.leaderboard.stats.robustness import fit, rank_differences


def reported(entry: SiteEntry) -> str:
    """``76.13 %, https://...``; empty where nothing is reported."""
    if entry.imagenet_top1 is None:
        return ""
    source = f", {entry.imagenet_source.url}" if entry.imagenet_source else ""
    return f"{entry.imagenet_top1:.2f} %{source}"


def effective(entry: SiteEntry) -> str:
    """Points above the line, and places against ImageNet; empty where there is no line."""
    if entry.effective_robustness is None or entry.rank_diff is None:
        return ""
    return (
        f"{points(entry.effective_robustness)} points against the board's line; "
        f"{signed(entry.rank_diff)} places against ImageNet"
    )


def against_imagenet(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """``effective_robustness`` and ``rank_diff`` of each entry; nothing where no ImageNet accuracy is known.

    ``entries``: fields of ``SiteEntry``. The line leaves out the models that chose the images: their score
    is biased low, which would lift all others.
    """
    made: list[dict[str, Any]] = [{} for _ in entries]
    with_both = [i for i, e in enumerate(entries) if e["imagenet_top1"] is not None]
    x = [entries[i]["imagenet_top1"] / 100 for i in with_both]
    y = [entries[i]["top1"].accuracy for i in with_both]
    fair = [k for k, i in enumerate(with_both) if not entries[i]["used_in_curation"]]
    line = fit([x[k] for k in fair], [y[k] for k in fair])
    if line is None:
        return made
    for i, imagenet, accuracy, places in zip(with_both, x, y, rank_differences(x, y).tolist(), strict=True):
        made[i]["rank_diff"] = places
        if 0 < imagenet < 1:
            made[i]["effective_robustness"] = accuracy - line.expected(imagenet)
    return made


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
