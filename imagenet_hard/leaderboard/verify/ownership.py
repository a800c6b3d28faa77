"""Whose an entry is: the account's that opened the request, as the platform says, not a typed name's.

Where no platform says who asks, as on one's own disk, nothing is proven, and that is flagged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from pydantic import TypeAdapter, ValidationError

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.leaderboard.entry import Account, Entry, Platform, read_entry
from imagenet_hard.leaderboard.ids import model_of
from imagenet_hard.leaderboard.verify.report import Finding
from imagenet_hard.leaderboard.withdrawn import refuse_withdrawn


@dataclass(frozen=True)
class Author:
    """An account: who opened a request, as its platform says."""

    platform: Platform
    account: str

    @classmethod
    def parse(cls, text: str) -> Author:
        """``github:LOGIN`` or ``hub:USER``.

        Raises:
            UsageError: anything else.
        """
        platform, _, account = text.partition(":")
        try:
            if platform not in get_args(Platform):
                raise ValueError
            return cls(cast(Platform, platform), TypeAdapter[str](Account).validate_python(account))
        except (ValidationError, ValueError):
            raise UsageError(f"{text!r} is not an account: expected github:LOGIN or hub:USER") from None

    def __str__(self) -> str:
        return f"{self.platform}:{self.account}"

    def owns(self, entry: Entry) -> bool:
        """Whether the entry names this account; neither platform tells capitals apart."""
        return (entry.owner or {}).get(self.platform, "").casefold() == self.account.casefold()


def check_ownership(
    entry: Entry, base: Path | None, author: Author | None = None, beside: Iterable[Path] = ()
) -> Finding:
    """No entry takes another's place, and none is put in another's name.

    ``base``: the entries that the board holds, None where there is no board; ``author``: who opened the
    request, if that is proven; ``beside``: the folders of its other entries of this model. An id belongs to
    the submitter, model, benchmark and owner that had it first, and so do all ids of the model, on whatever
    benchmark.

    Raises:
        ResultError: the board or the request has the id, or another of its model, for something else or in
            other capitals, or the board had it for an entry that was withdrawn; or the request is not the
            owner's.
    """
    if author and not author.owns(entry):
        raise ResultError(
            f"the request was opened by {author}: the entry names {said_owner(entry)} as its owner; submit "
            f"it with --owner {author}"
        )
    held = _of_model(entry.id, base.iterdir() if base and base.is_dir() else ())
    if base:
        refuse_withdrawn(base.absolute().parent, entry.id, entry.benchmark.fingerprint, whole_model=not held)
    _check_model(entry, held, "board")
    _check_model(entry, filter(_is_readable, beside), "request")  # one that cannot be read fails by itself
    if base is None:
        return False, "as in the model's other entries"
    others = [read_entry(p) for p in held if p.name != entry.id]
    before = next((read_entry(p) for p in held if p.name == entry.id), None)
    if before == entry:
        return False, "the same as on the board"
    if before is None and not others:
        if author or not entry.owner:
            return False, f"a new entry{f' of {author}' if author else ''}"
        return True, f"a new entry; not proven: nobody saw {said_owner(entry)} submit it"
    what = "replaces an entry" if before else f"adds a benchmark to {others[0].id}"
    for other in others:
        weights = {other.model.weights_sha256, entry.model.weights_sha256} - {None}
        if len(weights) > 1:
            return True, f"{what}, and has other weights than {other.id}: by their names they are one model"
    known = before or others[0]
    if author and known.owner:
        return False, f"{what} of the same owner, {author}"
    why = f"nobody saw {said_owner(known)} submit it" if known.owner else "the board's entry names no owner"
    return True, f"{what} of the same submitter and model; not proven: {why}"


def id_on_board(entries: Path, id: str, fingerprint: str) -> str:
    """The id of a model's entry on a benchmark: the one that it has there already, or else ``id``."""
    for folder in _of_model(id, entries.iterdir() if entries.is_dir() else ()):
        if model_of(folder.name) == model_of(id) and _is_readable(folder):
            found = read_entry(folder)
            if found.benchmark.fingerprint == fingerprint:
                return found.id
    return id


def _of_model(id: str, folders: Iterable[Path]) -> list[Path]:
    """The folders of a model's entries, in whatever capitals."""
    model = model_of(id).casefold()
    return sorted(folder for folder in folders if model_of(folder.name).casefold() == model)


def _is_readable(folder: Path) -> bool:
    try:
        return bool(read_entry(folder))
    except ResultError:
        return False


def _check_model(entry: Entry, folders: Iterable[Path], where: str) -> None:
    """A model's entries are of one model and the same people, each on a benchmark of its own."""
    for folder in folders:
        same = folder.name == entry.id
        twin = not same and folder.name.casefold() == entry.id.casefold()
        if twin or model_of(folder.name) != entry.model_id:
            raise ResultError(
                f"the {where} has {folder.name}, which differs in capitals only: choose another name"
            )
        other = read_entry(folder)
        for what, had, has in (
            ("submitter", other.submitter, entry.submitter),
            ("model", _identity(other), _identity(entry)),
            *([("benchmark", other.benchmark.fingerprint, entry.benchmark.fingerprint)] if same else []),
            *([("owner", said_owner(other), said_owner(entry))] if other.owner else []),
        ):
            if had != has:
                raise ResultError(
                    f"the {where} has {other.id} already, with the {what} {had!r}: got {has!r}; choose "
                    "another name"
                )
        if not same and other.benchmark.fingerprint == entry.benchmark.fingerprint:
            raise ResultError(
                f"the {where} has this model on this benchmark already, as {other.id}: a model has one entry "
                "for each benchmark"
            )


def owns(folder: Path, author: Author | None) -> bool:
    """Whether the entry in ``folder`` is the author's, proven."""
    try:
        return author is not None and author.owns(read_entry(folder))
    except ResultError:
        return False


def said_owner(entry: Entry) -> str:
    """The owner's accounts in words."""
    return " and ".join(f"{key}:{value}" for key, value in sorted((entry.owner or {}).items())) or "nobody"


def _identity(entry: Entry) -> tuple[str | None, ...]:
    model, tta = entry.model, entry.protocol.tta if entry.protocol else None
    # Test-time augmentation makes another row; without it the identity is what it always was.
    return (model.backend, model.name, model.tag, *([tta.label] if tta else []))
