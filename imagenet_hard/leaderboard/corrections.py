"""Corrections of gold labels: a file each, sent by pull request, and the versions of the gold that they make.

``leaderboard/corrections/NAME.json`` names the version that it corrects and the one that comes out, both by
fingerprint, so that corrections make a chain, as migrations of a data base do. The gold that entries were
scored on stays as it is; every version after it is worked out when it is needed.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, field_validator, model_validator

from imagenet_hard.base.errors import DatasetError, ResultError, UsageError
from imagenet_hard.base.records import first_problem, read_record
from imagenet_hard.base.text import shorten, shorten_list
from imagenet_hard.base.types import N_CLASSES, SCHEMA_VERSION, Record, SchemaVersion, Sha256
from imagenet_hard.leaderboard.gold import Gold, gold_of, known_golds, read_gold
from imagenet_hard.leaderboard.plain_text import Line, Name, check_plain

CORRECTIONS = "corrections"
MAX_IMAGES = 20_000
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
"""The name of a correction, and of its file."""

Labels = Annotated[tuple[Annotated[int, Field(ge=0, lt=N_CLASSES)], ...], Field(max_length=N_CLASSES)]
Share = Annotated[float, Field(ge=-1, le=1)]


class CorrectedImage(Record):
    """One image: its labels before and after, with why and by whom; without labels it is taken out."""

    id: Annotated[str, Field(min_length=1, max_length=1000)]
    image_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = Field(
        description="of the bytes that were looked at; empty where the gold has none"
    )
    before: Annotated[Labels, Field(min_length=1)]
    after: Labels = Field(description="empty: the image leaves the benchmark")
    reason: Annotated[Line, Field(min_length=1)]
    reviewers: Annotated[tuple[Name, ...], Field(min_length=1, max_length=100)]

    @field_validator("before", "after")
    @classmethod
    def _rising(cls, labels: tuple[int, ...]) -> tuple[int, ...]:
        if list(labels) != sorted(set(labels)):
            raise ValueError(f"{labels}: expected class indices that rise, none twice")
        return labels

    @model_validator(mode="after")
    def _changes(self) -> CorrectedImage:
        if self.before == self.after:
            raise ValueError(f"image {self.id!r} has the labels {self.before} before and after")
        return self


class PairAgreement(Record):
    """How far two reviewers agreed, on the ``n`` images that both looked at; null where that is undefined."""

    reviewers: tuple[Name, Name]
    n: Annotated[int, Field(ge=0)]
    equal: Annotated[float, Field(ge=0, le=1)] | None
    kappa: Share | None


class Correction(Record):
    """Other labels for some images of one version of a benchmark, and the version that they make."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    benchmark: Name
    fingerprint: Sha256 = Field(description="of the version that is corrected")
    corrected: Sha256 = Field(description="of the version that comes out")
    date: dt.date
    images: Annotated[tuple[CorrectedImage, ...], Field(min_length=1, max_length=MAX_IMAGES)]
    agreement: Annotated[tuple[PairAgreement, ...], Field(max_length=5000)] = Field(
        default=(), description="of each two reviewers, on all that they reviewed"
    )
    adjudicated: Annotated[tuple[str, ...], Field(max_length=MAX_IMAGES)] = Field(
        default=(), description="images about which the reviewers differed, settled by somebody"
    )

    @model_validator(mode="after")
    def _together(self) -> Correction:
        check_plain(self.model_dump(mode="json"))
        ids = [each.id for each in self.images]
        if ids != sorted(set(ids)):
            raise ValueError("images: expected each once, sorted by id")
        if unknown := sorted(set(self.adjudicated) - set(ids)):
            raise ValueError(f"adjudicated: {unknown[0]!r} is none of the images")
        return self

    @property
    def taken_out(self) -> int:
        """How many images leave the benchmark."""
        return sum(not each.after for each in self.images)


@dataclass(frozen=True)
class CorrectedGold:
    """What a correction made: ``gold`` follows from the version before and the correction called ``name``.

    ``kept``: bool (n,), which of the images of the version before ``gold`` has.
    """

    name: str
    correction: Correction
    gold: Gold
    kept: NDArray[np.bool_]


def read_corrections(board: Path) -> dict[str, Correction]:
    """Name -> correction, of all in a board's folder.

    Raises:
        ResultError: a file there is malformed, or has a name that none may have.
    """
    found = {}
    for path in sorted((board / CORRECTIONS).glob("*.json")):
        if not NAME.fullmatch(path.stem):
            raise ResultError(f"{path}: expected a name of small letters, digits and '-', at most 60")
        found[path.stem] = read_record(path, Correction)
    return found


def corrected(gold: Gold, correction: Correction, name: str) -> Gold:
    """The next version of ``gold``.

    Raises:
        ResultError: the correction is of another version, of other images, bytes or labels than the gold's,
            or makes another version than it says.
    """
    if correction.fingerprint != gold.info.fingerprint:
        raise ResultError(
            f"the correction {name} is of the version {correction.fingerprint[:12]}...: {gold.info.name} is "
            f"at {gold.info.fingerprint[:12]}...; make it again from the reviewers' decisions"
        )
    rows = {
        id: (labels, origin, sha)
        for id, labels, origin, sha in zip(
            gold.ids, gold.labels, gold.origins, gold.image_sha256, strict=True
        )
    }
    for each in correction.images:
        where = f"the correction {name}, image {shorten(each.id)}"
        if each.id not in rows:
            raise ResultError(f"{where}: {gold.info.name} has no such image; ids are never changed or added")
        labels, origin, sha = rows[each.id]
        for what, said, known in (
            ("image_sha256", each.image_sha256, sha),
            ("before", each.before, labels),
        ):
            if said != known:
                raise ResultError(f"{where}: {what} is {shorten(said)}: the gold has {shorten(known)}")
        if each.after:
            rows[each.id] = each.after, origin, sha
        else:
            del rows[each.id]
    about = gold.info.model_dump(include={"name", "source", "revision", "split", "curators", "note", "since"})
    try:
        made = gold_of(((id, *row) for id, row in rows.items()), **about)
    except DatasetError as error:
        raise ResultError(f"the correction {name}: {error}") from None
    if made.info.fingerprint != correction.corrected:
        raise ResultError(
            f"the correction {name} makes the version {made.info.fingerprint[:12]}...: it says "
            f"{correction.corrected[:12]}..."
        )
    return made


def versions(gold: Gold, corrections: Mapping[str, Correction]) -> tuple[CorrectedGold, ...]:
    """The versions after ``gold``, the newest last.

    Raises:
        ResultError: as ``corrected``; two corrections are of one version, or one goes back to an earlier one.
    """
    found: list[CorrectedGold] = []
    seen = {gold.info.fingerprint}
    while next_ones := [
        name for name, each in corrections.items() if each.fingerprint == gold.info.fingerprint
    ]:
        if len(next_ones) > 1:
            raise ResultError(
                f"{' and '.join(next_ones)} correct one version of {gold.info.name}: make the later one "
                "again from the reviewers' decisions, on what the other made"
            )
        (name,) = next_ones
        before, gold = gold.ids, corrected(gold, corrections[name], name)
        if gold.info.fingerprint in seen:
            raise ResultError(
                f"the correction {name} goes back to an earlier version: remove those that it takes back"
            )
        seen.add(gold.info.fingerprint)
        there = set(gold.ids)
        kept = np.array([id in there for id in before], np.bool_)
        found.append(CorrectedGold(name, corrections[name], gold, kept))
    return tuple(found)


def newest(gold: Gold, corrections: Mapping[str, Correction]) -> Gold:
    """The last version of ``gold``.

    Raises:
        ResultError: as ``versions``.
    """
    later = versions(gold, corrections)
    return later[-1].gold if later else gold


def check_corrections(board: Path, golds: Path | None = None) -> None:
    """Every correction of a board's folder has its place in the chain of a benchmark, and holds.

    ``golds``: the folder of gold labels, where it is another's than the board's.

    Raises:
        ResultError: the first that does not.
    """
    corrections, folder = read_corrections(board), golds or board / "benchmarks"
    placed = {
        each.name
        for fingerprint in (known_golds(folder) if corrections else ())
        for each in versions(read_gold(folder, fingerprint), corrections)
    }
    if lost := [name for name in corrections if name not in placed]:
        raise ResultError(
            f"{shorten_list(lost)}: of no version of a benchmark of this board; make the correction again "
            "from the reviewers' decisions"
        )


def make_correction(
    gold: Gold,
    changes: Mapping[str, tuple[Sequence[int], str, Sequence[str]]],
    *,
    date: dt.date,
    agreement: Sequence[PairAgreement] = (),
    adjudicated: Sequence[str] = (),
) -> Correction:
    """A correction of ``gold``; ``changes``: image id -> labels after (none: taken out), reason, reviewers.

    Images that keep their labels are left out.

    Raises:
        UsageError: an unknown image, nothing that changes, or a text that no record may have.
        DatasetError: no image is left.
    """
    known = dict(zip(gold.ids, zip(gold.labels, gold.origins, gold.image_sha256, strict=True), strict=True))
    if unknown := sorted(set(changes) - known.keys()):
        raise UsageError(f"{gold.info.name} has no image {shorten(unknown[0])}")
    kept = {
        id: (tuple(sorted(set(after))), reason, tuple(by))
        for id, (after, reason, by) in sorted(changes.items())
        if tuple(sorted(set(after))) != known[id][0]
    }
    if not kept:
        raise UsageError("the decisions change no label: there is nothing to correct")
    rows = (
        (id, kept[id][0] if id in kept else labels, origin, sha)
        for id, (labels, origin, sha) in known.items()
        if id not in kept or kept[id][0]
    )
    about = gold.info.model_dump(include={"name", "source", "revision", "split"})
    try:
        return Correction(
            benchmark=gold.info.name,
            fingerprint=gold.info.fingerprint,
            corrected=gold_of(rows, **about).info.fingerprint,
            date=date,
            images=tuple(
                CorrectedImage(
                    id=id,
                    image_sha256=known[id][2],
                    before=known[id][0],
                    after=after,
                    reason=reason,
                    reviewers=by,
                )
                for id, (after, reason, by) in kept.items()
            ),
            agreement=tuple(agreement),
            adjudicated=tuple(sorted(set(adjudicated) & kept.keys())),
        )
    except ValidationError as error:
        raise UsageError(f"these decisions make no correction: {first_problem(error)}") from None
