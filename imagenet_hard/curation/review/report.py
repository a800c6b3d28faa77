"""What all reviewers said together: progress, agreement and conflicts, as tables and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from imagenet_hard.curation.review.actions import ACTIONS, state
from imagenet_hard.curation.review.decisions import DecisionRow
from imagenet_hard.curation.review.markup import visible
from imagenet_hard.curation.review.merge import Merged
from imagenet_hard.imagenet.classes import names

if TYPE_CHECKING:
    from rich.table import Table


def as_json(merged: Merged) -> dict[str, Any]:
    """The report for machines; ``kappa`` and ``raw`` are null where they are undefined."""
    return {
        "decided": counts(merged),
        "undecided": len(merged.undecided),
        "adjudicated": len(merged.adjudicated),
        "reviewers": merged.reviewers,
        "agreement": [
            {"reviewers": [each.first, each.second], "n": each.n, "raw": each.raw, "kappa": each.kappa}
            for each in merged.agreement
        ],
        "conflicts": [
            {"id": each.id, "said": [_said(row) for row in each.said]} for each in merged.conflicts
        ],
    }


def counts(merged: Merged) -> dict[str, int]:
    """Number of images for each action, of those that have a decision."""
    found = Counter(decision.action for decision in merged.decisions.values())
    return {action: found[action] for action in ACTIONS}


def tables(merged: Merged) -> list[Table]:
    """The same for people, for ``rich.print``; a table without rows is left out."""
    decided = counts(merged)
    parts = [
        _table(
            "Images",
            ["", "images"],
            [
                *((state(action), f"{n:,}") for action, n in decided.items()),
                ("in conflict", f"{len(merged.conflicts):,}"),
                ("undecided", f"{len(merged.undecided):,}"),
                ("settled by adjudication", f"{len(merged.adjudicated):,}"),
            ],
        ),
        _table(
            "Reviewers", ["reviewer", "images decided"], [(a, f"{n:,}") for a, n in merged.reviewers.items()]
        ),
        _table(
            "Agreement on the action",
            ["reviewers", "in common", "equal", "Cohen's kappa"],
            [
                (f"{a.first}, {a.second}", f"{a.n:,}", _number(a.raw, ".1%"), _number(a.kappa, ".3f"))
                for a in merged.agreement
            ],
        ),
        _table(
            "Conflicts",
            ["image", "who", "says", "reason"],
            [
                (each.id if first else "", row.reviewer, _words(row), row.reason)
                for each in merged.conflicts
                for first, row in zip([True] + [False] * len(each.said), each.said, strict=False)
            ],
            left=True,
        ),
    ]
    return [table for table in parts if table.row_count]


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _words(row: DecisionRow) -> str:
    return " ".join([row.action, ", ".join(names()[i] for i in row.labels)]).strip()


def _said(row: DecisionRow) -> dict[str, Any]:
    return {
        "reviewer": row.reviewer,
        "action": row.action,
        "reason": row.reason,
        "labels": list(row.labels),
        "time": row.stamp,
    }


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], left: bool = False) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if left or not place else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    return table
