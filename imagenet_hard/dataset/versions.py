"""Versions of a data set: what each changed against the one before, in a chain that the rows prove.

A built set that follows from another holds ``versions.json``. Its last version is the set itself. Each names
the one before by the hash of its manifest, and says of every image that came, left or got other labels why.
So the rows of the last give those of all others, whose fingerprints are computed again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from imagenet_hard.base.errors import DatasetError, ResultError
from imagenet_hard.base.records import read_record
from imagenet_hard.base.tables import read_csv
from imagenet_hard.base.text import shorten, shorten_list
from imagenet_hard.base.types import N_CLASSES, SCHEMA_VERSION, Record, SchemaVersion, Sha256
from imagenet_hard.dataset.fingerprint import fingerprint

VERSIONS = "versions.json"
IMAGES = "images.csv"
IMAGES_COLUMNS = ("id", "sha256", "labels", "origin", "shard")

REASONS = {
    "solved": "a zoom of a classifier gets it right",
    "answered": "a zoom predicts a label that reviewers gave it",
    "dropped": "reviewers took it out",
    "excluded": "the recipe excludes it",
    "undecided": "it could not be scored",
    "gone": "no source has it any more",
    "new": "no source had it before",
    "freed": "who solved it is in the committee no more",
    "readmitted": "it was hard before, but taken out by reviewers or the recipe",
    "decided": "it could not be scored before",
    "relabelled": "it has other labels than before",
}
"""Why an image leaves (the first six), comes, or is another row than before."""

if TYPE_CHECKING:
    Reason: TypeAlias = str
else:
    Reason = Literal[*REASONS]

Text = Annotated[str, Field(max_length=1000)]


class VersionRow(Record):
    """One image of a version."""

    id: Annotated[str, Field(min_length=1, max_length=1000)]
    origin: Text
    labels: Annotated[tuple[Annotated[int, Field(ge=0, lt=N_CLASSES)], ...], Field(min_length=1)]
    image_sha256: Sha256

    @field_validator("labels")
    @classmethod
    def _rising(cls, labels: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(labels)))


Rows = Mapping[str, VersionRow]
"""Of a version, by id."""


class Change(Record):
    """An image of which two versions say different things; ``before`` is None where it came, ``after`` where
    it left."""

    before: VersionRow | None
    after: VersionRow | None
    reason: Reason
    classifier: Text | None = Field(default=None, description="who solves it now, or did before")
    zoom: tuple[int, int, int] | None = Field(
        default=None, description="one that does: scale, and row and column of the anchor"
    )
    note: Text = ""

    @property
    def id(self) -> str:
        """The image's."""
        row = self.before or self.after
        assert row is not None
        return row.id

    @model_validator(mode="after")
    def _changes(self) -> Change:
        a, b = self.before, self.after
        if a == b:
            raise ValueError("before and after are the same")
        if a and b and (a.id, a.image_sha256) != (b.id, b.image_sha256):
            raise ValueError(f"before and after are two images: an id never names another ({a.id!r})")
        return self


class Version(Record):
    """One version. ``parent``: the sha256 of the manifest of the one before; the first has none."""

    version: Text
    fingerprint: Sha256
    n: Annotated[int, Field(ge=1)]
    classifiers: dict[str, str] = Field(
        description="the committee: id in the recipe -> BACKEND:NAME/TAG, as gold labels name curators"
    )
    parent: Sha256 | None = None
    changes: tuple[Change, ...] = ()

    @property
    def retired(self) -> list[Change]:
        """Images that left."""
        return [each for each in self.changes if each.after is None]

    @property
    def added(self) -> list[Change]:
        """Images that came."""
        return [each for each in self.changes if each.before is None]

    @property
    def relabelled(self) -> list[Change]:
        """Images that stayed, with other labels or another origin."""
        return [each for each in self.changes if each.before and each.after]


class Versions(Record):
    """The chain of a data set called ``name``, the first version first."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    name: Text
    versions: Annotated[tuple[Version, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _chain(self) -> Versions:
        first, *later = self.versions
        if first.parent is not None or first.changes:
            raise ValueError("the first version has no parent and no changes")
        if any(each.parent is None for each in later):
            raise ValueError("every version but the first has a parent")
        names = [each.version for each in self.versions]
        if len(set(names)) < len(names):
            raise ValueError(f"each version has a name of its own (got {shorten_list(names)})")
        return self

    def index(self, version: str) -> int:
        """Where a version stands.

        Raises:
            ResultError: there is none of that name.
        """
        names = [each.version for each in self.versions]
        if version not in names:
            raise ResultError(f"there is no version {version!r}: expected one of {', '.join(names)}")
        return names.index(version)


def fingerprint_of(rows: Rows) -> str:
    """As results name the version."""
    return fingerprint((row.id, row.labels, row.image_sha256) for row in rows.values())


def rows_of_all(chain: Versions, last: Rows, where: str) -> tuple[Rows, ...]:
    """The rows of every version from those of the last, in the chain's order; ``where``: for messages.

    Raises:
        ResultError: these are not its rows, or the chain does not hold.
    """
    found = [last]
    for version in reversed(chain.versions[1:]):
        found.insert(0, _undone(found[0], version, where))
    for version, rows in reversed(list(zip(chain.versions, found, strict=True))):
        if (version.fingerprint, version.n) != (fingerprint_of(rows), len(rows)):
            raise ResultError(
                f"{where}: version {version.version} of {chain.name} is not what it says: the changes lead "
                "to other images or labels; take the files from where the set was published"
            )
    return tuple(found)


def _undone(rows: Rows, version: Version, where: str) -> Rows:
    made = dict(rows)
    for change in version.changes:
        if made.pop(change.id, None) != change.after:
            raise ResultError(
                f"{where}: what version {version.version} says of the image {shorten(change.id)} does not "
                "fit its rows; take the files from where the set was published"
            )
        if change.before is not None:
            made[change.id] = change.before
    if not made:
        raise ResultError(f"{where}: version {version.version} says that there was no image before it")
    return made


def changes_between(before: Rows, after: Rows) -> list[tuple[VersionRow | None, VersionRow | None]]:
    """What two versions say of each image on which they differ, by id."""
    ids = sorted(before.keys() | after.keys())
    pairs = ((before.get(id), after.get(id)) for id in ids)
    return [(a, b) for a, b in pairs if a != b]


def kept_ids(images: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """The id that each image has in the set: its first one, if it was ever in it.

    ``images``: id in the sources -> sha256. ``known``: sha256 -> id, of all images of all versions.

    Raises:
        DatasetError: an id would name another image than it did.
    """
    owners = {id: sha for sha, id in known.items()}
    found = {id: known.get(sha, id) for id, sha in images.items()}
    if taken := sorted(id for id, sha in images.items() if owners.get(found[id], sha) != sha):
        raise DatasetError(
            f"{len(taken)} ids named other images in an earlier version ({shorten_list(taken, 5)}): an id is "
            "never used again. Restore the files, or give the source another `name` in the recipe"
        )
    return found


def read_versions(path: Path) -> Versions:
    """The chain in a file; ``rows_of_all`` proves it.

    Raises:
        ResultError: it is missing or malformed.
    """
    return read_record(path, Versions)


def read_rows(folder: Path) -> Rows:
    """The rows of a built set, from its ``images.csv``.

    Raises:
        ResultError: it is missing or malformed.
    """
    found: dict[str, VersionRow] = {}
    for where, (id, sha256, labels, origin, _) in read_csv(folder / IMAGES, IMAGES_COLUMNS)[1]:
        try:
            classes = tuple(int(each) for each in labels.split())
            found[id] = VersionRow(id=id, origin=origin, labels=classes, image_sha256=sha256)
        except ValueError:
            raise ResultError(f"{where}: expected an id, a sha256 and class indices of an image") from None
    return found
