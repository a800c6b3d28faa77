"""``imagenet-hard curate review``: people decide about survivors, on a local page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagenet_hard.cli.console import console
from imagenet_hard.cli.curate.options import data_option, recipe_option, work_folder, work_option
from imagenet_hard.cli.options import path_option

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from imagenet_hard.curation.recipe import Recipe
    from imagenet_hard.curation.records import OpenSource, Survivor
    from imagenet_hard.curation.review.controller import Controller
    from imagenet_hard.dataset.benchmark import Benchmark


@click.command("review")
@recipe_option(required=False)
@data_option
@work_option
@path_option(
    "--doubts", metavar="FILE", help="In place of a recipe: the list that `imagenet-hard doubts -o` wrote."
)
@click.option("--dataset", metavar="NAME", help="The benchmark that the doubts are about.")
@path_option("--labels", metavar="FILE", help="Its label file, for a folder of images.")
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    metavar="N",
    help="How many of the doubted images.",
)
@click.option("--reviewer", metavar="NAME", help="Who reviews; decisions go to WORK/decisions/NAME.csv.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=7860, show_default=True, help="Port on 127.0.0.1."
)
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@click.option("--conflicts", is_flag=True, help="Go through the images on which other reviewers differ.")
@click.option("--report", is_flag=True, help="Print agreement and conflicts of all reviewers instead.")
@path_option("--adjudication", metavar="FILE", help="Decisions CSV that settles conflicts, with --report.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(recipe: str | None, data: Path, reviewer: str | None, report: bool, **options: Any) -> int:
    """Review survivors or doubted images, one by one, on a page that only this machine can see.

    \b
    imagenet-hard curate review --recipe R --data DIR --reviewer ann
    imagenet-hard curate review --recipe R --report
    imagenet-hard curate review --recipe R --data DIR --reviewer chief --conflicts
    imagenet-hard curate review --recipe R --report --adjudication WORK/decisions/chief.csv
    imagenet-hard curate review --doubts doubts.csv --dataset imagenet-hard --reviewer ann

    Every decision is on disk before the page goes on; run the same command again to go on later.
    """
    if (options["as_json"] or options["adjudication"]) and not report:
        raise click.UsageError("--json and --adjudication belong to --report")
    if report == bool(reviewer):
        raise click.UsageError("give either --reviewer NAME, to review, or --report")
    if (recipe is None) == (options["doubts"] is None):
        raise click.UsageError("what to review? Give --recipe, or --doubts")
    if (options["doubts"] is None) != (options["dataset"] is None):
        raise click.UsageError("--doubts and --dataset belong together")
    if options["doubts"]:
        return _review_doubts(reviewer, options)
    from imagenet_hard.curation.recipe import load_recipe

    loaded = load_recipe(str(recipe))
    folder = work_folder(options["work"], loaded.name)
    if not reviewer:
        _report(folder, lambda: _survivors(folder), options["adjudication"], options["as_json"])
        return 0
    from imagenet_hard.curation.sources import open_sources

    found = _survivors(folder)
    sources = open_sources(loaded, data)
    _serve(_controller(sources, loaded, found, folder, reviewer, options), options)
    return 0


def _review_doubts(reviewer: str | None, options: dict[str, Any]) -> int:
    from itertools import islice

    from imagenet_hard.curation.review.doubted import doubted_images
    from imagenet_hard.dataset.load import load_dataset
    from imagenet_hard.leaderboard.doubt_tables import read_doubted

    doubts = islice(read_doubted(options["doubts"]).items(), options["top"])
    benchmark = load_dataset(options["dataset"], labels=options["labels"], exif=True)  # for people to look at
    folder: Path = options["work"] or Path("reviewed") / Path(benchmark.name).name
    images = doubted_images(benchmark, doubts)
    if reviewer:
        _serve(_controller([benchmark], None, images, folder, reviewer, options), options)
    else:
        _report(folder, lambda: images, options["adjudication"], options["as_json"])
    return 0


def _survivors(work: Path) -> list[Survivor]:
    from imagenet_hard.curation.store import FILE, CurationStore

    with CurationStore(work / FILE) as store:
        return store.survivors()


def _report(
    work: Path, survivors: Callable[[], list[Survivor]], adjudication: Path | None, as_json: bool
) -> None:
    from imagenet_hard.curation.review import merge as decisions
    from imagenet_hard.curation.review import report

    files = decisions.decision_files(work)
    if not files and adjudication is None:
        raise click.UsageError(f"there are no decisions in {work / 'decisions'}: review some images first")
    merged = decisions.merge(files, {each.id: each for each in survivors()}, adjudication)
    if as_json:
        click.echo(json.dumps(report.as_json(merged), indent=2))
        return
    out = console()
    for table in report.tables(merged):
        out.print(table.terminal())


def _controller(
    sources: Sequence[OpenSource | Benchmark],
    recipe: Recipe | None,
    survivors: list[Survivor],
    work: Path,
    reviewer: str,
    options: dict[str, Any],
) -> Controller:
    from imagenet_hard.curation.review.controller import Controller
    from imagenet_hard.curation.review.merge import decision_files, merge
    from imagenet_hard.curation.review.pictures import Pictures
    from imagenet_hard.curation.review.session import ReviewSession

    own = work / "decisions" / f"{reviewer}.csv"
    said = None
    if options["conflicts"]:
        others = [file for file in decision_files(work) if file != own]
        merged = merge(others, {each.id: each for each in survivors})
        said = {each.id: each.said for each in merged.conflicts}
    session = ReviewSession(survivors, own, reviewer, None if said is None else list(said))
    return Controller(session, Pictures(sources, recipe, survivors), said)


def _serve(controller: Controller, options: dict[str, Any]) -> None:
    from threading import Event

    from imagenet_hard.curation.review.page import serve

    running = serve(controller, options["port"], open_browser=not options["no_browser"])
    click.echo(
        f"The page is at {running.url} and only this machine can see it. Decisions go to "
        f"{controller.session.path}. Ctrl-C ends.",
        err=True,
    )
    try:
        Event().wait()
    except KeyboardInterrupt:
        click.echo("\nEnded. Everything that was decided is on disk.", err=True)
    finally:
        running.close()
