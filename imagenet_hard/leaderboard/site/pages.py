"""The HTML pages, from the templates beside this file; everything is escaped by default."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np

from imagenet_hard.base.text import counted, markdown_cell, pct, points
from imagenet_hard.base.web import templates
from imagenet_hard.evaluation.intervals import wilson
from imagenet_hard.evaluation.metrics import Rate
from imagenet_hard.imagenet.classes import names as class_names
from imagenet_hard.leaderboard.plain_text import https
from imagenet_hard.leaderboard.published import published_on
from imagenet_hard.leaderboard.site.cite import bibtex
from imagenet_hard.leaderboard.site.columns import FIELDS, TIERS, fields_of, filters_of, page_columns
from imagenet_hard.leaderboard.site.data import Board, Ranked, SiteData
from imagenet_hard.leaderboard.site.data_files import few, group_of
from imagenet_hard.leaderboard.site.imagenet import correlation_in_words
from imagenet_hard.leaderboard.site.provenance import Facts, provenance
from imagenet_hard.leaderboard.site.said import OF_EACH_KIND

CSP = "; ".join(
    (
        "default-src 'none'",
        *("script-src 'self'", "style-src 'self'", "img-src 'self'", "font-src 'self'"),
        *("connect-src 'none'", "object-src 'none'", "base-uri 'none'", "form-action 'none'"),
    )
)
"""Nothing from elsewhere, nothing inline. Data travel as scripts, so nothing is fetched either."""

WORD = ", ".join(
    [
        *(field.title for field in FIELDS if field.word),
        "device",
        "speed and software are the submitter's word",
    ]
)
"""At every tier; what else is, depends on whether the model was run again."""

NAV = (("Submit", "submit.html"), ("Verification", "verification.html"))
CORRECTIONS = (("Corrections", "corrections.html"),)
"""Where there are some."""

NAV_END = (("Changes", "changes.html"),)
N_EXTREME_CLASSES = 10


def pages(site: SiteData, vendor: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """(path, HTML) of every page."""
    hrefs = board_hrefs(site.boards)
    page = _maker(site, _nav(site), f"leaderboard {'preview' if site.preview else 'build'}")
    if not site.boards:
        yield page("index.html", "start", published=site.published)
    for board in site.boards:
        href = hrefs[board.slug]
        yield page(
            href, "board", **_board(board), published=published_on(board.benchmark, board.n, site.published)
        )
        for key, title, line in _group_texts(board):
            values = {"key": key, "title": title, "text": line, "board_href": href, **_group(board, key)}
            yield page(f"images/{board.slug}-{key}.html", "images", **values)
        yield page(explorer_path(board), "explore", board=board, board_href=href, pictures=False)
        best = _best_per_group(board)
        for index, entry in enumerate(board.entries):
            values = {"board": board, "board_href": href, **_entry(board, index, best)}
            yield page(f"entries/{entry.id}.html", "entry", **values)
    for name in ("submit", "verification"):
        yield page(f"{name}.html", name)
    if site.corrected:
        yield page("corrections.html", "corrections", corrected=site.corrected, hrefs=hrefs)
    yield page("changes.html", "changes", changes=_changes(site), left_out=site.left_out)
    yield page("licences.html", "licences", vendor=vendor)


def explorer_pages(
    site: SiteData, vendor: Sequence[Mapping[str, Any]], pictures: Collection[str]
) -> Iterator[tuple[str, str]]:
    """(path, HTML) of the explorer alone, the first board as the index; ``pictures``: boards with some."""
    page = _maker(site, (("Explore", "index.html"),), "explore")
    for path, board in [
        ("index.html", site.boards[0]),
        *((explorer_path(board), board) for board in site.boards),
    ]:
        yield page(path, "explore", board=board, board_href="", pictures=board.slug in pictures)
    yield page("licences.html", "licences", vendor=vendor)


def _maker(site: SiteData, nav: tuple[tuple[str, str], ...], command: str) -> Callable[..., tuple[str, str]]:
    """What makes a page of the site: its path and template, and the values of this."""
    hrefs = board_hrefs(site.boards)
    boards = [
        {"slug": b.slug, "title": b.title, "href": hrefs[b.slug], "entries": len(b.entries)}
        for b in site.boards
    ]

    def page(path: str, template: str, **values: Any) -> tuple[str, str]:
        root = "../" * path.count("/")
        most = max((row.top1 for table in site.published for row in table.rows), default=1.0)
        common = {
            "path": path,
            "bar_max": max(most, 1.0),
            "root": root,
            "csp": CSP,
            "nav": nav,
            "command": command,
            "tiers": TIERS,
            "preview": site.preview,
        }
        found = templates("imagenet_hard.leaderboard.site", https=https, classes=_classes)
        html = found.get_template(f"{template}.html.jinja")
        return path, html.render(**common, version=site.version, boards=boards, **values)

    return page


def _nav(site: SiteData) -> tuple[tuple[str, str], ...]:
    explorer = (("Explore", explorer_path(site.boards[0])),) if site.boards else ()
    return (
        ("Leaderboard", "index.html"),
        *explorer,
        *NAV,
        *(CORRECTIONS if site.corrected else ()),
        *NAV_END,
    )


def _classes(labels: Sequence[int]) -> str:
    """Labels by their names."""
    return ", ".join(class_names()[i] for i in labels)


def explorer_path(board: Board) -> str:
    """The explorer of a board."""
    return f"explore/{board.slug}.html"


def board_hrefs(boards: Sequence[Board]) -> dict[str, str]:
    """The page of each board: the first one is the index."""
    return {b.slug: f"board-{b.slug}.html" if i else "index.html" for i, b in enumerate(boards)}


def _board(board: Board) -> dict[str, Any]:
    m = len(board.entries)
    what = "entry" if board.submitted else "result"
    how = "each scored again from its predictions" if board.submitted else "as they say themselves"
    groups = {key: int(flags.sum()) for key, flags in group_of(board).items()}
    return {
        "board": board,
        "lead": f"{counted(m, what)} on {counted(board.n, 'image')}, {how}. "
        f"Images: {board.source}, fingerprint {board.fingerprint[:12]}.",
        "groups": groups,
        "group_texts": _group_texts(board),
        "axis": axis_for([e.top1 for e in board.entries]),
        "along": correlation_in_words(board.entries),
        "columns": page_columns(board),
        "filters": [(each, each.options(board.entries)) for each in filters_of(board)],
    }


def _group_texts(board: Board) -> list[tuple[str, str, str]]:
    m, k = len(board.entries), few(board)
    some = f"1 to {k} of {m} entries answer" if k > 1 else f"exactly 1 of {m} entries answers"
    return [
        ("none", "Solved by none", f"No entry of {m} answers right."),
        ("few", "Solved by few", f"{some.capitalize()} right." if k else "A board of one entry has none."),
        ("all", "Solved by all", f"Every entry of {m} answers right."),
    ]


def _group(board: Board, key: str) -> dict[str, Any]:
    inside = group_of(board)[key]
    origins = np.array(board.image_origins, dtype=object)
    classes = [np.zeros(1000, np.int64), np.zeros(1000, np.int64)]
    for each, flag in zip(board.labels, inside.tolist(), strict=True):
        classes[0][list(each)] += flag
        classes[1][list(each)] += 1
    common = np.argsort(-classes[0], kind="stable")[:N_EXTREME_CLASSES]
    names, total = class_names(), int(inside.sum())
    sizes = [(o, int((inside & (origins == o)).sum())) for o in sorted(set(board.image_origins))]
    return {
        "board": board,
        "size": total,
        "group_texts": _group_texts(board),
        "by_origin": [
            (name, n, n / int((origins == name).sum())) for name, n in sorted(sizes, key=lambda x: -x[1])
        ],
        "by_class": [(names[i], int(classes[0][i]), int(classes[1][i])) for i in common if classes[0][i]],
    }


def _best_per_group(board: Board) -> dict[tuple[str, str], float]:
    best: dict[tuple[str, str], float] = defaultdict(float)
    for entry in board.entries:
        for kind in ("origins", "n_labels", "superclasses"):
            for name, rate in getattr(entry, kind).items():
                best[kind, name] = max(best[kind, name], rate.accuracy)
    return best


def _entry(board: Board, index: int, best: Mapping[tuple[str, str], float]) -> dict[str, Any]:
    entry = board.entries[index]
    hardest, easiest = _extreme_classes(entry)
    kinds: tuple[tuple[str, str, Mapping[str, Rate]], ...] = (
        ("Source of the images", "origins", entry.origins),
        ("Number of labels", "n_labels", entry.n_labels),
        ("Superclass of a label", "superclasses", entry.superclasses),
    )
    cal = entry.calibration
    return {
        "e": entry,
        "word": _word(entry),
        "index": index,
        "alone": int((board.correct[index] & (board.solved_by == 1)).sum()),
        "ties": [e for j, e in enumerate(board.entries) if j != index and board.tied[index, j]],
        "facts": [_facts(entry, board), *provenance(entry)],
        "bibtex": bibtex(board, entry) if board.submitted else "",
        "badge_alt": markdown_cell(board.title),
        "full_axis": FULL_AXIS,
        "of_each_kind": OF_EACH_KIND,
        "groups": [
            (title, [(name, rate, best[kind, name]) for name, rate in rates.items()])
            for title, kind, rates in kinds
            if rates
        ],
        "hardest": hardest,
        "easiest": easiest,
        "bins": [row for row in zip(cal.n_total, cal.n_correct, cal.confidence, strict=True) if row[0]]
        if cal
        else [],
    }


def _word(entry: Ranked) -> str:
    """Whose word stands behind the provenance."""
    if entry.tier == "unsubmitted":
        return "As the result says."
    if entry.tier in ("spot-checked", "reproduced"):
        return f"{WORD}."
    if entry.words:
        return f"{WORD}; so is that a model gave these answers, as an endpoint need not say the same again."
    return f"{WORD}; so are weights, transform and parameters, as the model was not run again."


def _facts(entry: Ranked, board: Board) -> Facts:
    rows = (
        *((field.title, field.written(entry)) for field in fields_of(board) if field.title),
        ("Images", f"{board.title}, {board.n:,}, fingerprint {board.fingerprint}"),
        ("Predictions, sha256", entry.predictions_sha256),
        ("Submitter", entry.submitter),
    )
    return Facts("Entry", tuple((key, value) for key, value in rows if value))


def _extreme_classes(entry: Ranked) -> tuple[list[tuple[str, int, int]], list[tuple[str, int, int]]]:
    """The hardest by the interval's upper end, the easiest by its lower: few images prove little."""
    names, per_class = class_names(), entry.per_class
    counts = list(zip(per_class.n_correct, per_class.n_total, strict=True))
    ends = {pair: wilson(*pair) for pair in set(counts) if pair[1]}  # few pairs, each of many classes
    rows = [(names[i], *pair) for i, pair in enumerate(counts) if pair[1]]
    hardest = sorted((row for row in rows if row[1] < row[2]), key=lambda row: (ends[row[1:]][1], row[0]))
    easiest = sorted((row for row in rows if row[1]), key=lambda row: (-ends[row[1:]][0], row[0]))
    return hardest[:N_EXTREME_CLASSES], easiest[:N_EXTREME_CLASSES]


def _changes(site: SiteData) -> list[dict[str, Any]]:
    """What happened by day, the newest first: entries by their own dates, replaced and withdrawn ones by when
    the board has them on record; checks to be folded."""
    days: dict[str, dict[str, list[tuple[str, str, str]]]] = defaultdict(lambda: defaultdict(list))
    for board in site.boards:
        for e in board.entries:
            line = f"on {board.title}: {pct(e.top1.accuracy)}\u00a0%, rank {e.rank.place}."
            days[e.date.isoformat()]["entries"].append((e.id, e.name, line))
            for day, before, after in _replacements(e):
                line = (
                    f"on {board.title}: {pct(before)}\u00a0% before, {pct(after)}\u00a0% after "
                    f"({points(after - before)} points)."
                )
                days[day]["replaced"].append((e.id, e.name, line))
            found: dict[str, list[str]] = defaultdict(list)
            for check in e.checks:
                found[check.when.date().isoformat()].append(f"{check.name}: {check.outcome}")
            for day, each in found.items():
                days[day]["checks"].append((e.id, e.name, f"{'; '.join(each)}."))
    for gone in site.withdrawn:
        days[gone.date.isoformat()]["withdrawn"].append(("", gone.entry, f"by {gone.by}: {gone.why}"))
    kinds = ("entries", "replaced", "withdrawn", "checks")
    return [
        {"day": day, **{kind: sorted(days[day][kind]) for kind in kinds}}
        for day in sorted(days, reverse=True)
    ]


def _replacements(e: Ranked) -> list[tuple[str, float, float]]:
    """(day, accuracy before, accuracy after) of each time that another state took an entry's place."""
    scores = [*(each.top1.accuracy for each in e.earlier), e.top1.accuracy]
    days = [each.when.date() for each in e.earlier]
    # One that is not verified yet has its own date, which may be older than what it replaced.
    days.append(max((check.when.date() for check in e.checks), default=max([e.date, *days])))
    changes = zip(days[1:], scores, scores[1:], strict=False)
    return [(day.isoformat(), before, after) for day, before, after in changes]


@dataclass(frozen=True)
class Axis:
    """A common scale from ``low`` to ``high`` (shares) over ``width`` pixels, with marks at ``ticks``."""

    low: float
    high: float
    ticks: tuple[float, ...]
    width: int = 160

    def x(self, share: float) -> float:
        """Pixels from the left, one digit after the point; what lies outside stands at the end."""
        place = min(max((share - self.low) / (self.high - self.low), 0.0), 1.0)
        return round(4 + (self.width - 8) * place, 1)


def axis_for(rates: Sequence[Rate]) -> Axis:
    """A range of whole twentieths that holds the intervals, but for the lowest tenth of many.

    A few entries far below would leave all others without a visible interval; their place is drawn as
    an arrow at the end of the scale.
    """
    lows = sorted(rate.low for rate in rates)
    low = floor(20 * lows[len(lows) // 10]) / 20
    high = max(ceil(20 * max(rate.high for rate in rates)) / 20, low + 0.05)
    steps = round(20 * (high - low))
    every = 1 if steps <= 5 else 2 if steps <= 10 else 4
    return Axis(low, high, tuple(round(low + i / 20, 2) for i in range(0, steps + 1, every)))


FULL_AXIS = Axis(0.0, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0))
