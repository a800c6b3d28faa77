"""Build the data set: Parquet shards, card and manifest in one folder, which appears whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from imagenet_hard.curation.card import PICTURE, by_origin, distribution_svg, render
from imagenet_hard.curation.manifest import IMAGES, MANIFEST, Manifest, images_csv, make_manifest, rows_sha256
from imagenet_hard.curation.recipe import Recipe
from imagenet_hard.curation.records import Decision, OpenSource, ScoreSummary, Survivor
from imagenet_hard.curation.selection import Selection, read_exclusions, select
from imagenet_hard.curation.shards import Images, partition, shard_names, write_shard
from imagenet_hard.errors import DatasetError, ResultError
from imagenet_hard.evaluation.files import write_atomically


@dataclass(frozen=True)
class BuildReport:
    """What was built, and where."""

    folder: Path
    manifest: Manifest
    by_origin: Mapping[str, int]
    selection: Selection


def build(
    recipe: Recipe,
    recipe_path: Path,
    sources: Sequence[OpenSource],
    survivors: Sequence[Survivor],
    summary: ScoreSummary,
    decisions: Mapping[str, Decision],
    out: Path,
    *,
    allow_undecided: bool = False,
    on_progress: Callable[[int], object] = lambda n: None,
) -> BuildReport:
    """Write the survivors that exclusions and decisions leave to the folder ``out``.

    ``datasets.load_dataset(out)`` reads it. The same inputs give the same bytes of every file (under
    one version of pyarrow). An earlier build in ``out`` is replaced when the new one is whole.
    ``on_progress`` is told of rows read (each once to check its hash) and written.

    Raises:
        DatasetError: scoring is not complete, images have changed, or ``out`` is no build of ours.
        ResultError: the scores are of another recipe, or the folder cannot be written.
    """
    _ready(recipe, summary, allow_undecided)
    recipe_text = recipe_path.read_bytes()
    selection = select(
        sources, survivors, decisions, read_exclusions(recipe.exclusions, recipe_path, sources)
    )
    rows, images = selection.rows, Images(sources)
    sizes = []
    for row in rows:
        sizes.append(len(images.read(row)))
        on_progress(1)
    parts = partition(sizes, recipe.output.shard_bytes)
    shards = shard_names(len(parts), rows_sha256(rows))
    counts = by_origin(recipe, selection)
    with _replacing(out) as folder:
        for name, part in zip(shards, parts, strict=True):
            write_shard(folder / name, [rows[i] for i in part], images.read, on_progress)
        write_atomically(folder / IMAGES, images_csv(rows, shards, parts))
        write_atomically(folder / PICTURE, distribution_svg(counts, recipe.output.title).encode())
        card = render(recipe, recipe_text.decode("utf-8"), summary, selection, shards, sum(sizes))
        write_atomically(folder / "README.md", card.encode())
        manifest = make_manifest(folder, recipe.output.name, recipe.version, recipe_text, rows)
        write_atomically(folder / MANIFEST, (manifest.model_dump_json(indent=1) + "\n").encode())
    return BuildReport(out, manifest, counts, selection)


def _ready(recipe: Recipe, summary: ScoreSummary, allow_undecided: bool) -> None:
    if summary.recipe_sha256 != recipe.scoring_sha256():
        raise ResultError(
            f"these scores were not made by the recipe {recipe.name!r} as it is now: score again, or give "
            "the --work folder that belongs to it"
        )
    if not summary.complete:
        raise DatasetError(
            f"scoring is not complete ({sum(summary.seen.values()):,} images so far): run `imagenet-hard "
            "curate score` to its end first"
        )
    if summary.failures and not allow_undecided:
        first = next(iter(summary.failures.items()))
        raise DatasetError(
            f"{len(summary.failures)} images are undecided (first {first[0]}: {first[1]}). Mend them and "
            "score again, or leave them out with --allow-undecided; the card counts them"
        )


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of ``out`` at the end.

    Raises:
        DatasetError: ``out`` is there and is no build.
        ResultError: the system refuses.
    """
    out = Path(os.path.abspath(out))  # noqa: PTH100 - resolve() would follow a link away from its place
    before = out.with_name(f".{out.name}.before")
    fresh = out.with_name(f".{out.name}.building")
    if before.exists() and not out.exists():  # killed between the two renames
        before.rename(out)
    if out.exists() and not (out / MANIFEST).is_file() and (out.is_file() or any(out.iterdir())):
        raise DatasetError(
            f"{out} is there and is no build (it has no {MANIFEST}): nothing is deleted; give another --out"
        )
    try:
        for leftover in (fresh, before):
            if leftover.exists():
                shutil.rmtree(leftover)
        fresh.mkdir(parents=True)
        yield fresh
        if out.exists():
            out.rename(before)
        fresh.rename(out)
        shutil.rmtree(before, ignore_errors=True)
    except OSError as error:
        raise ResultError(
            f"cannot write the data set to {out}: {error.strerror or error}. Free some space or give another "
            "--out; an earlier build is as it was"
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
