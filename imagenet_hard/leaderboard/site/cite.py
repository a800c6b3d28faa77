"""How an entry is quoted: a BibTeX record, and a badge for the model's own page."""

from __future__ import annotations

from html import escape

from imagenet_hard.base.text import pct, printable, span, tex_cell
from imagenet_hard.leaderboard.site.data import Board, Ranked

_WIDE = 7.2
"""Pixels of a character of the badge; the text is stretched to its place, whatever the reader's typeface."""


def bibtex(board: Board, entry: Ranked) -> str:
    """The entry with what pins its figure down: counts, images and predictions."""
    top1 = entry.top1
    note = (
        f"Top-1 {pct(top1.accuracy)} % (95 % interval {span(top1)}, {top1.n_correct} of {top1.n_total}), "
        f"rank {entry.rank.place} of {len(board.entries)}, {entry.tier}; benchmark {board.fingerprint[:16]}, "
        f"predictions {entry.predictions_sha256[:16]}"
    )
    fields = {
        "title": f"{{{tex_cell(entry.name)}}} on {{{tex_cell(board.title)}}}",
        "author": f"{{{tex_cell(entry.submitter or entry.org)}}}",
        "year": str(entry.date.year),
        "howpublished": "Entry of the ImageNet-Hard leaderboard",
        "note": tex_cell(note),
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join((f"@misc{{{entry.id},", *lines, "}"))


def badge(board: Board, entry: Ranked) -> str:
    """An SVG of one line: the benchmark and the score with its interval."""
    texts = (printable(board.title[:40]), f"{pct(entry.top1.accuracy)} % ({span(entry.top1)})")
    left, right = (round(_WIDE * len(each) + 14) for each in texts)
    label = escape(": ".join(texts))
    parts = "".join(
        f'<text x="{x}" y="14" fill="#fff" textLength="{width - 14}">{escape(each)}</text>'
        for each, x, width in zip(texts, (7, left + 7), (left, right), strict=True)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" '
        f'aria-label="{label}"><title>{label}</title><rect width="{left}" height="20" fill="#33384a"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="#3346c2"/>'
        f'<g font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" lengthAdjust="spacingAndGlyphs">'
        f"{parts}</g></svg>\n"
    )
