"""``imagenet-hard curate review``: people decide about survivors, on a local page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagenet_hard.cli.console import console
from imagenet_hard.cli.curate.options import recipe_options, work_folder
from imagenet_hard.cli.options import path_option

if TYPE_CHECKING:
    from imagenet_hard.curation.recipe import Recipe
    from imagenet_hard.curation.records import Survivor
    from imagenet_hard.curation.review.controller import Controller


@click.command("review")
@recipe_options
@click.option("--reviewer", metavar="NAME", help="Who reviews; decisions go to WORK/decisions/NAME.csv.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=7860, show_default=True, help="Port on 127.0.0.1."
)
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@click.option("--conflicts", is_flag=True, help="Go through the images on which other reviewers differ.")
@click.option("--report", is_flag=True, help="Print agreement and conflicts of all reviewers instead.")
@path_option("--adjudication", metavar="FILE", help="Decisions CSV that settles conflicts, with --report.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(recipe: str, data: Path, reviewer: str | None, report: bool, **options: Any) -> int:
    """Review the survivors, one by one, on a page that only this machine can see.

    \b
    imagenet-hard curate review --recipe R --data DIR --reviewer ann
    imagenet-hard curate review --recipe R --report
    imagenet-hard curate review --recipe R --data DIR --reviewer chief --conflicts
    imagenet-hard curate review --recipe R --report --adjudication WORK/decisions/chief.csv

    Every decision is on disk before the page goes on; run the same command again to go on later.
    """
    from imagenet_hard.curation.recipe import load_recipe

    if (options["as_json"] or options["adjudication"]) and not report:
        raise click.UsageError("--json and --adjudication belong to --report")
    if report == bool(reviewer):
        raise click.UsageError("give either --reviewer NAME, to review, or --report")
    loaded = load_recipe(recipe)
    folder = work_folder(options["work"], loaded.name)
    if reviewer:
        controller = _controller(loaded, data, folder, reviewer, options["conflicts"])
        _serve(controller, options["port"], not options["no_browser"])
    else:
        _report(folder, options["adjudication"], options["as_json"])
    return 0


def _survivors(work: Path) -> list[Survivor]:
    from imagenet_hard.curation.store import FILE, CurationStore

    with CurationStore(work / FILE) as store:
        return store.survivors()


def _report(work: Path, adjudication: Path | None, as_json: bool) -> None:
    from imagenet_hard.curation.review import merge as decisions
    from imagenet_hard.curation.review import report

    files = decisions.decision_files(work)
    if not files and adjudication is None:
        raise click.UsageError(f"there are no decisions in {work / 'decisions'}: review some images first")
    merged = decisions.merge(files, {each.id: each for each in _survivors(work)}, adjudication)
    if as_json:
        click.echo(json.dumps(report.as_json(merged), indent=2))
        return
    out = console()
    for table in report.tables(merged):
        out.print(table.terminal())


def _controller(recipe: Recipe, data: Path, work: Path, reviewer: str, conflicts: bool) -> Controller:
    from imagenet_hard.curation.review.controller import Controller
    from imagenet_hard.curation.review.merge import decision_files, merge
    from imagenet_hard.curation.review.pictures import Pictures
    from imagenet_hard.curation.review.session import ReviewSession
    from imagenet_hard.curation.sources import open_sources

    survivors, own = _survivors(work), work / "decisions" / f"{reviewer}.csv"
    said = None
    if conflicts:
        others = [file for file in decision_files(work) if file != own]
        merged = merge(others, {each.id: each for each in survivors})
        said = {each.id: each.said for each in merged.conflicts}
    session = ReviewSession(survivors, own, reviewer, None if said is None else list(said))
    return Controller(session, Pictures(open_sources(recipe, data), recipe, survivors), said)


def _serve(controller: Controller, port: int, open_browser: bool) -> None:
    from threading import Event

    from imagenet_hard.curation.review.page import serve

    running = serve(controller, port, open_browser=open_browser)
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
