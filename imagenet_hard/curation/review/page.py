"""The page itself: Gradio's components, bound to what the buttons do, served on this machine only."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from itertools import count
from typing import TYPE_CHECKING, Any

from imagenet_hard.base.errors import ImageNetHardError, UsageError
from imagenet_hard.base.types import N_CLASSES
from imagenet_hard.base.web import templates
from imagenet_hard.curation.review.actions import ACTIONS, UNDECIDED, image_state
from imagenet_hard.curation.review.controller import Controller, Screen
from imagenet_hard.curation.review.merge import DROP_REASONS
from imagenet_hard.curation.review.session import Progress, ReviewFilter
from imagenet_hard.imagenet.classes import names, wnids

if TYPE_CHECKING:
    import gradio

HOST = "127.0.0.1"
ALL = "all sources"

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


@dataclass(frozen=True)
class Running:
    """A page that is being served."""

    url: str
    close: Callable[[], None]


def serve(controller: Controller, port: int, *, open_browser: bool = False) -> Running:
    """Serve the page on the loopback; returns at once.

    Nothing leaves the machine: no analytics, no share link, no fonts from elsewhere.

    Raises:
        UsageError: Gradio is not installed, or the port is in use.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported
    # Statistics of the page's own events, for a dashboard that is off, cost a pandas table an event.
    os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = str(2**31)
    try:
        import gradio
        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware
    except ImportError as error:
        raise UsageError(
            f"the review page needs Gradio ({error}): pip install 'imagenet-hard[review]'"
        ) from None
    blocks = _Page(gradio, controller).blocks
    here = files("imagenet_hard.curation.review")
    local = gradio.themes.Font
    # A web page elsewhere whose name is made to point at this machine gets no answer.
    guard = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    try:
        with socket.create_server((HOST, port)):
            pass  # Gradio's own look for a free port leaves sockets open
        _, url, _ = blocks.launch(
            server_name=HOST,
            server_port=port,
            inbrowser=open_browser,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            enable_monitoring=False,
            run_history=False,
            footer_links=[],
            app_kwargs={"middleware": [guard]},
            theme=gradio.themes.Default(
                font=[local("system-ui"), local("sans-serif")],
                font_mono=[local("ui-monospace"), local("monospace")],
            ),
            css=f"{here.joinpath('page.css').read_text(encoding='utf-8')}\n{_colours()}",
            head=f"<script>{_buttons()}\n{here.joinpath('keys.js').read_text(encoding='utf-8')}</script>",
        )
    except OSError as error:
        raise UsageError(
            f"the page cannot be served on {HOST}:{port} ({error}): give another --port"
        ) from None
    return Running(url, partial(blocks.close, verbose=False))


class _Page:
    """The components and what they are bound to."""

    def __init__(self, gr: Any, controller: Controller) -> None:
        self.gr, self.controller = gr, controller
        self._stamps = count(1)
        self.buttons: dict[str, gradio.Button] = {}
        with gr.Blocks(
            title="Review of hard images", analytics_enabled=False, fill_width=True
        ) as self.blocks:
            self._lay_out()
            self._bind()

    def _lay_out(self) -> None:
        gr = self.gr
        self.shown = gr.Textbox(visible="hidden")
        self.head = gr.HTML()
        with gr.Row(equal_height=True):
            self.source = gr.Dropdown(
                [ALL, *self.controller.session.sources], value=ALL, label="Source", min_width=140
            )
            self.undecided = gr.Checkbox(label="undecided only", min_width=140, elem_id="undecided")
            self.wanted = gr.Textbox(
                label="Go to id",
                placeholder="an id or a part of it, then Enter",
                min_width=180,
                elem_id="jump",
            )
        with gr.Row():
            with gr.Column(scale=7, min_width=320):
                self.figure = gr.HTML()
                with gr.Row():
                    self.previous = gr.Button("← Previous", elem_id="previous", min_width=100)
                    self.next = gr.Button("Next →", elem_id="next", min_width=100)
            with gr.Column(scale=5, min_width=320):
                self._lay_out_form()
        self.views = gr.HTML()
        gr.HTML(part("keys", KEYS))

    def _lay_out_form(self) -> None:
        gr = self.gr
        self.facts = gr.HTML()
        self.answer = gr.HTML()
        with gr.Row():
            for action in (each for each in ACTIONS.values() if not each.takes_labels):
                self.buttons[action.name] = gr.Button(action.button, elem_id=action.name, min_width=80)
            self.undo = gr.Button("Undo", elem_id="undo", min_width=80)
        self.reason = gr.Radio(
            [(f"{i} {reason}", reason) for i, reason in enumerate(DROP_REASONS, 1)],
            value=DROP_REASONS[0],
            label="Reason for a drop",
            elem_id="reason",
        )
        self.note = gr.Textbox(label="Note", elem_id="note", max_lines=3, max_length=800)
        self.labels = gr.Dropdown(
            [(f"{names()[index]} · {wnids()[index]} · #{index}", index) for index in range(N_CLASSES)],
            multiselect=True,
            label="Labels: search by name, wnid or index",
            elem_id="labels",
        )
        for action in (each for each in ACTIONS.values() if each.takes_labels):
            self.buttons[action.name] = gr.Button(action.button, elem_id=action.name)

    def _bind(self) -> None:
        act, shown, note, filter = self.controller, self.shown, self.note, [self.source, self.undecided]
        self._on(self.blocks.load, lambda *f: act.start(), [])
        for name, button in self.buttons.items():
            self._on(
                button.click,
                lambda s, r, n, labels, *f, name=name: act.decide(
                    s, name, _filter(*f), r or "", n, labels or []
                ),
                [shown, self.reason, note, self.labels],
            )
        self._on(self.undo.click, lambda s, *f: act.undo(s), [shown])
        self._on(self.next.click, lambda s, *f: act.move(s, 1, _filter(*f)), [shown])
        self._on(self.previous.click, lambda s, *f: act.move(s, -1, _filter(*f)), [shown])
        self._on(self.wanted.submit, lambda s, text, *f: act.jump(s, text), [shown, self.wanted])
        for changed in filter:
            self._on(changed.input, lambda s, *f: act.refilter(s, _filter(*f)), [shown])

    def _on(self, event: Any, act: Callable[..., Screen], inputs: list[gradio.components.Component]) -> None:
        """``act`` on an event; it is given the inputs, then the two values of the filter."""
        event(
            lambda *values: self._show(act(*values), _filter(*values[-2:])),
            inputs=[*inputs, self.source, self.undecided],
            outputs=[
                *(self.answer, self.head, self.shown, self.figure, self.facts, self.views),
                *(self.labels, self.reason, self.note),
            ],
            show_progress="hidden",
            api_visibility="private",
        )

    def _show(self, screen: Screen, filter: ReviewFilter) -> list[Any]:
        """New values of the outputs of ``_on``."""
        answer = part("message", next(self._stamps), screen.words, screen.refused)
        if screen.refused:
            return [answer, *[self.gr.skip()] * 8]
        session = self.controller.session
        head = head_of(session.reviewer, session.path.name, session.progress())
        form = [DROP_REASONS[0], ""]
        if not screen.id:
            nothing = part("no_figure", "", "No image matches the filter.")
            return [answer, head, "", nothing, "", "", [], *form]
        survivor, row = session.survivors[screen.id], session.decision(screen.id)
        facts = part("facts", survivor, row, self.controller.said.get(screen.id, ()))
        labels = list(row.labels if row and row.labels else survivor.labels)
        try:
            picture = self.controller.pictures.picture(survivor)
        except ImageNetHardError as error:
            broken = part("no_figure", survivor.id, str(error))
            return [answer, head, survivor.id, broken, facts, "", labels, *form]
        figure = part("figure", survivor, picture, self.controller.position(survivor.id, filter))
        views = part("views", survivor, picture, self.controller.pictures)
        return [answer, head, survivor.id, figure, facts, views, labels, *form]


def _filter(source: str | None, undecided_only: bool) -> ReviewFilter:
    return ReviewFilter(None if source in (None, ALL) else source, bool(undecided_only))


def part(name: str, *values: object) -> str:
    """A part of the page as HTML: a macro of ``templates/fragments.html.jinja``, filled in."""
    filters = {"class_name": _name, "wnid": _wnid, "state": image_state}
    module = templates("imagenet_hard.curation.review", **filters).get_template("fragments.html.jinja").module
    return str(getattr(module, name)(*values))


def head_of(reviewer: str, file: str, progress: Progress) -> str:
    """Title, and how far the reviewer is."""
    numbers = {**progress.decided, UNDECIDED: progress.undecided}
    return part("head", reviewer, file, [(kind, image_state(kind), n) for kind, n in numbers.items()])


def _name(index: int) -> str:
    return names()[index]


def _wnid(index: int) -> str:
    return wnids()[index]


def _colours() -> str:
    """CSS of the actions' chips, bars and buttons."""
    return "\n".join(
        f".{action.name} {{ --tone: {action.colour}; }} "
        f"#{action.name} {{ background: {action.colour}; color: #fff; }}"
        for action in ACTIONS.values()
    )


def _buttons() -> str:
    """JavaScript: key -> id of the action's button, for keys.js."""
    return f"window.ACTIONS = {json.dumps({action.key: action.name for action in ACTIONS.values()})};"
