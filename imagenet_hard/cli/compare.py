"""``imagenet-hard compare`` and ``plan-comparison``: two results on the same images, paired."""

from __future__ import annotations

import json
from pathlib import Path

import click

from imagenet_hard.cli.console import console
from imagenet_hard.cli.options import PATH, path_option


@click.command("compare")
@click.argument("a", type=PATH)
@click.argument("b", type=PATH)
@click.option(
    "--flips",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="How many of these images to show.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the bootstrap, or of the draw.")
@click.option(
    "--sequential",
    is_flag=True,
    help="Say which is better from as few images as it takes, in the order in which an estimate draws them.",
)
@path_option(
    "--difficulty",
    metavar="FILE",
    help="Table of --sequential, as `imagenet-hard difficulty` makes it [default: the benchmark's].",
)
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
def command(
    a: Path, b: Path, flips: int, seed: int, sequential: bool, difficulty: Path | None, as_json: bool
) -> int:
    """Compare the results A.json and B.json image by image.

    Shows which of the two is right where, McNemar's exact test, a paired bootstrap interval of the
    difference, and the images that only one of them gets right. Both must be results on the very same
    images. With --sequential, they may also be estimates of one seed and table.
    """
    from imagenet_hard.evaluation.compare import compare

    if difficulty is not None and not sequential:
        raise click.UsageError("--difficulty: it is for --sequential")
    if sequential:
        from imagenet_hard.evaluation.sequential import compare_sequentially

        decision = compare_sequentially(a, b, seed=seed, difficulty=difficulty)
        click.echo(json.dumps(decision.model_dump(mode="json"), indent=2) if as_json else decision.words)
        return 0
    comparison = compare(a, b, seed=seed)
    click.echo(f"A is {a}, B is {b}", err=True)
    if as_json:
        click.echo(json.dumps(comparison.model_dump(mode="json"), indent=2))
        return 0
    from imagenet_hard.evaluation.table import comparison_tables

    out = console()
    for table in comparison_tables(comparison, max_flips=flips):
        out.print(table.terminal())
    return 0


@click.command("plan-comparison", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("a", type=PATH)
@click.argument("b", type=PATH)
@click.option(
    "--power",
    type=click.FloatRange(0.05, 0.999),
    default=0.8,
    show_default=True,
    help="The chance with which that many images tell the two apart.",
)
@path_option(
    "--difficulty",
    metavar="FILE",
    help="Table of `imagenet-hard difficulty`, for images that are drawn by it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
def plan_command(a: Path, b: Path, power: float, difficulty: Path | None, as_json: bool) -> int:
    """Say how many images it takes to tell two models apart that differ as A.json and B.json do.

    Both are results on all images, of models like the two that you want to compare.
    """
    from imagenet_hard.evaluation.sequential import plan_comparison

    plan = plan_comparison(a, b, power=power, difficulty=difficulty)
    if as_json:
        click.echo(json.dumps(plan.model_dump(mode="json"), indent=2))
        return 0
    click.echo(f"A - B is {100 * plan.difference:+.2f} points on all {plan.total:,} images.")
    if plan.random is None:
        click.echo("The two have the same score: there is no difference to tell.")
        return 0
    told = f"tell that difference from none in {100 * power:g} % of draws (5 % error)"
    click.echo(f"{plan.random:,} images at random {told}.")
    if plan.stratified is not None:
        click.echo(f"{plan.stratified:,} images drawn by difficulty do.")
    return 0
