"""The list of doubtful labels as CSV, which a review reads again, and for a terminal."""

from __future__ import annotations

from pathlib import Path

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.tables import Table, exact_csv, read_csv
from imagenet_hard.base.text import counted, pct1, shorten
from imagenet_hard.imagenet.classes import distinct_names
from imagenet_hard.leaderboard.doubts import DoubtList, Measured

COLUMNS = (
    *("rank", "id", "labels", "names", "other", "other_name"),
    *("score", "agree", "given", "votes", "entries"),
)


def as_csv(found: DoubtList) -> str:
    """One row an image, the most doubtful first."""
    names = distinct_names()
    rows = (
        (
            each.rank,
            each.id,
            " ".join(map(str, each.labels)),
            "; ".join(names[i] for i in each.labels),
            each.other,
            names[each.other],
            f"{each.score:.6f}",
            f"{each.agree:.6f}",
            f"{each.given:.6f}",
            each.votes,
            len(found.independent),
        )
        for each in found.doubts
    )
    return exact_csv([COLUMNS, *rows])


def read_doubted(path: Path) -> dict[str, int]:
    """Image id -> the other class, in the order of a list that ``as_csv`` wrote.

    Raises:
        ResultError: it is no such list, or has an image twice.
    """
    found: dict[str, int] = {}
    for place, (id, other) in read_csv(path, ("id", "other"), more=True)[1]:
        if not other.isascii() or not other.isdigit() or int(other) > 999:
            raise ResultError(f"{place}: other is {shorten(other)}: expected a class index in 0..999")
        if id in found:
            raise ResultError(f"{place}: {id!r} appears twice")
        found[id] = int(other)
    return found


def tables(found: DoubtList, top: int) -> list[Table]:
    """The first images, and how good the list is where that is known."""
    names = distinct_names()
    shown = [
        (
            each.rank,
            each.id,
            ", ".join(names[i] for i in each.labels),
            names[each.other],
            f"{each.score:.3f}",
            pct1(each.agree),
            pct1(each.given),
            each.votes,
        )
        for each in found.doubts[:top]
    ]
    voices = f"{counted(found.entries, 'entry')}, {len(found.independent)} of them independent"
    parts = [
        Table(
            ["", "image", "labels", "other class", "score", "agree %", "given %", "entries"],
            shown,
            "rlllrrrr",
            f"Doubtful labels of {found.benchmark}: {len(found.doubts):,} images, {voices}",
        )
    ]
    if found.truth:
        parts.append(_truth_table(found.truth))
    return parts


def _truth_table(truth: Measured) -> Table:
    return Table(
        ["first", "label dropped %", "interval", "other class right %", "of all dropped found %"],
        [
            (
                f"{each.k:,}",
                pct1(each.precision),
                f"{pct1(each.low)} to {pct1(each.high)}",
                pct1(each.other_right),
                pct1(each.found),
            )
            for each in truth.first
        ],
        "rrrrr",
        "Against the truth",
        f"average precision {truth.average_precision:.3f}, chance {truth.chance:.3f}: it drops the labels of "
        f"{truth.wrong:,} of the {truth.images:,} images that it knows",
    )
