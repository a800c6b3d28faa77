"""``imagenet-hard explore``: the images of a benchmark and what everybody answers, on this machine."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagenet_hard.base.text import counted
from imagenet_hard.cli.console import show_site
from imagenet_hard.cli.options import PATH, path_option

if TYPE_CHECKING:
    from imagenet_hard.leaderboard.site.data import Board, SiteData
    from imagenet_hard.leaderboard.site.own_copy import OwnCopy


@click.command("explore", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("results", nargs=-1, type=PATH, metavar="[RESULT]...")
@path_option("--entries", help="In place of RESULTS: a board's entries, such as leaderboard/entries.")
@click.option("--benchmark", metavar="NAME", help="Of several benchmarks this one: its name or fingerprint.")
@click.option("--dataset", "-d", metavar="NAME", help="Your copy of the images, as in `imagenet-hard eval`.")
@click.option("--split", metavar="NAME", help="Split of the data set.")
@click.option("--revision", metavar="REV", help="Branch, tag or commit of a data set on the Hub.")
@path_option("--labels", metavar="FILE", help="Label file of a folder of images.")
@path_option(
    "--study", metavar="DIR|NPZ", help="Zooms that solve the images: a study's work folder or matrix."
)
@click.option(
    "--where", metavar="TEXT", default="", help="Which images: the page's address, or KEY=VALUE&..."
)
@path_option("--export", metavar="FILE", help="Write these images as CSV, and show no page.")
@path_option("--ids-out", metavar="FILE", help="Write their ids for --ids, and show no page.")
@path_option(
    "--fiftyone", help="Write them with labels and figures as FiftyOne reads them, and show no page."
)
@path_option("--out", "-o", help="Write the page there instead of showing it; it has no pictures.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: a free one.")
def command(
    results: tuple[Path, ...],
    entries: Path | None,
    benchmark: str | None,
    dataset: str | None,
    split: str | None,
    revision: str | None,
    labels: Path | None,
    study: Path | None,
    where: str,
    export: Path | None,
    ids_out: Path | None,
    fiftyone: Path | None,
    out: Path | None,
    port: int,
) -> int:
    """Look at images one by one: who is right on which, what is answered, which labels are doubtful.

    \b
    imagenet-hard explore results --dataset imagenet-hard
    imagenet-hard explore --entries leaderboard/entries --dataset imagenet-hard
    imagenet-hard explore results --where 'right=0-10&agree=50' --ids-out hard.txt

    RESULTS are files of imagenet-hard-eval, or folders of them. The page is served on this machine alone,
    with the images of --dataset; without it there are no pictures, and of results no labels. --where takes
    what the page's address has: q, origin, class, labels, right, other, agree, who, sort (docs/explore.md).
    """
    if bool(results) == (entries is not None):
        raise click.UsageError("what to explore? Give RESULTS, or --entries")
    if dataset is None and (split or revision or labels or fiftyone):
        raise click.UsageError("--split, --revision, --labels and --fiftyone need --dataset")
    exports = export or ids_out or fiftyone
    files = [path.resolve() for path in (export, ids_out, fiftyone) if path is not None]
    if len(set(files)) < len(files):
        raise click.UsageError("--export, --ids-out and --fiftyone: expected a place of its own for each")
    if out and exports:
        raise click.UsageError("--out is for the page, --export, --ids-out and --fiftyone are in its place")
    site = _read(results, entries, benchmark)
    copies: dict[str, OwnCopy] = {}
    if dataset is not None:
        from imagenet_hard.dataset.load import load_dataset
        from imagenet_hard.leaderboard.site.own_copy import own_copies

        copies = own_copies(site.boards, load_dataset(dataset, split=split, revision=revision, labels=labels))
        site = site.with_boards(copies[b.slug].board if b.slug in copies else b for b in site.boards)
    if exports:
        if len(site.boards) > 1:
            names = ", ".join(board.title for board in site.boards)
            raise click.UsageError(f"{len(site.boards)} benchmarks: {names}. Choose one with --benchmark")
        return _export(site.boards[0], copies, where, export, ids_out, fiftyone)
    return _show(site, copies, study, where, out, port)


def _read(results: tuple[Path, ...], entries: Path | None, benchmark: str | None) -> SiteData:
    if entries is not None:
        from imagenet_hard.leaderboard.site.from_entries import read_site

        site = read_site(entries)
    else:
        from imagenet_hard.leaderboard.site.from_results import read_results

        site = read_results(results)
    for each in site.left_out:
        click.echo(f"Left out: {each}", err=True)
    return site if benchmark is None else site.only(benchmark)


def _export(
    board: Board,
    copies: dict[str, OwnCopy],
    where: str,
    export: Path | None,
    ids_out: Path | None,
    fiftyone: Path | None,
) -> int:
    from imagenet_hard.base.files import write_atomically
    from imagenet_hard.leaderboard.site.data_files import images_data
    from imagenet_hard.leaderboard.site.downloads import ids_text, images_csv
    from imagenet_hard.leaderboard.site.image_set import image_set
    from imagenet_hard.leaderboard.site.own_copy import write_fiftyone

    images = images_data(board)
    rows = image_set(board, images, where)
    if not rows:
        raise click.UsageError(f"no image of {board.title} fits --where {where!r}: nothing is written")
    if export is not None:
        write_atomically(export, images_csv(images, rows).encode(), option="--export")
        click.echo(export)
    if ids_out is not None:
        write_atomically(ids_out, ids_text(board, rows).encode(), option="--ids-out")
        click.echo(ids_out)
    if fiftyone is not None:
        click.echo(write_fiftyone(fiftyone, copies[board.slug], rows))
    click.echo(f"{len(rows):,} of {counted(board.n, 'image')}", err=True)
    return 0


def _show(
    site: SiteData, copies: dict[str, OwnCopy], study: Path | None, where: str, out: Path | None, port: int
) -> int:
    from imagenet_hard.leaderboard.site.build import build_explorer, server_of
    from imagenet_hard.leaderboard.site.data_files import images_data
    from imagenet_hard.leaderboard.site.image_set import image_set
    from imagenet_hard.leaderboard.site.own_copy import picture_at

    if where:  # of the first board, which the page begins with
        image_set(site.boards[0], images_data(site.boards[0]), where)
    zooms = None
    if study is not None:
        from imagenet_hard.study.solving_zooms import solving_zooms

        zooms = solving_zooms(study)
        for board in site.boards:
            known = sum(id in zooms.bits for id in board.image_ids)
            click.echo(f"The study has tried {known:,} of the {board.n:,} images of {board.title}", err=True)
    mark = f"#{where.rpartition('#')[2]}" if where else ""
    if out is not None:
        build_explorer(site, out, zooms=zooms)
        click.echo(f"{out / 'index.html'}{mark}")
        return 0
    with tempfile.TemporaryDirectory(prefix="imagenet-hard-explore-") as folder:
        build_explorer(site, folder, zooms=zooms, pictures=copies.keys())
        show_site(server_of(folder, port, lambda path: picture_at(copies, path)), mark)
    return 0
