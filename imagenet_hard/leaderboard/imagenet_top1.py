"""ImageNet accuracy as the models' makers report it: shown beside a score, never re-scored, never ranked by.

``data/imagenet_top1.csv`` holds what torchvision states with its weights ("ImageNet-1K", acc@1).
"""

from __future__ import annotations

from functools import cache

from imagenet_hard.base.tables import package_csv
from imagenet_hard.base.types import ModelSpec
from imagenet_hard.leaderboard.entry import ReportedTop1
from imagenet_hard.leaderboard.plain_text import Link

SOURCE = Link(label="torchvision", url="https://docs.pytorch.org/vision/stable/models.html")


def published_top1(model: ModelSpec) -> ReportedTop1 | None:
    """What is reported of these very weights; None where nothing is known."""
    return torchvision_top1(model.name, model.tag or "") if model.backend == "torchvision" else None


def torchvision_top1(name: str, tag: str) -> ReportedTop1 | None:
    """What torchvision states of one of its weights, such as ("resnet50", "IMAGENET1K_V1")."""
    percent = _torchvision().get((name, tag))
    return None if percent is None else ReportedTop1(percent=percent, source=SOURCE)


@cache
def _torchvision() -> dict[tuple[str, str], float]:
    rows = package_csv("imagenet_hard.leaderboard", "imagenet_top1.csv")
    return {(row["name"], row["tag"]): float(row["top1"]) for row in rows}
