"""The built set that a work folder refreshes: kept in it, so that going on needs nothing from elsewhere."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.base.files import MAX_JSON_BYTES, read_bounded, write_atomically
from imagenet_hard.base.records import parse_record, read_record
from imagenet_hard.base.tables import MAX_CSV_BYTES
from imagenet_hard.base.text import shorten_list
from imagenet_hard.curation.build.manifest import MANIFEST, Manifest
from imagenet_hard.curation.recipe import Recipe
from imagenet_hard.curation.store import FILE, CurationStore
from imagenet_hard.dataset.versions import (
    IMAGES,
    VERSIONS,
    Rows,
    Version,
    Versions,
    read_rows,
    read_versions,
    rows_of_all,
)

FOLDER = "parent"
"""In a work folder: the parent's recipe, scores, manifest, images and versions."""

RECIPE = "recipe.yaml"


@dataclass(frozen=True)
class Parent:
    """A built set. ``digest``: of its manifest; ``chain``: its versions, itself the last, and their ``rows``;
    ``scores``: its store."""

    digest: str
    chain: Versions
    rows: tuple[Rows, ...]
    recipe: Recipe
    scores: Path

    @property
    def known(self) -> dict[str, str]:
        """sha256 -> id, of every image that any version had."""
        return {row.image_sha256: id for rows in self.rows for id, row in rows.items()}


def read_parent(work: Path) -> Parent | None:
    """What a work folder refreshes; None where it is no refresh.

    Raises:
        ResultError: the copy is damaged.
    """
    folder = work / FOLDER
    if not folder.is_dir():
        return None
    recipe = parse_record(Recipe, read_bounded(folder / RECIPE, MAX_JSON_BYTES), str(folder / RECIPE))
    return _read(folder, folder / FILE, recipe)


def adopt(work: Path, recipe: Path, scores: Path, build: Path) -> Parent:
    """Make ``build``, of ``recipe``, with the ``scores`` of its work folder, what ``work`` refreshes.

    Raises:
        UsageError: the set is not there, or its scores are not.
        ResultError: they do not belong together, ``work`` refreshes another set, or the disk refuses.
    """
    text = read_bounded(recipe, MAX_JSON_BYTES)
    given, before = parse_record(Recipe, text, str(recipe)), read_parent(work)
    if before is not None and before.recipe == given and not _is_of(build, given):
        return before  # the new set has taken its place since
    if not (build / MANIFEST).is_file():
        raise UsageError(
            f"{build} is no built set: it has no {MANIFEST}. Expected what `imagenet-hard curate build` made "
            f"of {recipe}: give its folder with --parent-build"
        )
    if not scores.is_file():
        raise UsageError(
            f"there are no scores at {scores}: a set is refreshed from what was found out of each image. "
            "Give the work folder with --parent-work; where it is lost, score the recipe anew"
        )
    found = _read(build, scores, given)
    _belong(found, build, scores)
    folder = work / FOLDER
    if before is not None:
        if before.digest != found.digest:
            raise ResultError(
                f"{work} refreshes another set ({before.chain.versions[-1].version}, "
                f"{before.digest[:12]}...) than {build} ({found.digest[:12]}...): give another --work"
            )
        return before
    fresh = work / f".{FOLDER}.{os.getpid()}"
    try:
        fresh.mkdir(parents=True)
        for name in (MANIFEST, IMAGES, VERSIONS):
            if (build / name).is_file():
                shutil.copyfile(build / name, fresh / name)
        write_atomically(fresh / RECIPE, text, option="--work")
        with CurationStore(scores) as store:
            store.copy_to(fresh / FILE)
        fresh.rename(folder)
    except OSError as error:
        raise ResultError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    made = read_parent(work)
    assert made is not None
    return made


def _is_of(build: Path, recipe: Recipe) -> bool:
    """Whether a build is there that says that it is of ``recipe``."""
    if not (build / MANIFEST).is_file():
        return False
    manifest = read_record(build / MANIFEST, Manifest)
    return (manifest.name, manifest.version) == (recipe.output.name, recipe.version)


def _read(build: Path, scores: Path, recipe: Recipe) -> Parent:
    """What the small files of a build say, compared with its manifest's hashes."""
    data = read_bounded(build / MANIFEST, MAX_JSON_BYTES)
    manifest = read_record(build / MANIFEST, Manifest)
    for name in (IMAGES, VERSIONS):
        there, said = (build / name).is_file(), manifest.files.get(name)
        got = hashlib.sha256(read_bounded(build / name, MAX_CSV_BYTES)).hexdigest() if there else None
        if got != (said and said.sha256):
            raise ResultError(f"{build / name} is not what {MANIFEST} says: build the set again")
    if VERSIONS in manifest.files:
        chain = read_versions(build / VERSIONS)
    else:
        with CurationStore(scores) as store:
            committee = {id: spec.key for id, spec in store.summary().classifiers.items()}
        first = Version(
            version=manifest.version, fingerprint=manifest.fingerprint, n=manifest.n, classifiers=committee
        )
        chain = Versions(name=manifest.name, versions=(first,))
    rows = rows_of_all(chain, read_rows(build), str(build))
    last = chain.versions[-1]
    said_here = (manifest.name, manifest.version, manifest.fingerprint)
    if (chain.name, last.version, last.fingerprint) != said_here:
        raise ResultError(
            f"{build}: {VERSIONS} ends with {chain.name} {last.version}, and {MANIFEST} is another's"
        )
    return Parent(hashlib.sha256(data).hexdigest(), chain, rows, recipe, scores)


def _belong(parent: Parent, build: Path, scores: Path) -> None:
    """The build was made by the recipe, of these scores."""
    recipe, last = parent.recipe, parent.chain.versions[-1]
    if (recipe.output.name, recipe.version) != (parent.chain.name, last.version):
        raise UsageError(
            f"{build} is {parent.chain.name} {last.version}, and the recipe {recipe.name} makes "
            f"{recipe.output.name} {recipe.version}: give the recipe that it was built by (--parent)"
        )
    with CurationStore(scores) as store:
        if store.fact("recipe_sha256") != recipe.scoring_sha256():
            raise ResultError(
                f"the scores in {scores} were not made by the recipe {recipe.name} as it is now"
            )
        if not store.summary().complete:
            raise ResultError(
                f"the scores in {scores} are not complete: run `imagenet-hard curate score` to its end"
            )
        hard = {record.sha256 for record in store.images(state="hard")}
    if strange := sorted(row.id for row in parent.rows[-1].values() if row.image_sha256 not in hard):
        raise ResultError(
            f"{len(strange)} images of {build} are not hard by the scores in {scores} "
            f"({shorten_list(strange, 3)}): they do not belong together"
        )
