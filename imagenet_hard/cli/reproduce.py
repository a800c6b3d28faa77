"""``imagenet-hard reproduce``: measure published figures again, and say whether they come out."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagenet_hard.base.errors import ImageNetHardError, UsageError
from imagenet_hard.cli.console import at_work, console, progress_bars
from imagenet_hard.cli.engine import engine_options, opened
from imagenet_hard.cli.options import datasets_option, flags_of, given, path_option
from imagenet_hard.engine.settings import RunOptions

if TYPE_CHECKING:
    from imagenet_hard.evaluation.suite import SuiteModel
    from imagenet_hard.leaderboard.reproduce import Reproduction

BROKEN = 3
"""Exit code where something could not be measured: 1 says that a figure did not come out."""


@click.command("reproduce")
@click.argument("suite")
@datasets_option()
@click.option("--revision", metavar="REV", help="Branch, tag or commit of a data set on the Hub.")
@click.option(
    "--only",
    multiple=True,
    metavar="MODEL",
    help="Only this model, as the suite or the published table names it; may be repeated.",
)
@click.option(
    "--figures",
    metavar="NAME|FILE",
    help="Published table to compare with [default: those of leaderboard/published that have the data set's "
    "name and number of images].",
)
@flags_of(RunOptions)
@engine_options
@path_option("--out", "-o", default=Path("results"), help="Where results and predictions go.")
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def command(suite: str, **options: Any) -> int:
    """Score the models of SUITE, and compare each with the accuracy that was published of it.

    \b
    imagenet-hard reproduce paper
    imagenet-hard reproduce paper --only alexnet --only ViT-B/32
    imagenet-hard reproduce demo --dataset sample --figures my_figures.yaml

    SUITE is paper, openclip, or a YAML file, as in `imagenet-hard eval`. A figure is reproduced if the
    difference comes from near-ties and from the digits that were printed. Models without a published figure
    are not scored. Finished results of `imagenet-hard eval` are read, and interrupted ones go on.

    Exit code: 0 all figures are reproduced, 1 one is not, 2 wrong usage, 3 a model could not be scored.
    """
    try:
        with at_work():
            found, failed = _reproduce(suite, options)
    except UsageError:
        raise
    except ImageNetHardError as error:
        click.echo(f"Error: {error}", err=True)
        return BROKEN
    _report(found, failed, options["as_json"])
    return BROKEN if failed else 0 if all(each.within for each in found) else 1


def _reproduce(suite_name: str, options: dict[str, Any]) -> tuple[list[Reproduction], dict[str, str]]:
    """What came out, and what went wrong by model and data set."""
    from imagenet_hard.dataset.load import load_dataset
    from imagenet_hard.evaluation.suite import load_suite
    from imagenet_hard.leaderboard.reproduce import figures_of, reproduce

    suite = load_suite(suite_name)
    found: list[Reproduction] = []
    failed: dict[str, str] = {}
    with opened(options) as engine:
        engine.device_type(options["device"] or "auto")  # before anything is read
        sets = [load_dataset(name, revision=options["revision"]) for name in options["datasets"]]
        asked = [figures_of(suite, each, options["figures"], options["only"]) for each in sets]
        for benchmark, figures in zip(sets, asked, strict=True):
            if not options["only"] and (left := len(suite.models) - len(figures)):
                click.echo(f"{left} of {len(suite.models)} models of {suite.name} have no figure", err=True)
            with progress_bars(benchmark, options["quiet"]) as bars:
                for figure, each in reproduce(
                    figures,
                    benchmark,
                    options["out"],
                    on_progress=partial(_bar, bars),
                    engine=engine,
                    verbose=not options["quiet"],
                    **given(RunOptions, options),
                ):
                    if not isinstance(each, Exception):
                        found.append(each)
                    else:
                        if not isinstance(each, ImageNetHardError):
                            traceback.print_exception(each)
                        what = f"{figure.row.name} on {benchmark.name}"
                        failed[what] = str(each)
                        click.echo(f"Error: {what}: {each}", err=True)
    return found, failed


def _bar(bars: Callable[[str], Callable[..., None]], model: SuiteModel) -> Callable[..., None]:
    return bars(model.model)


def _report(found: list[Reproduction], failed: dict[str, str], as_json: bool) -> None:
    if as_json:
        rows = [each.model_dump(mode="json") for each in found]
        click.echo(json.dumps({"figures": rows, "failed": failed}, indent=2))
        return
    from imagenet_hard.leaderboard.reproduce import reproduction_table

    if found:
        console().print(reproduction_table(found).terminal())
    within = sum(each.within for each in found)
    broken = f"; {len(failed)} could not be measured" if failed else ""
    click.echo(f"{within} of {len(found)} figures are reproduced{broken}.", err=True)
