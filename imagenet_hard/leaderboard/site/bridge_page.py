"""What a bridge says, as a page of its own that needs nothing else, and as tables for a terminal."""

from __future__ import annotations

from pathlib import Path

from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.runtime import __version__
from imagenet_hard.base.tables import Table
from imagenet_hard.base.text import counted, pct, points, span
from imagenet_hard.base.web import Inline, inline_policy, static_text, style_with_font, templates
from imagenet_hard.dataset.versions import REASONS
from imagenet_hard.leaderboard.bridge import PARTS, Bridge, Step

WORDS = {"before": "before", "common": "both", "after": "after"}
"""The parts as they are called in page and tables."""


def write_page(found: Bridge, path: Path) -> None:
    """One HTML file.

    Raises:
        ResultError: it cannot be written.
    """
    write_atomically(path, render(found).encode("utf-8", "replace"))


def render(found: Bridge) -> str:
    """The page as HTML: nothing is loaded, no inline code runs but that whose hash it names."""
    theme, style = Inline(static_text("js/theme.js")), Inline(style_with_font())
    html: str = (
        templates("imagenet_hard.leaderboard.site")
        .get_template("bridge.html.jinja")
        .render(
            found=found,
            causes=[("left", found.retired), ("came", found.added)],
            reasons=REASONS,
            parts=PARTS,
            words=WORDS,
            version=__version__,
            style=style.code,
            script=theme.code,
            csp=inline_policy(style, theme),
            licence=static_text("vendor/archivo.LICENSE.txt"),
        )
    )
    return html


def tables(found: Bridge) -> list[Table]:
    """For the terminal: what changed, how places moved, and every entry."""
    why = [
        (what, REASONS[each.reason], each.classifier or "", f"{each.images:,}")
        for what, causes in (("retired", found.retired), ("added", found.added))
        for each in causes
    ]
    why += [("other labels", "", "", f"{found.relabelled:,}")] if found.relabelled else []
    title = f"{found.name}: {found.before} to {found.after}, " + ", ".join(
        f"{WORDS[part]} {counted(found.images[part], 'image')}" for part in PARTS
    )
    steps = [(_words(s), s.entries, s.swapped, "–" if s.tau is None else f"{s.tau:.3f}") for s in found.steps]
    rows = [
        (
            each.name + (" (committee)" if each.committee else ""),
            *(
                "–" if (r := each.scores[part]) is None else f"{pct(r.accuracy)} ({span(r)})"
                for part in PARTS
            ),
            "–" if each.kept is None else points(each.kept.difference),
            *(
                " to ".join(str(p.place) for p in step.places[each.name]) if each.name in step.places else "–"
                for step in found.steps
            ),
        )
        for each in found.entries
    ]
    places = [f"place {_words(s)}" for s in found.steps]
    header = ("entry", "before %", "both %", "after %", "points", *places)
    return [
        Table(("what", "why", "classifier", "images"), why, "lllr", title),
        Table(("step", "entries", "pairs swapped", "Kendall's tau"), steps, "lrrr"),
        Table(header, rows, "lrrrr" + "r" * len(places)),
    ]


def _words(step: Step) -> str:
    return f"{WORDS[step.first]} to {WORDS[step.second]}"
