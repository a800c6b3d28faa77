"""One reviewer going through the survivors: what is next, what was decided, how to take it back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import RLock

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.curation.records import Survivor
from imagenet_hard.curation.review.actions import ACTIONS, UNDECIDED
from imagenet_hard.curation.review.decisions import (
    REVIEWER,
    DecisionRow,
    append_decision,
    placed_rows,
)
from imagenet_hard.curation.review.merge import latest

MAX_REASON = 1000
"""Longest reason with its note, in characters."""


@dataclass(frozen=True, slots=True)
class ReviewFilter:
    """Which images the reviewer goes through: all, or those of one source, or those still undecided."""

    source: str | None = None
    undecided_only: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """Numbers of images; ``decided``, by the name of the action, and ``undecided`` add up to ``total``."""

    total: int
    decided: Mapping[str, int]
    undecided: int


class ReviewSession:
    """The survivors and one reviewer's decisions about them, each on disk before a method returns.

    ``survivors``: all of them, in the order of the review. ``path``: the reviewer's CSV, read if it
    is there. ``only``: ids to go through, in place of all. Decisions about bytes that have changed
    since count as undecided. Safe to use from several threads.

    Raises:
        UsageError: no survivor is left to review, or the name cannot be a file's.
        ResultError: the CSV is malformed, somebody else's, or about images that are no survivors.
    """

    def __init__(
        self,
        survivors: Sequence[Survivor],
        path: Path,
        reviewer: str,
        only: Sequence[str] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if not REVIEWER.fullmatch(reviewer):
            raise UsageError(
                f"the reviewer's name is {reviewer!r}: expected up to 64 letters, digits, '.', '_' or '-', a "
                "letter or digit first, because it is the name of a file too"
            )
        self.survivors: Mapping[str, Survivor] = {each.id: each for each in survivors}
        self.ids: tuple[str, ...] = tuple(self.survivors if only is None else only)
        self._place = {id: place for place, id in enumerate(self.ids)}
        if not self.ids:
            raise UsageError(
                "there is no image to review: no survivor has been found, or none is in conflict"
            )
        self.path, self.reviewer = path, reviewer
        self._now, self._lock = now, RLock()
        self._undo = list[tuple[str, DecisionRow | None]]()
        self._rows: dict[str, DecisionRow] = {}
        self._last: str | None = None
        self._stamp: tuple[int, int] | None = None
        self._read()

    @property
    def sources(self) -> list[str]:
        """The sources of the images to go through, in their order."""
        return list(dict.fromkeys(self.survivors[id].source for id in self.ids))

    def start(self) -> str:
        """Where the reviewer left off: the next undecided image from the last one that was decided."""
        at = self._last or self.ids[0]
        return self.step(at, 0, ReviewFilter(undecided_only=True)) or at

    def decision(self, id: str) -> DecisionRow | None:
        """What the reviewer says about an image now."""
        row = self._rows.get(id)
        if row is None or row.action == UNDECIDED or row.image_sha256 != self.survivors[id].image_sha256:
            return None
        return row

    def matching(self, filter: ReviewFilter) -> list[str]:
        """The ids that the filter lets through, in order."""
        return [id for id in self.ids if self._matches(id, filter)]

    def step(self, id: str, by: int, filter: ReviewFilter) -> str | None:
        """The next matching image after ``id`` (``by`` = 1) or the one before it (-1), None at the end.

        ``by`` = 0: ``id`` itself if it matches, else the next one that does, going round.
        """
        place = self._place.get(id, 0)
        if by == 0:
            ahead = (*self.ids[place:], *self.ids[:place])
        else:
            ahead = self.ids[place + 1 :] if by > 0 else self.ids[:place][::-1]
        return next((each for each in ahead if self._matches(each, filter)), None)

    def find(self, text: str, after: str) -> str | None:
        """The image of that id, else the next one after ``after`` whose id contains ``text``."""
        text = text.strip()
        if not text or text in self._place:
            return text or None
        start = self._place.get(after, -1) + 1
        ahead = (*self.ids[start:], *self.ids[:start])
        return next((id for id in ahead if text.casefold() in id.casefold()), None)

    def decide(self, id: str, action: str, reason: str = "", labels: Sequence[int] = ()) -> DecisionRow:
        """Say something about an image; the row is on disk when this returns.

        ``reason`` is put on one line; ``labels`` are class indices in any order.

        Raises:
            UsageError: no such image, a drop without a reason, a relabelling that changes nothing.
            ResultError: the row cannot be written; nothing is decided then.
        """
        if id not in self.survivors:
            raise UsageError(f"there is no image {id!r} in this review")
        reason = " ".join(reason.encode(errors="replace").decode().split())
        wanted = tuple(sorted(set(labels)))
        if len(reason) > MAX_REASON:
            raise UsageError(f"the reason has {len(reason)} characters: expected {MAX_REASON} at most")
        if ACTIONS[action].needs_reason and not reason:
            raise UsageError(f"choose a reason before you {action} the image")
        if ACTIONS[action].takes_labels and not wanted:
            raise UsageError("choose one label or more; if none fits, drop the image")
        if ACTIONS[action].takes_labels and wanted == self.survivors[id].labels:
            raise UsageError("these are the labels that the image has: change them, or keep the image")
        with self._lock:
            self._reread()
            before = self.decision(id)
            row = self._write(id, action, reason, wanted)
            self._undo.append((id, before))
            return row

    def undo(self) -> DecisionRow | None:
        """Take back the last decision of this session by a further row; None if there is none.

        Raises:
            ResultError: the row cannot be written.
        """
        with self._lock:
            if not self._undo:
                return None
            self._reread()
            id, before = self._undo[-1]
            row = (
                self._write(id, before.action, before.reason, before.labels)
                if before
                else self._write(id, UNDECIDED, "", ())
            )
            self._undo.pop()
            return row

    def progress(self) -> Progress:
        """Over the images to go through, whatever the filter."""
        rows = [self.decision(id) for id in self.ids]
        counts = Counter(row.action for row in rows if row)
        return Progress(len(rows), {name: counts[name] for name in ACTIONS}, len(rows) - counts.total())

    def _matches(self, id: str, filter: ReviewFilter) -> bool:
        if filter.source is not None and self.survivors[id].source != filter.source:
            return False
        return not filter.undecided_only or self.decision(id) is None

    def _write(self, id: str, action: str, reason: str, labels: tuple[int, ...]) -> DecisionRow:
        now = self._now().astimezone(UTC).replace(microsecond=0)
        if id in self._rows:
            # Two rows of one second, or a clock set back, must not hide which one came last.
            now = max(now, self._rows[id].time + timedelta(seconds=1))
        sha256 = self.survivors[id].image_sha256
        row = DecisionRow(id, action, reason, labels, self.reviewer, now, sha256)
        append_decision(self.path, row)
        self._rows[id] = row
        self._last = id if id in self._place else self._last
        self._stamp = self._now_on_disk()
        return row

    def _reread(self) -> None:
        """See what another program (an editor, a second page) has written in the meantime."""
        if self._now_on_disk() != self._stamp:
            self._read()

    def _now_on_disk(self) -> tuple[int, int] | None:
        """Size and time of the file, None where there is none."""
        if not self.path.exists():
            return None
        stat = self.path.stat()
        return stat.st_size, stat.st_mtime_ns

    def _read(self) -> None:
        stamp = self._now_on_disk()
        if stamp is None:
            self._rows, self._stamp = {}, None
            return
        rows = placed_rows(self.path)
        for where, row in rows:
            if row.reviewer != self.reviewer:
                raise ResultError(
                    f"{where}: this row is by {row.reviewer!r}, but the file belongs to {self.reviewer!r}: "
                    "give each reviewer a file of their own (--reviewer)"
                )
        current = {id: (where, row) for (_, id), (where, row) in latest([rows]).items()}
        for id, (where, row) in current.items():
            if id not in self.survivors and row.action != UNDECIDED:
                raise ResultError(
                    f"{where}: {id!r} is not a survivor of this run: give the --work that these decisions "
                    "were made with, or delete the row"
                )
        self._rows = {id: row for id, (_, row) in current.items() if id in self.survivors}
        self._last = next((row.id for _, row in reversed(rows) if row.id in self._place), None)
        self._stamp = stamp
