"""The options of test-time augmentation, as ``imagenet-hard eval`` takes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from imagenet_hard.tta.settings import TtaSettings

OPTIONS = (
    click.option(
        "--tta",
        type=click.Choice(["none", "zoom", "memo", "zoom-memo"]),
        default="none",
        show_default=True,
        help="Test-time augmentation: the mean over zoomed views, MEMO, or MEMO with zoomed views.",
    ),
    click.option(
        "--tta-views", type=click.IntRange(1, 4096), metavar="N", help="Views of one image [default: 64]."
    ),
    click.option("--tta-seed", type=click.IntRange(min=0), metavar="N", help="Of random views [default: 0]."),
    click.option(
        "--tta-zooms",
        metavar="FILE|N|standard",
        help="Fixed zooms in place of random ones: a CSV of zooms (a study's cover.csv), the first N of the "
        "paper's, or the standard view alone.",
    ),
    click.option(
        "--tta-optimizer", type=click.Choice(["sgd", "adamw"]), help="Of MEMO's one step [default: sgd]."
    ),
    click.option(
        "--tta-lr", type=float, metavar="RATE", help="Of MEMO's one step [default: 0.00025 or 1e-5]."
    ),
    click.option(
        "--tta-show",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Write a page that shows where test-time augmentation looked in the first images.",
    ),
)


def tta_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """All of ``OPTIONS``, in their order."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


def take_settings(options: dict[str, Any]) -> TtaSettings | None:
    """What they ask for together; None for ``--tta none``.

    Raises:
        UsageError: options that do not fit together.
    """
    from imagenet_hard.tta.settings import tta_settings

    return tta_settings(
        options["tta"],
        views=options["tta_views"],
        seed=options["tta_seed"],
        zooms=options["tta_zooms"],
        optimizer=options["tta_optimizer"],
        lr=options["tta_lr"],
    )
