"""Build the data set: Parquet shards, card and manifest in one folder, which appears whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from imagenet_hard.base.errors import DatasetError, ResultError, UsageError
from imagenet_hard.base.files import write_atomically
from imagenet_hard.curation.build.card import (
    LICENCES,
    PICTURE,
    by_origin,
    distribution_svg,
    evaluation,
    licences,
    render,
)
from imagenet_hard.curation.build.lineage import Lineage
from imagenet_hard.curation.build.manifest import (
    MANIFEST,
    Manifest,
    images_csv,
    make_manifest,
    rows_sha256,
)
from imagenet_hard.curation.build.replacement import replacing
from imagenet_hard.curation.build.selection import NOTHING, SelectedRows, select
from imagenet_hard.curation.build.shards import SelectedImages, partition, shard_names, write_shard
from imagenet_hard.curation.build.verification import verify_build
from imagenet_hard.curation.recipe import Recipe
from imagenet_hard.curation.records import Decision, OpenSource, ScoreSummary, Survivor
from imagenet_hard.curation.sources.exclusions import near_copies, read_exclusions
from imagenet_hard.dataset.copies import Copy
from imagenet_hard.dataset.versions import IMAGES, VERSIONS, Version
from imagenet_hard.hub.evaluation import BENCHMARK_FILE


@dataclass(frozen=True)
class BuildReport:
    """What was built, and where. ``turned``: ids of images with an EXIF orientation; ``near_copies``: rows
    that show the same picture, None where they were not looked for. ``version``: what changed against the
    parent of a refreshed set."""

    folder: Path
    manifest: Manifest
    by_origin: Mapping[str, int]
    selection: SelectedRows
    turned: tuple[str, ...] = ()
    near_copies: tuple[Copy, ...] | None = None
    version: Version | None = None


def build(
    recipe: Recipe,
    recipe_path: Path,
    sources: Sequence[OpenSource],
    survivors: Sequence[Survivor],
    summary: ScoreSummary,
    decisions: Mapping[str, Decision],
    out: Path,
    *,
    predicted: Mapping[str, Collection[int]] = NOTHING,
    lineage: Lineage | None = None,
    allow_undecided: bool = False,
    on_progress: Callable[[int], object] = lambda n: None,
) -> BuildReport:
    """Write the survivors that exclusions and decisions leave to the folder ``out``.

    ``datasets.load_dataset(out)`` reads it. The same inputs give the same bytes of every file (under
    one version of pyarrow). An earlier build in ``out`` is replaced when the new one is whole and
    has been read back. ``predicted``: see ``select``. ``lineage``: of a refreshed set; images keep their ids,
    and ``versions.json`` says what changed. ``on_progress`` is told of rows read (each once to check its
    hash) and written.

    Raises:
        DatasetError: scoring is not complete, images have changed, or ``out`` is no build of ours, or
            holds more than one; or an id would name another image than in an earlier version.
        UsageError: the recipe's file is not UTF-8 text.
        ResultError: the scores are of another recipe, or the folder cannot be written.
    """
    _ready(recipe, summary, allow_undecided)
    recipe_text = recipe_path.read_bytes()
    excluded = read_exclusions(recipe.exclusions, recipe_path, sources)
    selection = select(sources, survivors, decisions, excluded, predicted)
    chain = None
    if lineage is not None:
        selection = replace(selection, rows=lineage.named(selection.rows))
        chain = lineage.chain(recipe, summary, survivors, selection, decisions, excluded)
    rows, images = selection.rows, SelectedImages(sources)
    sizes, turned = images.measure(rows, on_progress)
    found = near_copies(sources, [row.place for row in rows])
    parts = partition(sizes, recipe.output.shard_bytes)
    shards = shard_names(len(parts), rows_sha256(rows))
    counts = by_origin(recipe, selection)
    notes = {source.spec.id: source.notes for source in sources}
    with replacing(out) as folder:
        for name, part in zip(shards, parts, strict=True):
            write_shard(folder / name, [rows[i] for i in part], images.read, on_progress)
        write_atomically(folder / IMAGES, images_csv(rows, shards, parts))
        write_atomically(folder / PICTURE, distribution_svg(counts, recipe.output.title).encode())
        text = _text(recipe_text, recipe_path)
        card = render(recipe, text, summary, selection, notes, shards, sum(sizes), turned, chain)
        write_atomically(folder / "README.md", card.encode())
        write_atomically(folder / LICENCES, licences(recipe).encode())
        if (framework := recipe.output.evaluation_framework) is not None:
            write_atomically(folder / BENCHMARK_FILE, evaluation(recipe, framework).encode())
        if chain is not None:
            write_atomically(folder / VERSIONS, (chain.model_dump_json(indent=1) + "\n").encode())
        manifest = make_manifest(folder, recipe.output.name, recipe.version, recipe_text, rows)
        write_atomically(folder / MANIFEST, (manifest.model_dump_json(indent=1) + "\n").encode())
        verify_build(folder)
    return BuildReport(out, manifest, counts, selection, turned, found, chain.versions[-1] if chain else None)


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
            f"{len(summary.failures)} images are undecided (first {first[0]}: {first[1]}). Repair them and "
            "score again, or leave them out with --allow-undecided; the card counts them"
        )


def _text(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text ({error}): save it so, the card quotes it") from None
