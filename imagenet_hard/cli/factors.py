"""``imagenet-hard factors``: top-1 by what is odd about an image, and by superclass."""

from __future__ import annotations

import json
from pathlib import Path

import click

from imagenet_hard.cli.console import console
from imagenet_hard.cli.options import PATH, path_option


@click.command("factors", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("results", nargs=-1, required=True, type=PATH)
@path_option(
    "--factors",
    metavar="FILE",
    help="Which images have which factors: ImageNet-X's JSON lines, or CSV with 0 and 1.",
)
@path_option(
    "--hashes",
    metavar="FILE",
    help="CSV with id and sha256 of the benchmark's images, such as a built set's images.csv, where the "
    "table of factors goes by hashes.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print all of it as CSV.")
def command(
    results: tuple[Path, ...], factors: Path | None, hashes: Path | None, as_json: bool, as_csv: bool
) -> int:
    """Show top-1 of RESULTS, .json files of imagenet-hard-eval, by factor and by superclass of WordNet.

    \b
    imagenet-hard factors results/A.json --factors imagenet_x_val_multi_factor.jsonl

    A factor's error ratio is the share of wrong answers among the images with it, divided by that among all
    images of the table. Images are found by id, or by the name of their original file in it.
    """
    from imagenet_hard.evaluation.factor_tables import read_factors, read_image_hashes
    from imagenet_hard.evaluation.factors import by_factor, factor_table, factors_csv

    if as_json and as_csv:
        raise click.UsageError("--json or --csv: one of them")
    if hashes is not None and factors is None:
        raise click.UsageError("--hashes is for --factors")
    table = None if factors is None else read_factors(factors)
    sha256 = {} if hashes is None else read_image_hashes(hashes)
    found = [by_factor(path, table, sha256=sha256) for path in results]
    if as_json:
        click.echo(json.dumps([each.model_dump(mode="json") for each in found], indent=2))
    elif as_csv:
        click.echo(factors_csv(found), nl=False)
    else:
        screen = console()
        for each in found:
            screen.print(factor_table(each).terminal())
    return 0
