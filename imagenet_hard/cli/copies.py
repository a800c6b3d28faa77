"""``imagenet-hard copies``: near-copies within a benchmark, and between it and other images."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagenet_hard.base.text import counted, shorten_list
from imagenet_hard.cli.console import at_work, console
from imagenet_hard.cli.options import FILE, path_option

if TYPE_CHECKING:
    from imagenet_hard.dataset.benchmark import Benchmark
    from imagenet_hard.dataset.copies import Copy, HashedImages

COLUMNS = ("id", "images", "copy", "relation", "similarity")


@click.command("copies")
@click.argument("images", metavar="A")
@click.argument("others", metavar="[B]...", nargs=-1)
@path_option(
    "--write",
    type=FILE,
    metavar="FILE",
    help="Write the hashes of A and compare nothing; an interrupted run goes on.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the copies as JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the copies as CSV.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bars.")
def command(
    images: str, others: tuple[str, ...], write: Path | None, as_json: bool, as_csv: bool, quiet: bool
) -> int:
    """Find images that A has twice, or that a B has too: the same bytes, or the same picture.

    A and B are names or folders as in `imagenet-hard eval`, folders of images without labels, or files that
    --write made of private images. A picture is found even if it was resized, compressed, brightened, cropped
    by a tenth, mirrored or put into a border. It is confirmed on its pixels; if there are only hashes, the
    relation says so.

    Exits with 1 if there are copies, and 0 if there are none.
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    if write is not None:
        if others or as_json or as_csv:
            raise click.UsageError("--write only writes the hashes of A: it goes without B, --json and --csv")
        return _write(images, write, quiet)
    from imagenet_hard.dataset.copies import find_copies

    found: list[tuple[str, Copy]] = []
    with at_work():
        # All are opened before the first is hashed, which may take hours.
        opened = {name: _opened(name) for name in (images, *others)}
        ours = _hashed(images, opened[images], quiet)
        seen = {images: ours}
        for each in others or (images,):
            theirs = _hashed(each, opened[each], quiet) if others else None
            seen[each] = theirs or ours
            with _bar(f"comparing {each}", len(ours.rows), quiet) as update:
                found += ((each, copy) for copy in find_copies(ours, theirs, update))
    _print(seen, found, as_json, as_csv)
    return 1 if found else 0


def _write(name: str, path: Path, quiet: bool) -> int:
    from imagenet_hard.dataset.hash_file import write_hashes
    from imagenet_hard.dataset.load import load_images

    with at_work():
        images = load_images(name)
        with _bar(f"hashing {name}", len(images), quiet) as update:
            unread = write_hashes(path, images, update)
    if unread:
        click.echo(f"{counted(unread, 'image')} could not be decoded", err=True)
    click.echo(path)
    return 0


def _opened(name: str) -> Benchmark | HashedImages:
    from imagenet_hard.dataset.copies import HashedImages
    from imagenet_hard.dataset.hash_file import read_hashes
    from imagenet_hard.dataset.load import load_images

    return HashedImages(read_hashes(Path(name))) if Path(name).is_file() else load_images(name)


def _hashed(name: str, images: Benchmark | HashedImages, quiet: bool) -> HashedImages:
    from imagenet_hard.dataset.copies import HashedImages
    from imagenet_hard.dataset.perceptual import hash_images

    if isinstance(images, HashedImages):
        return images
    rows = []
    with _bar(f"hashing {name}", len(images), quiet) as update:
        for row in hash_images(images, range(len(images))):
            rows.append(row)
            update(1)
    return HashedImages(rows, images)


@contextmanager
def _bar(what: str, total: int, quiet: bool) -> Iterator[Callable[[int], object]]:
    from tqdm import tqdm

    with tqdm(total=total, desc=what, unit=" images", disable=quiet, delay=1) as bar:
        yield bar.update


def _print(seen: dict[str, HashedImages], found: list[tuple[str, Copy]], as_json: bool, as_csv: bool) -> None:
    from imagenet_hard.base.tables import Table, spreadsheet_csv

    unread = {name: hashed.unread for name, hashed in seen.items() if hashed.unread}
    for name, ids in unread.items():
        what = (
            f"{counted(len(ids), 'image')} of {name} could not be decoded, and only their bytes were compared"
        )
        click.echo(f"{what}: {shorten_list(ids)}", err=True)
    rows = [(copy.a, name, copy.b, copy.relation, copy.similarity) for name, copy in found]
    if as_json:
        copies = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        images = {name: len(hashed.rows) for name, hashed in seen.items()}
        click.echo(json.dumps({"images": images, "unread": unread, "copies": copies}, indent=1))
    elif as_csv:
        click.echo(spreadsheet_csv(COLUMNS, rows), nl=False)
    elif rows:
        shown: list[tuple[Any, ...]] = [(*row[:-1], f"{row[-1]:.3f}") for row in rows]
        console().print(Table(COLUMNS, shown, "llllr").terminal())
    else:
        click.echo("no copies")
