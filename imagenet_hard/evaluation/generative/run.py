"""Score a model behind an endpoint: ask it about each image, keep what it says, count what that names."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from imagenet_hard.base.errors import DatasetError, UsageError
from imagenet_hard.base.options import declared
from imagenet_hard.base.text import counted, shorten
from imagenet_hard.base.types import N_CLASSES, ModelSpec, Scored
from imagenet_hard.classifiers.backends import ENDPOINT
from imagenet_hard.dataset.benchmark import Benchmark
from imagenet_hard.dataset.fingerprint import fingerprint
from imagenet_hard.engine.job import RunReport
from imagenet_hard.evaluation.draw import DrawnBenchmark
from imagenet_hard.evaluation.generative.answer_store import Answered, AnswerStore
from imagenet_hard.evaluation.generative.answers import RawAnswers
from imagenet_hard.evaluation.generative.asking import Asking
from imagenet_hard.evaluation.generative.distractors import (
    Distractors,
    DistractorsInfo,
    read_distractors,
)
from imagenet_hard.evaluation.generative.endpoint import Endpoint, base_url, key_for
from imagenet_hard.evaluation.generative.endpoint_models import OWN, PREFIX
from imagenet_hard.evaluation.generative.images import ENCODING
from imagenet_hard.evaluation.generative.prompts import MAX_CONCURRENCY, Asked, Prompt, prompt, question
from imagenet_hard.evaluation.generative.result_of_answers import result_of_answers
from imagenet_hard.evaluation.generative.score import read_answers, this_matcher
from imagenet_hard.evaluation.options import Options
from imagenet_hard.evaluation.result import (
    Result,
    Runtime,
    read_answers_of,
    result_stem,
    write_result,
)
from imagenet_hard.evaluation.resume import Place, find, folder_of, sha256
from imagenet_hard.evaluation.shared_pass import Progress, until_narrow

log = logging.getLogger(__name__)

_COMMON = (
    *("revision", "split", "labels", "limit", "ids", "sample", "seed", "estimate", "until", "difficulty"),
    *("streaming", "engine", "out", "verbose"),
)
"""Options that such models have as well. Any other would be ignored."""

_MANY = 1000
"""Images from which on an estimate is suggested."""


@dataclass(frozen=True)
class How:
    """A model behind an endpoint, and how it is asked."""

    model: str
    url: str
    prompt: Prompt
    settings: Mapping[str, Any]
    price: tuple[float, float] | None
    distractors: Distractors | None = None

    @classmethod
    def of(cls, name: str, asked: Mapping[str, Any]) -> How:
        """What the options say of ``api:MODEL``.

        Raises:
            UsageError: they make no sense for it.
        """
        model = name.removeprefix(PREFIX)
        if not model or model != model.strip() or len(model) > 200 or not model.isprintable():
            raise UsageError(
                f"{shorten(name)} names no model: expected {PREFIX}MODEL, as the endpoint calls it"
            )
        known = declared(Options)
        odd = [n for n, v in asked.items() if n not in (*OWN, *_COMMON) and v != known[n].option.default]
        if asked["engine"] != "local" and isinstance(asked["engine"], str):
            odd.append("engine")
        if odd:
            raise UsageError(
                f"{', '.join(sorted(odd))}: for models that run here, and {name} runs behind an endpoint"
            )
        chosen, request = prompt(asked["protocol"]), asked["request"] or {}
        if reserved := sorted({"model", "messages", "n", "stream"} & request.keys()):
            raise UsageError(f"request: {reserved[0]!r} is set by the protocol, and cannot be changed")
        n = asked["concurrency"]
        if n is not None and not 1 <= n <= MAX_CONCURRENCY:
            raise UsageError(f"concurrency {n}: expected a number from 1 to {MAX_CONCURRENCY}")
        settings = {**chosen.settings, **request}
        settings = {field: value for field, value in settings.items() if value is not None}
        table = asked["distractors"]
        if table is not None and chosen.names in (0, N_CLASSES):
            raise UsageError(f"distractors: the protocol {chosen.name!r} draws none; it is for 'choices'")
        drawn = None if table is None else read_distractors(table)
        return cls(model, base_url(asked["base_url"]), chosen, settings, asked["price"], drawn)

    @property
    def key(self) -> str:
        """Hash of all that an answer depends on, besides the image and the words for it."""
        parts = [self.model, self.url, self.prompt.model_dump(), dict(self.settings), ENCODING]
        drawn = [self.distractors.sha256] if self.distractors else []
        return sha256(["api", 1, *parts, *drawn])

    @property
    def spec(self) -> ModelSpec:
        """The record of the model."""
        return ModelSpec(backend=ENDPOINT, name=self.model, transform=ENCODING)

    @property
    def stem(self) -> str:
        """File name of the result to come."""
        return f"{result_stem(self.spec, f'{self.prompt.version}', self.prompt.name)}-{self.key[:8]}"

    def said(self, answers: Sequence[Answered]) -> Asked:
        """The record of how it was asked."""

        def total(counts: Sequence[int | None]) -> int | None:
            known = [n for n in counts if n is not None]
            return sum(known) if len(known) == len(counts) else None

        return Asked(
            prompt=self.prompt,
            prompt_sha256=self.prompt.sha256,
            settings=self.settings,
            endpoint=self.url,
            models=dict(sorted(Counter(each.model or self.model for each in answers).items())),
            first=_when(min(each.at for each in answers)),
            last=_when(max(each.at for each in answers)),
            encoded_anew=sum(bool(each.encoded_anew) for each in answers),
            prompt_tokens=total([each.prompt_tokens for each in answers]),
            completion_tokens=total([each.completion_tokens for each in answers]),
            price=self.price,
            distractors=DistractorsInfo.of(self.distractors) if self.distractors else None,
        )


def _when(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=0)


def evaluate_endpoint(
    name: str, benchmark: Benchmark, asked: Options, on_progress: Progress | None = None
) -> Result:
    """The score of ``api:MODEL``; ``asked`` holds every option. What is known is not asked for again.

    Raises:
        UsageError: options make no sense, or there is no key.
        ClassifierError: the endpoint does not answer, or not for all images. What came is kept.
        ResultError: what is in ``out`` cannot be read or written.
    """
    how = How.of(name, asked)
    key = key_for(how.url, asked["key_env"])
    if benchmark.exif:
        raise UsageError(f"exif: images go to {name} as they are, and are turned by nobody here")
    run_key = sha256([how.key, benchmark.identity(), benchmark.limit])
    place, path = None, None
    if asked["out"] is not None:
        out = Path(asked["out"])
        place, finished = find(out, benchmark, how.stem, run_key)
        if finished is not None:
            log.info("%s on %s is finished: read from %s", name, benchmark.name, place.file)
            return _by_this_matcher(finished[0], benchmark, place)
        path = folder_of(out, benchmark.name) / f"{how.stem}.answers.sqlite"
    concurrency = asked["concurrency"]
    endpoint = Endpoint(how.model, how.url, key, how.settings)
    store = AnswerStore(path)
    try:
        asking = Asking(
            endpoint, partial(question, how.prompt, distractors=how.distractors), store, concurrency
        )
        return _Run(how, benchmark, store, asking, on_progress).result(run_key, place)
    finally:
        store.close()


class _Run:
    """A model that is being asked about a benchmark."""

    def __init__(
        self, how: How, benchmark: Benchmark, store: AnswerStore, asking: Asking, told: Progress | None
    ) -> None:
        self.how, self.benchmark, self.store, self.asking = how, benchmark, store, asking
        self.told = told or (lambda n, resumed=0: None)
        self.name = f"{PREFIX}{how.model}"
        self._said = False

    def result(self, run_key: str, place: Place | None) -> Result:
        """Ask, count, and write it to its place, if it has one."""
        benchmark = self.benchmark
        known = self.store.questions()
        self._before(known)
        part: Benchmark = benchmark
        if isinstance(benchmark, DrawnBenchmark) and benchmark.draw.until is not None:
            found = until_narrow(benchmark, known, self._score)
            if isinstance(found, Exception):
                raise found
            scored, report, part = found
        else:
            scored, report = self._score(benchmark)
        answers = self.store.read(scored.predictions.ids)
        raw = _raw(answers)
        digest = fingerprint(zip(scored.predictions.ids, scored.labels, scored.image_sha256, strict=True))
        result = result_of_answers(
            self.how.spec,
            part.info(digest),
            raw,
            scored.labels,
            scored.origins,
            policy="native",
            runtime=Runtime.of(report),
            run_key=run_key,
            asked=self.how.said(answers),
            part=part,
        )[0]
        if place is not None:
            path = write_result(place.folder, result, scored.predictions, stem=place.stem, raw=raw)
            log.info("%s: the result is %s", self.name, path)
        self._after(result)
        return result

    def _score(self, part: Benchmark) -> tuple[Scored, RunReport]:
        """Ask about what is not known of a part."""
        came = self.asking.run(part.name, part.tasks(), self._answered)
        rows = sorted(came.rows, key=lambda row: row.id)
        raw = _raw(self.store.read(row.id for row in rows))
        labels = tuple(row.labels for row in rows)
        scored = Scored(
            read_answers(raw, labels).predictions,
            labels,
            tuple(row.origin for row in rows),
            tuple(row.image_sha256 for row in rows),
        )
        report = RunReport(
            seconds=came.seconds,
            n_scored=came.new,
            n_resumed=len(rows) - came.new,
            device="endpoint",
            batch_size=1,
            workers=self.asking.calls_at_once,
            peak_memory_bytes=None,
            optimizations=(),
        )
        return scored, report

    def _before(self, known: Mapping[str, str]) -> None:
        """Say how many calls there are to be."""
        benchmark = self.benchmark
        try:
            n = len(benchmark)
            before = sum(id in known for id in benchmark.ids)
        except DatasetError:  # a stream
            n = before = 0
        self._left = n - before
        if before:
            self.told(0, resumed=before)
        log.info(
            "%s at %s, protocol %s: %s to ask about%s",
            *(self.name, self.how.url, self.how.prompt.name),
            counted(self._left, "image") if n else "images",
            f", {before:,} answered before" if before else "",
        )
        if self._left >= _MANY and not isinstance(benchmark, DrawnBenchmark):
            log.info("%s: --estimate 300 asks about 300 of them, for an interval of the score", self.name)

    def _answered(self, answer: Answered, n: int) -> None:
        self.told(1)
        if self._said:
            return
        self._said = True
        tokens = (answer.prompt_tokens, answer.completion_tokens)
        if tokens[0] is not None and tokens[1] is not None and self._left:
            cost = self._cost(tokens[0] * self._left, tokens[1] * self._left)
            log.info(
                "%s: the first answer took %d tokens and %d for the answer: about %s for all%s",
                *(self.name, *tokens, cost, "" if self.how.price else " (--price IN,OUT says what that is)"),
            )

    def _after(self, result: Result) -> None:
        answers = result.answers
        assert answers is not None
        assert answers.asked is not None
        asked = answers.asked
        if asked.prompt_tokens is not None and asked.completion_tokens is not None:
            cost = self._cost(asked.prompt_tokens, asked.completion_tokens)
            log.info("%s: %s for all answers", self.name, cost)
        if answers.truncated:
            log.warning(
                "%s: %s too long and cut: a reasoning model needs more, as "
                """--request '{"max_tokens": 2000}'""",
                *(self.name, counted(answers.truncated, "answer was", "answers were")),
            )

    def _cost(self, prompts: int, answers: int) -> str:
        price = self.how.price
        cost = f", {(price[0] * prompts + price[1] * answers) / 1e6:,.2f} US dollars" if price else ""
        return f"{prompts:,} + {answers:,} tokens{cost}"


def _raw(answers: Sequence[Answered]) -> RawAnswers:
    finish = tuple(each.finish for each in answers)
    return RawAnswers(
        tuple(each.id for each in answers),
        tuple(each.answer for each in answers),
        finish if any(finish) else (),
    )


def _by_this_matcher(result: Result, benchmark: Benchmark, place: Place) -> Result:
    """A finished result; where another release's matcher has read its answers, read by this one's."""
    assert result.answers is not None
    if result.answers.matcher == this_matcher():
        return result
    raw, _ = read_answers_of(place.file, result)
    rows = {each.id: (each.labels, each.origin) for each in benchmark}
    log.info("%s: its answers are read again, by matcher %d", place.file, this_matcher().version)
    part = benchmark
    if isinstance(part, DrawnBenchmark) and part.draw.until is not None:
        wanted = set(raw.ids)
        part = DrawnBenchmark(
            part.whole, part.draw.first([sum(i in wanted for i in s) for s in part.draw.order])
        )
    again, predictions = result_of_answers(
        result.model,
        result.benchmark,
        raw,
        [rows[id][0] for id in raw.ids],
        [rows[id][1] for id in raw.ids],
        policy=result.protocol.transform,
        runtime=result.runtime,
        run_key=result.run_key,
        asked=result.answers.asked,
        part=part,
    )
    write_result(place.folder, again, predictions, stem=place.stem, raw=raw)
    return again
