"""``imagenet-hard curate plan``: what a recipe reads and costs, before anything runs."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagenet_hard.cli.console import at_work, console
from imagenet_hard.cli.curate.options import data_option, recipe_option, run_options

if TYPE_CHECKING:
    from imagenet_hard.curation.score.plan import Plan


@click.command("plan")
@recipe_option()
@data_option
@run_options
@click.option("--exhaustive", is_flag=True, help="The cost of `score --exhaustive`.")
@click.option("--quick", is_flag=True, help="Do not read every image. This skips the search for duplicates.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON instead of tables.")
def command(recipe: str, data: Path, exhaustive: bool, quick: bool, as_json: bool, **run: Any) -> None:
    """Open every source, load and time every classifier, and say what scoring will take.

    A recipe that cannot work stops here, with the line of its file that is at fault. It names
    duplicate images, which a build would refuse, and near-copies, if ImageHash is installed.
    """
    from tqdm import tqdm

    from imagenet_hard.curation.recipe import load_recipe
    from imagenet_hard.curation.score.plan import plan, recipe_file
    from imagenet_hard.engine.settings import RunSettings

    settings = RunSettings(**run)
    path = recipe_file(recipe)
    bar = tqdm(desc="looking for duplicates", unit=" images", disable=quick or None, delay=1)
    with at_work(), bar:
        made = plan(
            load_recipe(recipe),
            path,
            data,
            settings,
            exhaustive=exhaustive,
            quick=quick,
            on_progress=bar.update,
        )
    if as_json:
        near = None if made.near_copies is None else [copy._asdict() for copy in made.near_copies]
        click.echo(json.dumps({**asdict(made), "near_copies": near}, indent=2))
    else:
        _print(made, exhaustive, quick)


def _print(plan: Plan, exhaustive: bool, quick: bool) -> None:
    from imagenet_hard.base.tables import Table
    from imagenet_hard.curation.score.plan import SURVIVING
    from imagenet_hard.curation.sources import explain_duplicates
    from imagenet_hard.curation.sources.exclusions import explain_near_copies

    out = console()
    header: tuple[str, ...] = ("source", "from", "images", "classes", "licence", "ms/image")
    rows: list[tuple[object, ...]] = []
    for s in plan.sources:
        mask = "all" if s.mask == "none" else s.mask
        rows.append((s.id, s.where, f"{s.n:,}", mask, s.licence, f"{1000 * s.seconds_per_image:.1f}"))
    out.print(Table(header, rows, "llrllr", f"{plan.recipe}: reads").terminal())
    for s in plan.sources:
        for note in s.notes:
            out.print(f"  {s.id}: {note}", markup=False)
    if plan.duplicates:
        out.print(f"  {explain_duplicates([' = '.join(ids) for ids in plan.duplicates])}", markup=False)
    if not quick and (said := explain_near_copies(plan.near_copies)):
        out.print(f"  {said}", markup=False)
    header = ("classifier", "parameters", "crop", "zooms", "ms/crop")
    rows = []
    for c in plan.classifiers:
        parameters = f"{c.parameters / 1e6:.1f} M" if c.parameters else "?"
        rows.append((c.id, parameters, c.input_size, c.zooms, f"{1000 * c.seconds_per_crop:.2f}"))
    out.print(Table(header, rows, "lrrrr", "asks, cheapest first").terminal())
    low, high = (timedelta(seconds=round(s)) for s in plan.seconds)
    sizes = [f"{b / 2**20:,.0f} MB" for b in plan.store_bytes]
    out.print(f"{plan.n:,} images, {plan.workers} decoding threads.")
    if exhaustive:
        out.print(f"Every zoom of every image: about {low}, {sizes[0]} of scores.")
        return
    out.print(
        f"About {low} to {high} and {sizes[0]} to {sizes[1]} of scores, if {SURVIVING[0]:.0%} to "
        f"{SURVIVING[1]:.0%} of the images stay unsolved\n(as of CLIP ViT-L/14 in the paper) and the others "
        f"are solved after {plan.crops_per_solved_image:.1f} zooms on average (measured, another classifier)."
    )
