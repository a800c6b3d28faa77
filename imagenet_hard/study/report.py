"""The report: one HTML page that needs nothing else, and the tables beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.runtime import __version__
from imagenet_hard.base.web import Inline, inline_policy, json_text, static_text, style_with_font, templates
from imagenet_hard.imagenet.classes import names as class_names
from imagenet_hard.study.cover import TOP
from imagenet_hard.study.figures import Figures
from imagenet_hard.study.gallery import Shown
from imagenet_hard.study.matrix import FILE, Matrix, write_matrix
from imagenet_hard.study.tables import MEAN, published, write_tables

PAGE = "index.html"

_PACKAGE = "imagenet_hard.study"
_LIBRARIES = ("d3", "plot", "archivo")


def write_report(matrix: Matrix, figures: Figures, shown: Sequence[Shown], out: Path) -> list[Path]:
    """Write the page, the tables and the matrix into ``out``; their paths, the page first.

    Raises:
        ResultError: the disk is full or read-only.
    """
    page = out / PAGE
    write_atomically(page, render(matrix, figures, shown).encode("utf-8", "replace"))
    tables = write_tables(matrix, figures, out)
    write_matrix(matrix, out / FILE)
    return [page, *tables, out / FILE]


def render(matrix: Matrix, figures: Figures, shown: Sequence[Shown]) -> str:
    """The page as HTML: nothing is loaded, no inline code runs but that whose hash it names."""
    info = matrix.info
    before = [Inline(static_text("js/theme.js"))]
    after = [
        *(Inline(static_text(f"vendor/{name}.min.js")) for name in ("d3", "plot")),
        *(Inline(static_text(f"js/{name}.js")) for name in ("data", "charts")),
        Inline(static_text("study.js", _PACKAGE)),
    ]
    style = Inline(style_with_font() + static_text("study.css", _PACKAGE))
    variants = {each.source: each.variant for each in info.images}
    html: str = (
        templates(_PACKAGE, class_name=_class_name)
        .get_template("report.html.jinja")
        .render(
            info=info,
            version=__version__,
            csp=inline_policy(style, *before, *after),
            style=style.code,
            before=[each.code for each in before],
            after=[each.code for each in after],
            sources=[(each.source, len(each.ids)) for each in info.images],
            figures=figures,
            published_of={
                (p.source, p.classifier): published(info.classifiers[p.classifier], variants[p.source])
                for p in figures.pairs
            },
            paper_means={name: published(spec, MEAN) for name, spec in info.classifiers.items()},
            shown=shown,
            top=TOP,
            data=json_text(_data(matrix, figures)),
            licences=[(name, static_text(f"vendor/{name}.LICENSE.txt")) for name in _LIBRARIES],
        )
    )
    return html


def _data(matrix: Matrix, figures: Figures) -> dict[str, Any]:
    """What the charts draw, in percent."""
    return {
        "scales": list(matrix.info.scales),
        "classifiers": list(matrix.info.classifiers),
        "curves": [
            {
                "source": pair.source,
                "classifier": pair.classifier,
                "one_crop": [round(100 * rate.accuracy, 3) for rate in pair.accuracy.scales],
                "best_of_9": [round(100 * rate.accuracy, 3) for rate in pair.accuracy.best_of_9],
            }
            for pair in figures.pairs
        ],
        "covers": [
            {
                "classifier": name,
                "solved": [round(100 * cover.share(n + 1), 3) for n in range(len(cover.zooms))],
            }
            for name, cover in figures.covers.items()
        ],
    }


def _class_name(index: int) -> str:
    return class_names()[index]
