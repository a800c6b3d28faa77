"""``imagenet-hard study``: try every zoom of every image, and report what that shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagenet_hard.cli.console import at_work, console
from imagenet_hard.cli.curate.options import data_option, recipe_option, run_options
from imagenet_hard.cli.curate.score import report as print_scores
from imagenet_hard.cli.curate.score import run_scoring
from imagenet_hard.cli.engine import engine_options
from imagenet_hard.cli.options import FILE, FOLDER, path_option

if TYPE_CHECKING:
    from imagenet_hard.study.figures import Figures
    from imagenet_hard.study.gallery import Shown

work_option = path_option(
    "--work", "-w", type=FOLDER, help="Where the scores are kept [default: studies/RECIPE]."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def _folder(name: str) -> Path:
    return Path("studies") / name


@click.group("study")
def command() -> None:
    """What zooming does (paper, section 3).

    \b
    imagenet-hard study run    --recipe imagenet-hard-lite --data DIR
    imagenet-hard study report --recipe imagenet-hard-lite --data DIR
    imagenet-hard study import correctness.pkl
    """


@command.command("run")
@recipe_option()
@data_option
@work_option
@run_options
@engine_options
@json_option
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def run(work: Path | None, as_json: bool, **options: Any) -> int:
    """Classify every image of a recipe's sources under every zoom, with each of its classifiers.

    What has been tried is kept as it happens: after Ctrl-C or `kill -9` run the same command again.
    """
    with at_work():
        scored = run_scoring(options, lambda name: work or _folder(name), mode="exhaustive")
    return print_scores(scored, as_json)


@command.command("import")
@click.argument("pickle", type=FILE)
@path_option("--out", "-o", type=FOLDER, default=Path("studies/authors"), help="Where matrix.npz goes.")
def import_(pickle: Path, out: Path) -> int:
    """Read the authors' PICKLE, correctness.pkl, into a matrix for `study report --matrix`.

    Nothing in the file is run: it is read as data, and what a table of booleans does not need is refused.
    """
    from imagenet_hard.study.authors_pickle import read_authors_pickle
    from imagenet_hard.study.matrix import FILE as MATRIX
    from imagenet_hard.study.matrix import write_matrix

    found = read_authors_pickle(pickle)
    write_matrix(found, out / MATRIX)
    info = found.info
    click.echo(
        f"{info.n_images:,} images of {len(info.images)} data sets, {len(info.classifiers)} classifiers, "
        f"{info.n_zooms} zooms",
        err=True,
    )
    click.echo(out / MATRIX)
    return 0


@command.command("report")
@click.option("--recipe", "-r", metavar="NAME|FILE", help="The recipe that was run.")
@path_option(
    "--matrix",
    type=FILE,
    metavar="NPZ",
    help="Instead of a run: the matrix.npz of an earlier report (without pictures).",
)
@path_option("--data", "-d", type=FOLDER, help="The images, for the gallery; without it the report has none.")
@work_option
@path_option("--out", "-o", type=FOLDER, help="Where the page and the tables go [default: WORK/report].")
@click.option(
    "--gallery",
    "per_source",
    type=click.IntRange(min=0, max=200),
    default=6,
    show_default=True,
    metavar="N",
    help="Images shown of each source.",
)
@click.option("--partial", is_flag=True, help="Report on what an unfinished run has done so far.")
@json_option
def report(recipe: str | None, matrix: Path | None, data: Path | None, as_json: bool, **options: Any) -> int:
    """Write a page with pictures, the tables as CSV, and the correctness matrix."""
    from imagenet_hard.curation.recipe import load_recipe
    from imagenet_hard.curation.sources import open_sources
    from imagenet_hard.study.figures import figures
    from imagenet_hard.study.gallery import gallery
    from imagenet_hard.study.matrix import collect, read_matrix
    from imagenet_hard.study.report import write_report

    if (recipe is None) == (matrix is None):
        raise click.UsageError("give --recipe (a run's scores) or --matrix (an earlier report's matrix.npz)")
    shown: list[Shown] = []
    work, out, partial = options["work"], options["out"], options["partial"]
    if matrix is not None:
        if data or work or partial:
            raise click.UsageError("--data, --work and --partial belong to --recipe, not to --matrix")
        found, target = read_matrix(matrix), out or matrix.parent
    else:
        loaded = load_recipe(recipe or "")
        folder = work or _folder(loaded.name)
        found, target = collect(loaded, folder, partial=partial), out or folder / "report"
        if data is not None and options["per_source"]:
            shown = gallery(loaded, open_sources(loaded, data), folder, options["per_source"])
    numbers = figures(found)
    paths = write_report(found, numbers, shown, target)
    if as_json:
        click.echo(json.dumps({"files": [str(path) for path in paths], "pairs": _pairs(numbers)}, indent=2))
    else:
        _print(numbers)
        click.echo(f"The report is {paths[0]}.")
    for id, why in list(found.info.left_out.items())[:20]:
        click.echo(f"left out: {id}: {why}", err=True)
    return 1 if found.info.left_out else 0


def _pairs(numbers: Figures) -> list[dict[str, object]]:
    return [
        {
            "source": pair.source,
            "classifier": pair.classifier,
            "one_crop": pair.accuracy.one_crop.model_dump(mode="json"),
            "best": pair.accuracy.best.model_dump(mode="json"),
            "centre_bias": pair.accuracy.centre_bias,
            "groups": {
                g.name: {"solved": g.solved.accuracy, "alone": g.alone.accuracy} for g in pair.accuracy.groups
            },
            "cover": list(pair.cover.zooms),
        }
        for pair in numbers.pairs
    ]


def _print(numbers: Figures) -> None:
    from imagenet_hard.base.tables import Table

    header = ("source", "classifier", "1-crop %", "best %", "zoom-in alone %", "zoom-out alone %", "cover")
    rows = []
    for pair in numbers.pairs:
        a = pair.accuracy
        shares = (a.one_crop, a.best, a.groups[0].alone, a.groups[1].alone)
        values = (f"{100 * rate.accuracy:.2f}" for rate in shares)
        rows.append((pair.source, pair.classifier, *values, len(pair.cover.zooms)))
    console().print(Table(header, rows, "llrrrrr").terminal())
