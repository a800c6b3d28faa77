"""``imagenet-hard leaderboard bridge``: two versions of a set, bridged by the images that both have."""

from __future__ import annotations

from pathlib import Path

import click

from imagenet_hard.base.text import counted
from imagenet_hard.cli.console import console
from imagenet_hard.cli.options import FOLDER, PATH, path_option


@click.command("bridge")
@click.argument("build", type=PATH)
@click.argument("answers", nargs=-1, type=PATH, metavar="[ANSWERS]...")
@path_option("--entries", type=FOLDER, help="A board's entries: those on one of the versions answer.")
@click.option("--before", metavar="VERSION", help="[default: the one before the last]")
@click.option("--after", metavar="VERSION", help="[default: the last]")
@path_option("--out", "-o", metavar="FILE", help="Write the page (HTML).")
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
def command(
    build: Path,
    answers: tuple[Path, ...],
    entries: Path | None,
    before: str | None,
    after: str | None,
    out: Path | None,
    as_json: bool,
) -> int:
    """Score everybody on two versions of the refreshed set BUILD, and on the images that both have.

    \b
    imagenet-hard leaderboard bridge imagenet-hard results/A.json results/B.json -o bridge.html
    imagenet-hard leaderboard bridge imagenet-hard --entries leaderboard/entries

    ANSWERS are results of imagenet-hard-eval (.json), or tables with "id" and a column of class indices a
    model, on either version or on more images. Several files of one model complete each other.
    """
    from imagenet_hard.leaderboard.bridge import bridge
    from imagenet_hard.leaderboard.bridge_inputs import read_chain, read_models
    from imagenet_hard.leaderboard.site.bridge_page import WORDS, tables, write_page

    chain, rows = read_chain(build)
    board = None if entries is None else entries.absolute().parent
    models, keys = read_models(answers, board, [each.fingerprint for each in chain.versions])
    found = bridge(chain, rows, models, before=before, after=after, keys=keys)
    if out is not None:
        write_page(found, out)
        click.echo(out, err=True)
    if as_json:
        click.echo(found.model_dump_json(indent=2))
        return 0
    for each in found.entries:
        for part, n in each.missing.items():
            of = f"{n:,} of {counted(found.images[part], 'image')}"
            click.echo(f"{each.name}: no score on {WORDS[part]}, it does not answer {of}", err=True)
    screen = console()
    for table in tables(found):
        screen.print(table.terminal())
    return 0
