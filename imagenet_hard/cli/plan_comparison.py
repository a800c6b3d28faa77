"""``imagenet-hard plan-comparison``: how many images tell two models apart."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("plan-comparison", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option(
    "--power",
    type=click.FloatRange(0.05, 0.999),
    default=0.8,
    show_default=True,
    help="How often so many images are to tell them apart.",
)
@click.option(
    "--difficulty",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Table of `imagenet-hard difficulty`, for images that are drawn by it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
def command(a: Path, b: Path, power: float, difficulty: Path | None, as_json: bool) -> int:
    """How many images it takes to tell two models apart that differ as A.json and B.json do.

    Both are results on all images, of models like those that are to be compared.
    """
    from imagenet_hard.evaluation.sequential import plan_comparison

    plan = plan_comparison(a, b, power=power, difficulty=difficulty)
    if as_json:
        click.echo(json.dumps(plan.model_dump(mode="json"), indent=2))
        return 0
    click.echo(f"A - B is {100 * plan.difference:+.2f} points on all {plan.total:,} images.")
    if plan.random is None:
        click.echo("There is no difference to tell.")
        return 0
    told = f"tell that apart from none in {100 * power:g} % of draws (5 % error)"
    click.echo(f"{plan.random:,} images at random {told}.")
    if plan.stratified is not None:
        click.echo(f"{plan.stratified:,} images drawn by difficulty do.")
    return 0
