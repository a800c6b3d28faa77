"""``imagenet-hard leaderboard``: the site, its preview and publication, the results table, gold labels."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagenet_hard.base.text import counted
from imagenet_hard.cli.bridge import command as bridge_command
from imagenet_hard.cli.console import show_site
from imagenet_hard.cli.corrections import CORRECTING
from imagenet_hard.cli.maintainers import MAINTAINERS
from imagenet_hard.cli.options import PATH, entries_option, path_option

if TYPE_CHECKING:
    from imagenet_hard.leaderboard.site.data import SiteData


@click.group("leaderboard")
def command() -> None:
    """Build, preview and publish the leaderboard's page; print its table; import and withdraw entries."""


for each in (*MAINTAINERS, *CORRECTING, bridge_command):
    command.add_command(each)


@command.command("build")
@entries_option
@path_option("--out", default=Path("site"))
def build(entries: Path, out: Path) -> int:
    """Build the static site.

    Every score is computed again from the stored predictions. The folder works from disk, on GitHub
    Pages and as a static Space on the Hub. The same entries give the same bytes.
    """
    from imagenet_hard.leaderboard.site.build import build_site

    site = _read(entries)
    written = build_site(site, out)
    n = counted(sum(len(board.entries) for board in site.boards), "entry")
    left_out = f", {len(site.left_out)} left out" if site.left_out else ""
    made = f"{counted(len(site.boards), 'benchmark')}, {counted(len(written), 'file')}"
    click.echo(f"{n}{left_out}, {made}", err=True)
    click.echo(out / "index.html")
    return 0


@command.command("serve")
@entries_option
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one."
)
def serve(entries: Path, port: int) -> int:
    """Build the site into a temporary folder and show it on this machine until Ctrl-C."""
    from imagenet_hard.leaderboard.site.build import build_site, server_of

    with tempfile.TemporaryDirectory(prefix="imagenet-hard-site-") as folder:
        build_site(_read(entries), folder)
        show_site(server_of(folder, port))
    return 0


@command.command("table")
@entries_option
@click.option(
    "--format",
    "kind",
    type=click.Choice(["markdown", "csv", "json", "latex"]),
    default="markdown",
    show_default=True,
)
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Only the first N of each benchmark.")
@click.option("--published", metavar="NAME", help="With a table of leaderboard/published below, as reported.")
@path_option("--write", metavar="README", help="Put it between the markers.")
@path_option("--check", metavar="README", help="Exit 1 if it is stale there.")
def table(
    entries: Path, kind: str, top: int | None, published: str | None, write: Path | None, check: Path | None
) -> int:
    """Print the results table, or keep the one in a README current.

    The README needs the lines <!-- leaderboard:start --> and <!-- leaderboard:end -->.
    """
    from imagenet_hard.leaderboard.published import load_table
    from imagenet_hard.leaderboard.site.table import FORMATS, is_current, published_markdown, write_between

    if (write or check or published) and kind != "markdown":
        raise click.UsageError("--write, --check and --published need --format markdown")
    if write and check:
        raise click.UsageError("--write and --check exclude each other")
    text = FORMATS[kind](_read(entries).boards, top)
    if published:
        text = f"{text}\n{published_markdown(load_table(published))}"
    if check:
        if is_current(check, text):
            return 0
        options = f"{f'--top {top} ' if top else ''}{f'--published {published} ' if published else ''}"
        again = f"imagenet-hard leaderboard table {options}--write {check}"
        click.echo(f"The table in {check} is stale: run `{again}`", err=True)
        return 1
    if write:
        click.echo(f"{write} {'written' if write_between(write, text) else 'is current'}", err=True)
        return 0
    click.echo(text, nl=False)
    return 0


@command.command("publish")
@entries_option
@click.option(
    "--repo", required=True, metavar="ORG/SPACE", help="The static Space; created if it does not exist."
)
@click.option("--private", is_flag=True, help="Make a new Space private.")
def publish(entries: Path, repo: str, private: bool) -> int:
    """Build the site and publish it as a static Space on the Hugging Face Hub.

    Needs a token with write access: HF_TOKEN, or `hf auth login`.
    """
    from imagenet_hard.hub.checks import check_repo_id
    from imagenet_hard.leaderboard.site.build import build_site
    from imagenet_hard.leaderboard.site.space import publish_space

    check_repo_id(repo)
    with tempfile.TemporaryDirectory(prefix="imagenet-hard-site-") as folder:
        build_site(_read(entries), folder)
        click.echo(publish_space(Path(folder), repo, private=private))
    return 0


@command.command("gold")
@click.option("--dataset", required=True, help="As in `imagenet-hard eval`: a name, a folder or a Hub id.")
@click.option("--revision", metavar="REV", help="Branch, tag or commit of a data set on the Hub.")
@click.option("--split", metavar="NAME", help="Split of the data set.")
@path_option("--labels", metavar="FILE", help="Label file of a folder of images.")
@click.option(
    "--curator",
    "curators",
    multiple=True,
    metavar="BACKEND:NAME/TAG",
    help="A model that chose the images; its entries are marked.",
)
@click.option("--note", default="", help="A line that the board shows with the benchmark.")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d"]),
    help="When the images came out: no entry may be dated before.",
)
@path_option("--out", default=Path("leaderboard/benchmarks"), help="Where the gold of all benchmarks lies.")
def gold(dataset: str, curators: tuple[str, ...], note: str, out: Path, **options: Any) -> int:
    """Store ids and labels of a benchmark, against which entries are scored."""
    from imagenet_hard.dataset.copies import copies_within, explain_copies
    from imagenet_hard.dataset.exif import worth
    from imagenet_hard.dataset.load import load_dataset
    from imagenet_hard.leaderboard.gold import make_gold, write_gold

    since = options.pop("since")
    benchmark = load_dataset(dataset, **options)
    made = make_gold(benchmark, curators=curators, note=note, since=since.date() if since else None)
    path = write_gold(out, made)
    click.echo(
        f"{made.info.name}: {counted(made.info.n, 'image')}, fingerprint {made.info.fingerprint}", err=True
    )
    if made.turned:
        click.echo(worth(made.turned, made.info.n), err=True)
    if said := explain_copies(copies_within(benchmark)):
        click.echo(said, err=True)
    click.echo(path)
    return 0


@command.command("preview")
@click.argument("results", nargs=-1, required=True, type=PATH)
@path_option("--out", default=Path("site"))
def preview(results: tuple[Path, ...], out: Path) -> int:
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


def _read(entries: Path) -> SiteData:
    from imagenet_hard.leaderboard.published import load_published
    from imagenet_hard.leaderboard.site.from_entries import read_site

    site = read_site(entries, load_published())
    for each in site.left_out:
        click.echo(f"Left out: {each}", err=True)
    return site
