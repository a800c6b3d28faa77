"""``imagenet-hard export``: results in the forms of other projects."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import click

from imagenet_hard.cli.options import FOLDER, PATH, path_option
from imagenet_hard.evaluation.export import FORMS, RELATIONSHIPS, Evaluator, Relationship, export


@click.command("export")
@click.argument("results", nargs=-1, required=True, type=PATH)
@click.option("--form", required=True, type=click.Choice([*FORMS]), help="The form to write.")
@path_option("--out", "-o", required=True, type=FOLDER, help="Where the files go.")
@click.option("--evaluator", metavar="NAME", help="every-eval-ever: who ran the evaluation.")
@click.option(
    "--relationship",
    type=click.Choice([*RELATIONSHIPS]),
    help="every-eval-ever: how the evaluator is related to the model.",
)
def command(results: tuple[Path, ...], **options: Any) -> int:
    """Write RESULTS, .json files of imagenet-hard-eval, in the form of another project.

    timm: one CSV as in its results/, best first. clip-benchmark: a JSON file for each zero-shot model, which
    `clip_benchmark build` reads. every-eval-ever: a record for each result, at its path in the datastore.
    """
    from imagenet_hard.base.files import write_atomically
    from imagenet_hard.evaluation.result import read_result

    name, relationship = options["evaluator"], options["relationship"]
    if (name is None) != (relationship is None):
        raise click.UsageError("--evaluator and --relationship belong together")
    evaluator = None if name is None else Evaluator(name, cast("Relationship", relationship))
    files = export([read_result(path)[0] for path in results], options["form"], evaluator)
    for path, text in files.items():
        write_atomically(options["out"] / path, text.encode())
        click.echo(options["out"] / path)
    return 0
