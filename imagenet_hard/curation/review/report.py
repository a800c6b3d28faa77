"""What all reviewers said together: progress, agreement and conflicts, as tables and as JSON."""

from __future__ import annotations

from collections import Counter
from typing import Any

from imagenet_hard.base.tables import Table
from imagenet_hard.curation.review.actions import ACTIONS, image_state
from imagenet_hard.curation.review.decisions import DecisionRow
from imagenet_hard.curation.review.merge import Merged
from imagenet_hard.imagenet.classes import names


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
    """The same for people; a table without rows is left out."""
    decided = counts(merged)
    parts = [
        Table(
            ["", "images"],
            [
                *((image_state(action), f"{n:,}") for action, n in decided.items()),
                ("in conflict", f"{len(merged.conflicts):,}"),
                ("undecided", f"{len(merged.undecided):,}"),
                ("settled by adjudication", f"{len(merged.adjudicated):,}"),
            ],
            "lr",
            "Images",
        ),
        Table(
            ["reviewer", "images decided"],
            [(a, f"{n:,}") for a, n in merged.reviewers.items()],
            "lr",
            "Reviewers",
        ),
        Table(
            ["reviewers", "in common", "equal", "Cohen's kappa"],
            [
                (f"{a.first}, {a.second}", f"{a.n:,}", _number(a.raw, ".1%"), _number(a.kappa, ".3f"))
                for a in merged.agreement
            ],
            "lrrr",
            "Agreement on the action",
        ),
        Table(
            ["image", "who", "says", "reason"],
            [
                (each.id if first else "", row.reviewer, _words(row), row.reason)
                for each in merged.conflicts
                for first, row in zip([True] + [False] * len(each.said), each.said, strict=False)
            ],
            title="Conflicts",
        ),
    ]
    return [table for table in parts if table.rows]


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
