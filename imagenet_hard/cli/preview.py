"""``imagenet-hard leaderboard preview``: the board's page of results that lie on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from imagenet_hard.base.text import counted
from imagenet_hard.cli.options import PATH, path_option


@click.command("preview")
@click.argument("results", nargs=-1, required=True, type=PATH)
@path_option("--out", default=Path("site"))
def command(results: tuple[Path, ...], out: Path) -> int:
    """Show RESULTS as the board would: ranks, intervals, comparisons, classes.

    RESULTS are .json files that `imagenet-hard eval` wrote, each with its .parquet beside it, or folders of
    them. They need no gold labels and no entry, and nothing is submitted. Results on other images, or among
    other classes, have a page of their own. Open the page whose path is printed; it works from disk.
    """
    from imagenet_hard.leaderboard.site.build import build_site
    from imagenet_hard.leaderboard.site.from_results import read_results

    site = read_results(results)
    for each in site.left_out:
        click.echo(f"Left out: {each}", err=True)
    build_site(site, out)
    n, boards = sum(len(board.entries) for board in site.boards), len(site.boards)
    counts = f"{counted(n, 'result')} on {counted(boards, 'benchmark')}"
    click.echo(f"{counts}; open this page in a browser:", err=True)
    click.echo(out / "index.html")
    return 0
