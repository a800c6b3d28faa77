"""``imagenet-hard curate score``: find the images that no zoom of any classifier solves."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagenet_hard.cli.console import at_work, console
from imagenet_hard.cli.curate.options import recipe_options, run_options, work_folder
from imagenet_hard.cli.engine import engine_options, opened
from imagenet_hard.cli.options import EXISTING, path_option

if TYPE_CHECKING:
    from imagenet_hard.curation.records import FilterProgress, ScoreSummary
    from imagenet_hard.curation.refresh import Before
    from imagenet_hard.imagenet.zoom import Zoom

FAILURES_SHOWN = 20

REFRESH = 1.0
"""Seconds between two looks of the progress bar, at the least."""


@click.command("score")
@recipe_options
@run_options
@engine_options
@click.option("--screen", is_flag=True, help="Let bfloat16 rule out what is far from right; same survivors.")
@click.option("--exhaustive", is_flag=True, help="Try every zoom of every image, for the zoom study.")
@path_option(
    "--order",
    type=EXISTING,
    metavar="CSV",
    help="Zooms to try first, such as the cover.csv of `study report`; same survivors.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON instead of a table.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def command(screen: bool, exhaustive: bool, order: Path | None, as_json: bool, **options: Any) -> int:
    """Decide for each image whether any zoom of any of the recipe's classifiers gets it right.

    What has been decided is kept as it happens: after Ctrl-C or `kill -9` run the same command again.
    """
    from imagenet_hard.imagenet.zoom_list import read_zoom_list

    if screen and exhaustive:
        raise click.UsageError("--screen and --exhaustive exclude each other: the study wants float32 only")
    if order and exhaustive:
        raise click.UsageError("--order and --exhaustive exclude each other: every zoom is tried anyway")
    with at_work():
        scored = run_scoring(
            options,
            lambda name: work_folder(options["work"], name),
            mode="exhaustive" if exhaustive else "screening" if screen else "early-exit",
            order=read_zoom_list(order) if order else (),
        )
    return report(scored, as_json)


@dataclass(frozen=True)
class ScoringRun:
    """What came out of a run, the work folder, and ids of images that should not be there twice."""

    summary: ScoreSummary
    folder: Path
    duplicates: list[tuple[str, ...]]


def run_scoring(
    options: Mapping[str, Any],
    folder_for: Callable[[str], Path],
    *,
    mode: str,
    order: Sequence[Zoom] = (),
    before: Before | None = None,
) -> ScoringRun:
    """Score a recipe with a progress bar; ``folder_for``: its name -> the work folder.

    ``options``: ``recipe``, ``data``, ``quiet``, and those of ``run_options`` and ``engine_options``.
    ``before``: the set that is refreshed.
    """
    from imagenet_hard.curation.recipe import load_recipe
    from imagenet_hard.curation.refresh import refresh
    from imagenet_hard.curation.score.plan import recipe_file
    from imagenet_hard.curation.score.run import score
    from imagenet_hard.curation.sources import open_sources, unwanted
    from imagenet_hard.curation.sources.exclusions import read_exclusions
    from imagenet_hard.curation.store import FILE, CurationStore
    from imagenet_hard.engine.settings import RunSettings

    loaded = load_recipe(options["recipe"])
    if mode == "exhaustive":
        _ = loaded.grid().standard  # before hours of work, not after: the study needs that view
    sources = open_sources(loaded, options["data"])
    for source in sources:
        for note in source.notes:
            click.echo(f"{source.spec.id}: {note}", err=True)
    excluded = read_exclusions(loaded.exclusions, recipe_file(options["recipe"]), sources)
    folder = folder_for(loaded.name)
    how = ("device", "batch_size", "workers", "compile", "runtime")
    settings = RunSettings(**{name: options[name] for name in how})
    with opened(options) as engine, _progress(loaded.name, options["quiet"]) as update:
        run = score if before is None else partial(refresh, before=before)
        summary = run(
            loaded, sources, folder, settings, mode=mode, order=order, engine=engine, on_progress=update
        )
    with CurationStore(folder / FILE) as store:
        found = unwanted(sources, store.hashes(), excluded)
    return ScoringRun(summary, folder, [each.ids for each in found])


def report(scored: ScoringRun, as_json: bool) -> int:
    """Print what came out; the exit code."""
    from imagenet_hard.curation.sources import explain_duplicates

    if as_json:
        click.echo(json.dumps(_as_json(scored), indent=2))
    else:
        _print(scored.summary, scored.folder)
    if scored.duplicates:
        click.echo(explain_duplicates([" = ".join(ids) for ids in scored.duplicates]), err=True)
    return 1 if scored.summary.failures else 0


@contextmanager
def _progress(name: str, quiet: bool) -> Iterator[Callable[[FilterProgress], None]]:
    from tqdm import tqdm

    bar: tqdm[Any] | None = None
    shown = 0.0

    def update(progress: FilterProgress) -> None:
        nonlocal bar, shown
        if bar is None:
            bar = tqdm(
                total=progress.total,
                initial=progress.done,
                desc=name,
                unit=" images",
                disable=quiet,
                smoothing=0.05,
            )
        numbers = {
            "solved": progress.solved,
            "hard": progress.hard,
            "failed": progress.failed,
            "zooms": progress.crops,
        }
        bar.set_postfix(numbers, refresh=False)
        bar.update(progress.done - bar.n)
        if time.monotonic() - shown > REFRESH:  # hard images take long: the zooms show that it goes on
            bar.refresh()
            shown = time.monotonic()

    try:
        yield update
    finally:
        if bar is not None:
            bar.close()


def _as_json(scored: ScoringRun) -> dict[str, Any]:
    values = asdict(scored.summary)
    values["classifiers"] = {
        name: spec.model_dump(mode="json") for name, spec in scored.summary.classifiers.items()
    }
    return {"work": str(scored.folder), **values, "duplicates": scored.duplicates}


def _print(summary: ScoreSummary, work: Path) -> None:
    from imagenet_hard.base.tables import Table

    columns = (summary.seen, summary.solved, summary.hard, summary.undecided)
    counts = {name: [column[name] for column in columns] for name in summary.seen}
    counts["all"] = [sum(column.values()) for column in columns]
    rows = [
        (name, *(f"{n:,}" for n in each), f"{100 * each[2] / max(1, each[0]):.2f}")
        for name, each in counts.items()
    ]
    header = ("source", "images", "solved", "hard", "undecided", "hard %")
    console().print(Table(header, rows, "lrrrrr", total=True).terminal())
    click.echo(f"The scores are in {work}.")
    for id, why in list(summary.failures.items())[:FAILURES_SHOWN]:
        click.echo(f"undecided: {id}: {why}", err=True)
    if len(summary.failures) > FAILURES_SHOWN:
        click.echo(f"and {len(summary.failures) - FAILURES_SHOWN} more (--json lists all)", err=True)
