"""The page's HTML. Ids, labels, reasons and names come from files: all of it is escaped here."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence

from imagenet_hard.curation.records import Survivor, View
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


def visible(value: object) -> str:
    """Any text, with what cannot be seen (control characters, turned reading order) as its code."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in str(value))


def text(value: object) -> str:
    """Any text as HTML."""
    return html.escape(visible(value), quote=True)


def class_text(index: int) -> str:
    """A class as the page writes and searches it: ``great white shark · n01484850 · #2``."""
    return f"{names()[index]} · {wnids()[index]} · #{index}"


def message(stamp: int, words: str, wrong: bool) -> str:
    """What just happened. The stamp tells keys.js that the page has answered."""
    kind = "wrong" if wrong else "fine"
    return f'<p id="answer" class="{kind}" role="status" data-stamp="{stamp}">{text(words) or "&nbsp;"}</p>'


def head(reviewer: str, file: str, progress: Progress) -> str:
    """Title, and how far the reviewer is."""
    numbers = {**progress.decided, UNDECIDED: progress.undecided}
    parts = [(kind, state(kind), n) for kind, n in numbers.items()]
    bar = "".join(f'<span class="{kind}" style="flex:{n}"></span>' for kind, _, n in parts if n)
    counts = "".join(f'<li class="{kind}"><b>{n:,}</b> {word}</li>' for kind, word, n in parts)
    return (
        f'<header id="head"><h1>Review of hard images</h1><p>{text(reviewer)} · saved at once to '
        f'<code>{text(file)}</code></p><div class="bar" aria-hidden="true">{bar}</div>'
        f"<ul>{counts}</ul></header>"
    )


def figure(survivor: Survivor, picture: Picture, position: str) -> str:
    """The image, big, with its id."""
    width, height = picture.size
    return (
        f'<figure id="figure" data-id="{text(survivor.id)}"><img src="{picture.whole}" '
        f'alt="the image {text(survivor.id)}"><figcaption><b class="id">{text(survivor.id)}</b>'
        f"<span>{text(position)}</span><span>source {text(survivor.source)}</span>"
        f"<span>{width} × {height} pixels</span></figcaption></figure>"
    )


def broken(survivor: Survivor, why: str) -> str:
    """In place of an image that cannot be shown."""
    return (
        f'<figure id="figure" data-id="{text(survivor.id)}"><p class="wrong">{text(why)}</p>'
        f'<figcaption><b class="id">{text(survivor.id)}</b></figcaption></figure>'
    )


def empty(words: str) -> str:
    """In place of the image where no image matches."""
    return f'<figure id="figure" data-id=""><p class="wrong">{text(words)}</p></figure>'


def facts(survivor: Survivor, row: DecisionRow | None, said: Sequence[DecisionRow]) -> str:
    """The labels, what this reviewer decided, and what others said where they differ."""
    what = _decided(row) if row else _chip(UNDECIDED)
    others = "".join(f"<li><b>{text(each.reviewer)}</b> {_decided(each)}</li>" for each in said)
    conflict = f"<h2>Reviewers differ</h2><ul>{others}</ul>" if others else ""
    return (
        f'<section id="facts"><h2>Labels</h2>{_labels(survivor.labels)}<div class="said">{what}</div>'
        f"{conflict}</section>"
    )


def views(survivor: Survivor, picture: Picture, pictures: Pictures) -> str:
    """The nearest wrong predictions: each classifier's standard view, then the closest zooms."""
    standard = "".join(_view(view, picture, pictures) for view in survivor.standard)
    closest = "".join(_view(view, picture, pictures) for view in survivor.closest)
    return (
        '<section id="views"><h2>What the classifiers say to the standard view</h2>'
        f"<ol>{standard}</ol><h2>The zooms that came closest</h2><p>Smallest deficit first: how far the best "
        f"wrong logit is above the best right one.</p><ol>{closest}</ol></section>"
    )


def keys() -> str:
    """The keyboard shortcuts."""
    rows = "".join(f"<li><kbd>{text(key)}</kbd> {text(what)}</li>" for key, what in KEYS)
    return (
        f'<footer id="keys"><h2>Keys</h2><ul>{rows}</ul><p>Keys rest while you type in a field.</p></footer>'
    )


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


def _labels(labels: Sequence[int]) -> str:
    rows = "".join(
        f"<li><b>{text(names()[i])}</b> <code>{text(wnids()[i])}</code> <code>#{i}</code></li>"
        for i in labels
    )
    return f"<ul>{rows}</ul>"


def _decided(row: DecisionRow) -> str:
    reason = f" {text(row.reason)}" if row.reason else ""
    return f"{_chip(row.action)}{reason}{_labels(row.labels) if row.labels else ''}"


def _chip(action: str) -> str:
    return f'<span class="chip {action}">{state(action)}</span>'


def _view(view: View, picture: Picture, pictures: Pictures) -> str:
    source, zoom = picture.views[view.classifier, view.zoom], pictures.zoom(view.classifier, view.zoom)
    return (
        f'<li><img src="{source}" alt="" loading="lazy"><b>{text(names()[view.predicted])}</b>'
        f"<span>deficit {view.deficit:.2f}</span><span>{text(zoom)}</span>"
        f"<code>{text(view.classifier)}</code></li>"
    )
