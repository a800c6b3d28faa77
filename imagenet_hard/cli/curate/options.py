"""The options that the steps of ``imagenet-hard curate`` share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from imagenet_hard.cli.options import FOLDER, device_option, path_option


def recipe_option(*, required: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--recipe``."""
    return click.option(
        "--recipe",
        "-r",
        required=required,
        metavar="NAME|FILE",
        help="A recipe by name (imagenet-hard, imagenet-hard-lite), or a YAML file.",
    )


data_option = path_option(
    "--data",
    "-d",
    type=FOLDER,
    default=Path(),
    show_default="the current folder",
    help="The folder that the recipe's paths are relative to.",
)
work_option = path_option(
    "--work", "-w", type=FOLDER, help="Where scores and decisions are kept [default: curated/RECIPE]."
)


def work_folder(work: Path | None, name: str) -> Path:
    """``--work``, or its default for the recipe called ``name``."""
    return work or Path("curated") / name


def recipe_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--recipe``, ``--data`` and ``--work``."""
    return recipe_option()(data_option(work_option(function)))


def run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--device``, ``--batch-size`` and ``--workers``."""
    for option in (
        click.option("--workers", "-j", type=click.IntRange(min=1), metavar="N", help="Decoding threads."),
        click.option("--batch-size", "-b", type=click.IntRange(min=1), metavar="N", help="Crops in a pass."),
        device_option,
    ):
        function = option(function)
    return function
