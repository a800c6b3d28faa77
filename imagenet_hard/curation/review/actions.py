"""What a reviewer can do with an image: the closed set that CSV, page, keys, report and selection follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

UNDECIDED = "undecided"
"""In a row: what its reviewer had said about the image is taken back."""

SAVE = "Ctrl Enter"


@dataclass(frozen=True, slots=True)
class Action:
    """One action.

    ``name``: as the CSV has it, and the id of its button; ``past``: the image's state in words.
    ``effect``: the image "stays" in the data set as it is, "leaves" it (for a reason), or is "relabelled".
    ``key``: presses the button; ``hint``: what the list of keys says of it.
    """

    name: str
    past: str
    effect: Literal["stays", "leaves", "relabelled"]
    button: str
    key: str
    hint: str
    colour: str

    @property
    def needs_reason(self) -> bool:
        """Whether a reason has to be chosen."""
        return self.effect == "leaves"

    @property
    def takes_labels(self) -> bool:
        """Whether it comes with labels, which replace the image's."""
        return self.effect == "relabelled"


ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        action.name: action
        for action in (
            Action("keep", "kept", "stays", "Keep", "k", "keep", "#1a7f4b"),
            Action("drop", "dropped", "leaves", "Drop", "d", "drop, for the chosen reason", "#b3362b"),
            Action("relabel", "relabelled", "relabelled", "Save labels", SAVE, "save the labels", "#2f62b5"),
        )
    }
)
"""Name -> action, in the order of page and report."""


def image_state(name: str) -> str:
    """An action as the state of the image; that of a row which takes back is "undecided"."""
    return UNDECIDED if name == UNDECIDED else ACTIONS[name].past
