"""Whose an entry is: the account's that opened the request, as the platform says, not a typed name's.

Where no platform says who asks, as on one's own disk, nothing is proven, and that is flagged.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from pydantic import TypeAdapter, ValidationError

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.leaderboard.entry import Account, Entry, Platform, read_entry
from imagenet_hard.leaderboard.verify.checklist import Finding
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
            raise UsageError(f"{text!r} is no account: expected github:LOGIN or hub:USER") from None

    def __str__(self) -> str:
        return f"{self.platform}:{self.account}"

    def owns(self, entry: Entry) -> bool:
        """Whether the entry names this account; neither platform tells capitals apart."""
        return (entry.owner or {}).get(self.platform, "").casefold() == self.account.casefold()


def check_ownership(entry: Entry, base: Path, author: Author | None = None) -> Finding:
    """No entry takes another's place, and none is put in another's name.

    ``base``: the entries that the board holds; ``author``: who opened the request, if that is proven.
    An id belongs to the submitter, model, benchmark and owner that had it first.

    Raises:
        ResultError: the board has the id, or one that differs in capitals only, for something else, or had
            it for an entry that was withdrawn; or the request is not the owner's.
    """
    if author and not author.owns(entry):
        raise ResultError(
            f"the request was opened by {author}: the entry names {said_owner(entry)} as its owner; submit "
            f"it with --owner {author}"
        )
    refuse_withdrawn(base.absolute().parent, entry.id)
    held = [p for p in base.iterdir() if p.name.casefold() == entry.id.casefold()] if base.is_dir() else []
    if not held:
        if author or not entry.owner:
            return False, f"a new entry{f' of {author}' if author else ''}"
        return True, f"a new entry; not proven: nobody saw {said_owner(entry)} submit it"
    if held[0].name != entry.id:
        raise ResultError(
            f"the board has {held[0].name}, which differs in capitals only: choose another name"
        )
    before = read_entry(held[0])
    if before == entry:
        return False, "the same as on the board"
    for what, had, has in (
        ("submitter", before.submitter, entry.submitter),
        ("model", _identity(before), _identity(entry)),
        ("benchmark", before.benchmark.fingerprint, entry.benchmark.fingerprint),
        *([("owner", said_owner(before), said_owner(entry))] if before.owner else []),
    ):
        if had != has:
            raise ResultError(
                f"the board has {entry.id} already, with the {what} {had!r}: got {has!r}; choose another name"
            )
    if author and before.owner:
        return False, f"replaces an entry of the same owner, {author}"
    why = f"nobody saw {said_owner(before)} submit it" if before.owner else "the board's entry names no owner"
    return True, f"replaces an entry of the same submitter and model; not proven: {why}"


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
