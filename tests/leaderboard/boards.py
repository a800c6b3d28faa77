"""Small boards: gold labels, results and entries that hold together until a test breaks them."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from imagenet_hard.base.types import BenchmarkInfo, ModelSpec, Predictions, Scored
from imagenet_hard.cli.main import run
from imagenet_hard.cli.submit import command as submit
from imagenet_hard.evaluation.environment import Environment, environment
from imagenet_hard.evaluation.generative.answers import RawAnswers
from imagenet_hard.evaluation.generative.prompts import PROMPTS, Asked, PromptName
from imagenet_hard.evaluation.generative.result_of_answers import result_of_answers
from imagenet_hard.evaluation.result import Result, Runtime, write_result
from imagenet_hard.imagenet.classes import distinct_names
from imagenet_hard.leaderboard.answers import Answers, write_answers
from imagenet_hard.leaderboard.entry import ENTRY_FILE, Entry
from imagenet_hard.leaderboard.gold import Gold, gold_of, write_gold
from imagenet_hard.leaderboard.submit import make_submission, write_submission
from imagenet_hard.leaderboard.verify.ownership import Author
from imagenet_hard.leaderboard.verify.report import Report
from imagenet_hard.leaderboard.verify.run import verify
from tests.evaluation.scored import make_result, make_scored

N = 60
HUB_ID = "taesiri/imagenet-hard"
COMMIT = "c" * 40
STANDARD = ("ViT-B/32", "ResNet-50", "ConvNeXt")
FIRST = "Some-Lab__ViT-B-32"
WHEN = datetime(2026, 1, 30, 12, tzinfo=UTC)


class Board:
    """A folder with ``entries/`` and ``benchmarks/``, a benchmark of ``n`` images, and makers of entries."""

    def __init__(self, root: Path, n: int = N, **about: Any) -> None:
        self.root, self.n = root, n
        scored, _ = make_scored(n)
        ids = scored.predictions.ids
        rows = zip(ids, scored.labels, scored.origins, scored.image_sha256, strict=True)
        about = {
            "name": "imagenet-hard",
            "source": HUB_ID,
            "revision": COMMIT,
            "split": "validation",
            **about,
        }
        self.gold: Gold = gold_of(rows, **about)
        write_gold(self.golds, self.gold)
        self.entries.mkdir(parents=True, exist_ok=True)

    @property
    def entries(self) -> Path:
        return self.root / "entries"

    @property
    def golds(self) -> Path:
        return self.root / "benchmarks"

    def scored(self, seed: int = 0, skill: float = 6.0) -> Scored:
        return make_scored(self.n, seed, skill)[0]

    def result(self, scored: Scored, **changes: Any) -> Path:
        """A result's JSON with its Parquet beside it, as ``imagenet-hard-eval`` leaves them."""
        info: BenchmarkInfo = self.gold.benchmark
        result: Result = make_result(scored, **{"benchmark": info, "environment": _environment(), **changes})
        stem = f"result-{len(list(self.root.glob('results/*.json')))}"
        return write_result(self.root / "results", result, scored.predictions, stem=stem)

    def in_words(
        self,
        said: Mapping[int, str] | None = None,
        *,
        protocol: PromptName = "open",
        model: str = "toy-vl",
        **changes: Any,
    ) -> Path:
        """A result's JSON with what a model said beside it: every third image is right.

        ``said``: other answers, by the image's place; ``changes``: fields of how it was asked.
        """
        gold = self.gold
        right = [distinct_names()[labels[0]] for labels in gold.labels]
        other = distinct_names()[next(i for i in range(1000) if not any(i in each for each in gold.labels))]
        said = {i: other if i % 3 else name for i, name in enumerate(right)} | dict(said or {})
        raw = RawAnswers(gold.ids, tuple(said[i] for i in range(self.n)), ("stop",) * self.n)
        chosen = PROMPTS[protocol]
        fields: dict[str, Any] = {
            "prompt": chosen,
            "prompt_sha256": chosen.sha256,
            "settings": dict(chosen.settings),
            "endpoint": "http://localhost:8000/v1",
            "models": {model: self.n},
            "first": WHEN,
            "last": WHEN,
            "encoded_anew": 0,
            "prompt_tokens": 300 * self.n,
            "completion_tokens": 5 * self.n,
        }
        result, predictions = result_of_answers(
            ModelSpec(backend="api", name=model, transform={"kind": "file"}),
            gold.benchmark,
            raw,
            gold.labels,
            gold.origins,
            policy="native",
            runtime=Runtime(seconds=9, n_scored=self.n, images_per_second=None, device="endpoint", workers=4),
            run_key="0" * 64,
            asked=Asked(**{**fields, **changes}),
        )
        result = result.model_copy(update={"created": WHEN, "environment": _environment()})
        stem = f"words-{len(list(self.root.glob('results/*.json')))}"
        return write_result(self.root / "results", result, predictions, stem=stem, raw=raw)

    def submit_words(self, name: str = "Toy VL", **asked: Any) -> Path:
        """A whole entry in words on the board; its folder."""
        submission = make_submission(self.in_words(**asked), self.golds, name=name, org="Some Lab")
        write_submission(self.entries, submission)
        return self.entries / submission.entry.id

    @property
    def first(self) -> Path:
        """The folder of the first standard entry."""
        return self.entries / FIRST

    def submit(
        self, name: str = "ViT-B/32", org: str = "Some Lab", *, seed: int = 0, skill: float = 6.0
    ) -> Path:
        """A whole entry on the board; its folder."""
        path = self.result(self.scored(seed, skill))
        submission = make_submission(path, self.golds, name=name, org=org)
        write_submission(self.entries, submission)
        return self.entries / submission.entry.id


class Two:
    """One folder with the gold of two benchmarks, ImageNet-Hard and its 4K release."""

    def __init__(self, root: Path) -> None:
        self.main, self.big = Board(root), Board(root, n=40, name="imagenet-hard-4k")
        self.entries, self.golds = self.main.entries, self.main.golds

    def submit(self, on: Board, *more: str, seed: int = 0, owner: str = "alice", name: str = "Net") -> int:
        """As a user does; the exit code."""
        args = [on.result(on.scored(seed)), "--name", name, "--org", "Lab", "--owner", f"github:{owner}"]
        return run(submit, [*map(str, args), "--entries", str(self.entries), *more], "imagenet-hard submit")

    def names(self) -> list[str]:
        return sorted(p.name for p in self.entries.iterdir())

    def request(self, tmp_path: Path, *folders: Path, author: Author | None) -> dict[str, Report]:
        """A request with copies of these folders, against the board."""
        copies = [Path(shutil.copytree(f, tmp_path / "request" / f.name)) for f in folders]
        reports = verify(copies, golds=self.golds, base=self.entries, author=author)
        shutil.rmtree(tmp_path / "request")
        return {report.entry: report for report in reports}


@cache
def _environment() -> Environment:
    """One for all results of a process: the checkout may change while the tests run."""
    return environment()


@cache
def _template() -> Path:
    """A board with three entries, made once in a process: making an entry starts an interpreter."""
    folder = Path(tempfile.mkdtemp(prefix="imagenet-hard-board-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    board = Board(folder)
    for seed, name in enumerate(STANDARD):
        board.submit(name, seed=seed)
    return folder


def standard(root: Path) -> Board:
    """A board of one's own with the entries ``STANDARD``."""
    shutil.copytree(_template(), root, dirs_exist_ok=True)
    return Board(root)


def entry_value(folder: Path) -> dict[str, Any]:
    """The entry's JSON."""
    value: dict[str, Any] = json.loads((folder / ENTRY_FILE).read_text())
    return value


def change(folder: Path, *place: str | int, to: Any) -> None:
    """Write the entry's JSON with one place changed, as someone who edits the file."""
    value: Any = entry_value(folder)
    inner = value
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = to
    (folder / ENTRY_FILE).write_text(json.dumps(value))


def put_predictions(folder: Path, predictions: Predictions) -> str:
    """Replace the predictions, and every hash of them that the entry names; the new hash."""
    answers = Answers.of(predictions)
    write_answers(folder, answers)
    change(folder, "predictions_sha256", to=answers.sha256)
    change(folder, "result", "predictions_sha256", to=answers.sha256)
    return answers.sha256


def without_result(folder: Path, **changes: Any) -> None:
    """Drop the result, so that only the claim and the predictions are left to agree."""
    value = entry_value(folder) | {"result": None} | changes
    (folder / ENTRY_FILE).write_text(json.dumps(value))


def cheated(predictions: Predictions, gold: Gold, rows: np.ndarray) -> Predictions:
    """The gold's first label as top-1 in ``rows``, lawful in every other way."""
    top5 = predictions.top5.copy()
    for row in rows:
        label = gold.labels[row][0]
        at = np.flatnonzero(top5[row] == label)
        top5[row, at[0] if len(at) else 4] = top5[row, 0]
        top5[row, 0] = label
    return replace(predictions, top5=top5)


def claim(entry: Entry) -> tuple[int, int, int]:
    """The typed counts."""
    return entry.claim.n_correct, entry.claim.n_top5, entry.claim.n_total
