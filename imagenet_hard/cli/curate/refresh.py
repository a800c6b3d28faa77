"""``imagenet-hard curate refresh``: a new version of a built set, from what is known of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from imagenet_hard.cli.console import at_work
from imagenet_hard.cli.curate.options import recipe_options, run_options, work_folder
from imagenet_hard.cli.curate.score import report, run_scoring
from imagenet_hard.cli.engine import engine_options
from imagenet_hard.cli.options import FOLDER, path_option


@click.command("refresh")
@recipe_options
@click.option("--parent", required=True, metavar="NAME|FILE", help="The recipe that the set was built by.")
@path_option("--parent-work", type=FOLDER, help="Its work folder [default: curated/RECIPE].")
@path_option("--parent-build", type=FOLDER, help="The built set [default: the output's name].")
@run_options
@engine_options
@click.option("--screen", is_flag=True, help="Let bfloat16 sort out what is far from right; same survivors.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON instead of a table.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def command(
    parent: str,
    parent_work: Path | None,
    parent_build: Path | None,
    screen: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Score the next version of a built set: another committee, or sources with other images or labels.

    \b
    imagenet-hard curate refresh --recipe hard-2.yaml --parent hard-1.yaml --data DIR
    imagenet-hard curate build   --recipe hard-2.yaml --data DIR

    Only images that are not solved yet meet the new classifiers. The images that survive are those that
    `score` would give from the start. Run the same command again to go on; `build` then writes what was
    retired and added, and why.
    """
    from imagenet_hard.curation.recipe import load_recipe
    from imagenet_hard.curation.refresh import Before
    from imagenet_hard.curation.score.plan import recipe_file

    old = load_recipe(parent)
    before = Before(
        recipe_file(parent), work_folder(parent_work, old.name), parent_build or Path(old.output.name)
    )
    with at_work():
        scored = run_scoring(
            options,
            lambda name: work_folder(options["work"], name),
            mode="screening" if screen else "early-exit",
            before=before,
        )
    return report(scored, as_json)
