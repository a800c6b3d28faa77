"""An entry's records as lists of facts that a reader can check."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from imagenet_hard.base.text import counted
from imagenet_hard.base.types import ModelSpec
from imagenet_hard.evaluation.generative.distractors import DistractorsInfo
from imagenet_hard.evaluation.generative.score import AnswersInfo
from imagenet_hard.evaluation.result import Result
from imagenet_hard.leaderboard.site.data import Ranked

_LONGEST = 4000


@dataclass(frozen=True)
class Facts:
    """A group of facts: its title and what it lists, in order."""

    title: str
    rows: tuple[tuple[str, str], ...]


def provenance(entry: Ranked) -> tuple[Facts, ...]:
    """What an entry's records say, in groups; none is empty."""
    facts = (
        model_facts(entry.model),
        *(result_facts(entry.result) if entry.result else ()),
        *([answers_facts(entry.words, entry.read_anew)] if entry.words else ()),
    )
    return tuple(each for each in facts if each.rows)


def model_facts(model: ModelSpec) -> Facts:
    """Input, weights and transform of a model."""
    size = f"{model.input_size[0]} × {model.input_size[1]} pixels" if model.input_size else None
    rows = (
        ("Input", size),
        ("Weights, sha256", model.weights_sha256),
        ("Transform", model.transform),
        ("Transform, sha256", model.transform_sha256),
        ("Zero-shot head", model.head),
    )
    return _facts("Model", rows)


def result_facts(result: Result) -> tuple[Facts, ...]:
    """Benchmark, protocol, run and environment of a result."""
    p, r, e, ties = result.protocol, result.runtime, result.environment, result.metrics.near_ties
    b, warnings = result.benchmark, result.protocol.warnings
    benchmark = (
        ("Name", b.name),
        ("Revision", b.revision),
        ("Split", b.split),
        ("Part", b.part),
        *((f"Left out: {kind}", n) for kind, n in b.left_out.items()),
    )
    run = (
        ("Device", r.device),
        ("Seconds", f"{r.seconds:.1f}"),
        ("Images per second", None if r.images_per_second is None else f"{r.images_per_second:.1f}"),
        ("Near-ties", ties and f"{counted(ties.n, 'image')} with a margin below {ties.epsilon:g}"),
        ("Run key", result.run_key),
        ("Created", result.created.isoformat()),
    )
    protocol = (
        ("Precision", p.precision),
        ("Batch size", p.batch_size),
        ("Transform policy", p.transform),
        ("Decode", p.decode),
        ("TF32", "on" if p.tf32 else "off"),
        ("Rewrites", ", ".join(p.optimizations) or None),
        ("Test-time augmentation", p.tta.model_dump_json(exclude_none=True) if p.tta else None),
        ("Outputs", None if p.outputs == "logits" else p.outputs),
        ("Background class", None if p.drop_class is None else f"{p.drop_class}, left out"),
        ("Classes that compete", f"{len(p.classes.indices)} ({p.classes.label})" if p.classes else None),
        *((name.replace("_", " ").capitalize(), str(value)) for name, value in p.options.items()),
        *((f"Warning {i}" if len(warnings) > 1 else "Warning", each) for i, each in enumerate(warnings, 1)),
    )
    dirty = {True: " with changes", False: "", None: ""}[e.dirty]
    environment = (
        ("Python", e.python),
        ("Platform", e.platform),
        ("Commit", f"{e.commit}{dirty}" if e.commit else None),
        *e.versions.items(),
    )
    return (
        _facts("Benchmark", benchmark),
        _facts("Protocol", protocol),
        _facts("Run", run),
        _facts("Environment", environment),
    )


def answers_facts(answers: AnswersInfo, before: str = "") -> Facts:
    """What answers in words name, and how they were asked for.

    ``before``: what another matcher made of them.
    """
    asked = answers.asked
    rows: list[tuple[str, Any]] = [
        ("Figures", "top-1 only: words have no scores"),
        *((f"Answers: {kind}", f"{n:,}") for kind, n in answers.kinds.items()),
        ("Too long", answers.truncated),
        ("Right by a name of several classes", answers.shared),
        ("Depth credit, not in top-1", f"{answers.depth_credit:.4f}"),
        ("Matcher", f"{answers.matcher.version} ({answers.matcher.sha256})"),
        ("Read before by", before),
        ("Answers, sha256", answers.answers_sha256),
    ]
    if asked is not None:
        rows += [
            ("Protocol", f"{asked.prompt.name}, version {asked.prompt.version}"),
            ("Prompt", asked.prompt.text),
            ("Distractors", _distractors(asked.distractors)),
            ("Prompt, sha256", asked.prompt_sha256),
            ("Request", asked.settings),
            ("Endpoint", asked.endpoint),
            ("Model, as the endpoint calls it", asked.models),
            ("Asked", f"{asked.first.isoformat()} to {asked.last.isoformat()}"),
            ("Tokens of prompts", asked.prompt_tokens),
            ("Tokens of answers", asked.completion_tokens),
            ("US dollars", None if asked.cost is None else f"{asked.cost:.2f}"),
        ]
    return _facts("Answers in words", rows)


def _distractors(drawn: DistractorsInfo | None) -> str:
    return f"what {drawn.models} models confuse on {drawn.benchmark} ({drawn.sha256})" if drawn else ""


def _facts(title: str, rows: Iterable[tuple[str, Any]]) -> Facts:
    return Facts(
        title=title,
        rows=tuple((key[:500], _text(value)) for key, value in rows if value not in (None, {}, "")),
    )


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        value = json.dumps(value, sort_keys=True, default=dict)
    text = str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
