"""``imagenet-hard curate build``: write the data set, its card and its manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagenet_hard.base.errors import ResultError
from imagenet_hard.cli.console import console
from imagenet_hard.cli.curate.options import recipe_options, work_folder
from imagenet_hard.cli.options import EXISTING, path_option

if TYPE_CHECKING:
    from imagenet_hard.curation.build.run import BuildReport
    from imagenet_hard.curation.records import Decision, Survivor
    from imagenet_hard.curation.store import CurationStore


@click.command("build")
@recipe_options
@path_option(
    "--decisions",
    multiple=True,
    type=EXISTING,
    metavar="FILE",
    help="Reviewers' CSV files [default: all in WORK/decisions].",
)
@path_option(
    "--adjudication", type=EXISTING, metavar="FILE", help="The decisions that settle reviewers' conflicts."
)
@path_option("--out", "-o", help="The folder [default: the output's name].")
@click.option("--allow-undecided", is_flag=True, help="Leave out images that could not be scored.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def command(recipe: str, data: Path, **options: Any) -> None:
    """Write the survivors to a folder that `datasets.load_dataset` reads.

    Exclusions and reviewers' decisions are applied; images that changed since they were scored are
    refused. The same inputs give the same bytes. An earlier build is replaced once the new one is complete.
    """
    from tqdm import tqdm

    from imagenet_hard.curation.build.lineage import Lineage
    from imagenet_hard.curation.build.run import build
    from imagenet_hard.curation.parent import read_parent
    from imagenet_hard.curation.recipe import load_recipe
    from imagenet_hard.curation.review.actions import ACTIONS
    from imagenet_hard.curation.score.plan import recipe_file
    from imagenet_hard.curation.sources import open_sources
    from imagenet_hard.curation.store import FILE, CurationStore

    loaded = load_recipe(recipe)
    folder = work_folder(options["work"], loaded.name)
    with (
        CurationStore(folder / FILE) as store,
        tqdm(desc=loaded.output.name, unit=" images", disable=options["quiet"]) as bar,
    ):
        sources = open_sources(loaded, data)
        survivors, parent = store.survivors(), read_parent(folder)
        settled = _settled(folder, options["decisions"], options["adjudication"], survivors)
        relabelled = [id for id, decision in settled.items() if ACTIONS[decision.action].takes_labels]
        report = build(
            loaded,
            recipe_file(recipe),
            sources,
            survivors,
            store.summary(),
            settled,
            options["out"] or Path(loaded.output.name),
            predicted={id: _predicted(store, id) for id in relabelled},
            lineage=None if parent is None else Lineage.read(parent, store, survivors),
            allow_undecided=options["allow_undecided"],
            on_progress=bar.update,
        )
    click.echo(json.dumps(_as_json(report), indent=2)) if options["as_json"] else _print(report)


def _settled(
    work: Path, files: tuple[Path, ...], adjudication: Path | None, survivors: list[Survivor]
) -> dict[str, Decision]:
    from imagenet_hard.curation.review.merge import decision_files, merge

    chosen = list(files) or decision_files(work)
    if not chosen and adjudication is None:
        return {}
    merged = merge(chosen, {survivor.id: survivor for survivor in survivors}, adjudication)
    if merged.conflicts:
        raise ResultError(
            f"reviewers differ on {len(merged.conflicts)} images (first {merged.conflicts[0].id}): "
            "`imagenet-hard curate review --report` shows them; settle them, and give that file with "
            "--adjudication"
        )
    return dict(merged.decisions)


def _predicted(store: CurationStore, id: str) -> set[int]:
    """Class indices that some zoom of some classifier predicts."""
    return {int(index) for views in store.views(id).values() for index in views.predicted if index >= 0}


def _as_json(report: BuildReport) -> dict[str, Any]:
    selection, near = report.selection, report.near_copies
    return {
        "folder": str(report.folder),
        "by_origin": dict(report.by_origin),
        "excluded": selection.excluded,
        "dropped": dict(selection.dropped),
        "relabelled": selection.relabelled,
        "answered": list(selection.answered),
        "merged": selection.merged,
        "torn": list(selection.torn),
        "reviewed": selection.reviewed,
        "reviewers": selection.reviewers,
        "exif_orientation": list(report.turned),
        "near_copies": None if near is None else [copy._asdict() for copy in near],
        **({"changes": report.version.model_dump(mode="json")} if report.version else {}),
        **report.manifest.model_dump(mode="json"),
    }


def _print(report: BuildReport) -> None:
    from imagenet_hard.base.tables import Table
    from imagenet_hard.base.text import shorten_list
    from imagenet_hard.curation.sources.exclusions import explain_near_copies
    from imagenet_hard.dataset.exif import worth
    from imagenet_hard.dataset.versions import VERSIONS

    rows = [(name, f"{n:,}") for name, n in [*report.by_origin.items(), ("all", report.manifest.n)]]
    title = f"{report.manifest.name} {report.manifest.version}"
    console().print(Table(("origin", "images"), rows, "lr", title, total=True).terminal())
    selection = report.selection
    click.echo(
        f"excluded {selection.excluded}, dropped by reviewers {sum(selection.dropped.values())}, relabelled "
        f"{selection.relabelled}, merged {selection.merged}"
    )
    if (version := report.version) is not None:
        click.echo(
            f"against its parent: retired {len(version.retired)}, added {len(version.added)}, with other "
            f"labels {len(version.relabelled)}; {VERSIONS} says why"
        )
    if selection.answered:
        click.echo(
            f"{len(selection.answered)} are out because a zoom predicts a label that reviewers gave them: "
            f"{shorten_list(selection.answered)}"
        )
    if selection.torn:
        click.echo(
            f"{len(selection.torn)} stay under one source's labels and are out under another's: "
            f"{shorten_list(selection.torn)}"
        )
    if said := explain_near_copies(report.near_copies):
        click.echo(said, err=True)
    if report.turned:
        click.echo(worth(report.turned, report.manifest.n))
    click.echo(f"fingerprint {report.manifest.fingerprint}")
    click.echo(f"The data set is in {report.folder}.")
