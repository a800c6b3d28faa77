"""The page's HTML, from the macros of ``templates/fragments.html.jinja``."""

from __future__ import annotations

import json
from collections.abc import Sequence

from imagenet_hard.base.web import templates
from imagenet_hard.curation.records import Survivor
from imagenet_hard.curation.review.actions import ACTIONS, UNDECIDED, state
from imagenet_hard.curation.review.decisions import DecisionRow
from imagenet_hard.curation.review.pictures import Picture, Pictures
from imagenet_hard.curation.review.session import Progress
from imagenet_hard.imagenet.classes import names, wnids

KEYS = (
    *((action.key, action.hint) for action in ACTIONS.values()),
    ("1–6", "choose the reason"),
    ("l", "go to the labels"),
    ("n", "go to the note"),
    ("→ or j", "next"),
    ("←", "previous"),
    ("u", "undo"),
    ("Esc", "leave a field"),
)


def class_text(index: int) -> str:
    """A class as the page writes and searches it: ``great white shark · n01484850 · #2``."""
    return f"{names()[index]} · {wnids()[index]} · #{index}"


def message(stamp: int, words: str, wrong: bool) -> str:
    """What just happened. The stamp tells keys.js that the page has answered."""
    return _part("message", stamp, words, wrong)


def head(reviewer: str, file: str, progress: Progress) -> str:
    """Title, and how far the reviewer is."""
    numbers = {**progress.decided, UNDECIDED: progress.undecided}
    return _part("head", reviewer, file, [(kind, state(kind), n) for kind, n in numbers.items()])


def figure(survivor: Survivor, picture: Picture, position: str) -> str:
    """The image, big, with its id."""
    return _part("figure", survivor, picture, position)


def broken(survivor: Survivor, why: str) -> str:
    """In place of an image that cannot be shown."""
    return _part("no_figure", survivor.id, why)


def empty(words: str) -> str:
    """In place of the image where no image matches."""
    return _part("no_figure", "", words)


def facts(survivor: Survivor, row: DecisionRow | None, said: Sequence[DecisionRow]) -> str:
    """The labels, what this reviewer decided, and what others said where they differ."""
    return _part("facts", survivor, row, said)


def views(survivor: Survivor, picture: Picture, pictures: Pictures) -> str:
    """The nearest wrong predictions: each classifier's standard view, then the closest zooms."""
    return _part("views", survivor, picture, pictures)


def keys() -> str:
    """The keyboard shortcuts."""
    return _part("keys", KEYS)


def colours() -> str:
    """CSS of the actions' chips, bars and buttons."""
    return "\n".join(
        f".{action.name} {{ --tone: {action.colour}; }} "
        f"#{action.name} {{ background: {action.colour}; color: #fff; }}"
        for action in ACTIONS.values()
    )


def buttons() -> str:
    """JavaScript: key -> id of the action's button, for keys.js."""
    return f"window.ACTIONS = {json.dumps({action.key: action.name for action in ACTIONS.values()})};"


def _part(name: str, *values: object) -> str:
    """A macro of the template, filled in."""
    found = templates("imagenet_hard.curation.review", class_name=_name, wnid=_wnid, state=state)
    return str(getattr(found.get_template("fragments.html.jinja").module, name)(*values))


def _name(index: int) -> str:
    return names()[index]


def _wnid(index: int) -> str:
    return wnids()[index]
