"""What each button of the page does: from the image that was shown to the one to show next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imagenet_hard.base.errors import ImageNetHardError, UsageError
from imagenet_hard.curation.review.actions import ACTIONS, Action, image_state
from imagenet_hard.curation.review.decisions import DecisionRow
from imagenet_hard.curation.review.pictures import Pictures
from imagenet_hard.curation.review.session import ReviewFilter, ReviewSession
from imagenet_hard.imagenet.classes import names


@dataclass(frozen=True, slots=True)
class Screen:
    """What to show after an event. ``id``: the image, "" for none; ``words``: what to tell.

    ``refused``: nothing was done, so everything but the words stays as it is, half-filled fields too.
    """

    id: str
    words: str = ""
    refused: bool = False


class Controller:
    """A session, its pictures, and what other reviewers ``said`` about images in conflict.

    Every event is given the image that its reviewer was looking at (``shown``), so two open pages,
    or a key pressed too soon, never decide an unseen image.
    """

    def __init__(
        self,
        session: ReviewSession,
        pictures: Pictures,
        said: Mapping[str, Sequence[DecisionRow]] | None = None,
    ) -> None:
        self.session, self.pictures, self.said = session, pictures, said or {}

    def start(self) -> Screen:
        """The first screen."""
        return Screen(self.session.start())

    def decide(
        self,
        shown: str,
        action: str,
        filter: ReviewFilter,
        reason: str = "",
        note: str = "",
        labels: Sequence[int] = (),
    ) -> Screen:
        """Save a decision, then go on to the next image.

        ``reason``: one of DROP_REASONS; it counts where the action needs one, ``labels`` where it takes them.
        """
        meant = ACTIONS[action]
        try:
            if shown in self.session.survivors:
                self.pictures.check(self.session.survivors[shown])
            said = _reason(meant, reason, note.strip()) if meant.needs_reason else note
            row = self.session.decide(shown, action, said, labels if meant.takes_labels else ())
        except ImageNetHardError as error:
            return Screen(shown, str(error), refused=True)
        words = f"{row.id} is {_describe(row)}."
        following = self.session.step(shown, 1, filter)
        if following is None:
            return Screen(self.session.step(shown, 0, filter) or shown, f"{words} {self._at_the_end()}")
        return Screen(following, words)

    def undo(self, shown: str) -> Screen:
        """Take back the last decision and show its image again."""
        try:
            row = self.session.undo()
        except ImageNetHardError as error:
            return Screen(shown, str(error), refused=True)
        if row is None:
            words = "There is nothing to undo since the page was started: go to the image and decide again."
            return Screen(shown, words, refused=True)
        return Screen(row.id, f"{row.id} is {_describe(row)} again.")

    def move(self, shown: str, by: int, filter: ReviewFilter) -> Screen:
        """To the next (``by`` = 1) or the previous (-1) image that matches."""
        found = self.session.step(shown, by, filter)
        if found is None:
            words = self._at_the_end() if by > 0 else "This is the first image that matches."
            return Screen(shown, words, refused=True)
        return Screen(found)

    def refilter(self, shown: str, filter: ReviewFilter) -> Screen:
        """The image shown, if it matches the new filter, or the next one that does."""
        return Screen(self.session.step(shown, 0, filter) or "")

    def jump(self, shown: str, text: str) -> Screen:
        """To the image of that id, or the next one whose id contains the text."""
        found = self.session.find(text, shown)
        if found is None:
            return Screen(shown, f"No image has an id with {text.strip()!r} in it.", refused=True)
        return Screen(found)

    def position(self, id: str, filter: ReviewFilter) -> str:
        """``3 of 120``, or that the filter leaves the image out."""
        matching = self.session.matching(filter)
        if id not in matching:
            return f"outside the filter ({len(matching):,} match)"
        return f"{matching.index(id) + 1:,} of {len(matching):,}"

    def _at_the_end(self) -> str:
        left = self.session.progress().undecided
        return f"This was the last image; {left:,} are undecided." if left else "All images are decided."


def _reason(action: Action, reason: str, note: str) -> str:
    if not reason or (reason == "other" and not note):
        raise UsageError(
            f"say why the image is {action.past}: choose a reason; for 'other', write it into the note"
        )
    return f"{reason}: {note}" if note else reason


def _describe(row: DecisionRow) -> str:
    """What a row says, in words: ``relabelled: tench, goldfish (two fish)``."""
    labels = f": {', '.join(names()[i] for i in row.labels)}" if row.labels else ""
    reason = f" ({row.reason})" if row.reason else ""
    return image_state(row.action) + labels + reason
