"""Score a list of classifiers: as many as fit share a pass, so that each image is decoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from imagenet_hard.engine.batch_size import choose_batch_size
from imagenet_hard.engine.memory import free_bytes, model_bytes
from imagenet_hard.engine.settings import RunSettings, resolve_device
from imagenet_hard.evaluation.result import Result
from imagenet_hard.evaluation.scoring import How, Scoring, TransformPolicy, begin

if TYPE_CHECKING:
    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.dataset.benchmark import Benchmark
    from imagenet_hard.engine.engine import Engine
    from imagenet_hard.evaluation.suite import SuiteModel
    from imagenet_hard.tta.settings import TtaSettings

AUTOMATIC = 8
"""Classifiers that share a pass at the most, unless told otherwise: each has its pixels in memory as well."""

SHARE = 0.5
"""Of the free memory, for the models of a pass; the rest is for activations and images."""

COPIES = 2
"""Of a model in memory: its own weights, and the folded or compiled ones."""

Progress = Callable[..., None]


@dataclass(frozen=True)
class Common:
    """What the classifiers of a list share.

    ``together``: classifiers in one pass, None for as many as fit (one by one on a cluster, whose memory is
    not known, and with test-time augmentation, whose views are many). ``on_progress``: name -> what is told
    of its batches.
    """

    settings: RunSettings
    engine: Engine
    batch_size: int | Literal["fastest"] | None = None
    templates: str | None = None
    classnames: str | None = None
    tta: TtaSettings | None = None
    out: Path | None = None
    together: int | None = None
    on_progress: Callable[[str], Progress] | None = None
    verbose: bool = False


def evaluate_all(
    models: Sequence[SuiteModel], benchmark: Benchmark, common: Common
) -> Iterator[tuple[SuiteModel, Result | Exception]]:
    """Each of ``models`` with its result, in their order, or with what went wrong, as soon as that is known.

    One failure ends no other.
    """
    group = _Group(common)
    waiting: list[tuple[SuiteModel, Scoring | Result]] = []
    try:
        for model in models:
            if group.full:  # before one more is loaded
                yield from _run(waiting, benchmark, common)
                waiting, group = [], _Group(common)
            try:
                classifier = _load(model, common)
                found = begin(classifier, benchmark, _how(model, classifier, common), common.out)
            except Exception as error:
                yield model, error
                continue
            if isinstance(found, Scoring) and not group.has_room(classifier):
                yield from _run(waiting, benchmark, common)
                waiting, group = [], _Group(common)
            if isinstance(found, Scoring):
                group.add(classifier)
            waiting.append((model, found))
        yield from _run(waiting, benchmark, common)
    finally:
        for _, found in waiting:
            if isinstance(found, Scoring):
                found.close()


class _Group:
    """Classifiers that are to share a pass."""

    def __init__(self, common: Common) -> None:
        self._n = self._bytes = 0
        alone = common.engine.workers is not None or common.tta is not None
        self._most = common.together or (1 if alone else AUTOMATIC)
        self._fit = common.together is None
        self._device = None if alone else resolve_device(common.settings.device)

    def add(self, classifier: Classifier) -> None:
        self._n += 1
        self._bytes += model_bytes(classifier.module)

    @property
    def full(self) -> bool:
        """Whether no more may share the pass, however small."""
        return self._n >= self._most

    def has_room(self, classifier: Classifier) -> bool:
        """Whether one more fits; it lies in the host's memory already, as those that were added do."""
        if self._n == 0 or self._device is None or not self._fit:
            return True
        free = free_bytes(self._device)
        if free is None:
            return True
        models = self._bytes + model_bytes(classifier.module)
        return COPIES * models <= SHARE * (free + (0 if self._device.type == "cuda" else models))


def _run(
    waiting: Sequence[tuple[SuiteModel, Scoring | Result]], benchmark: Benchmark, common: Common
) -> Iterator[tuple[SuiteModel, Result | Exception]]:
    """One pass for all that wait for it; what is finished already goes along in its place."""
    scorings = [found for _, found in waiting if isinstance(found, Scoring)]
    told = common.on_progress
    names = [model.model for model, found in waiting if isinstance(found, Scoring)]
    jobs = [s.job(told(name) if told else None) for s, name in zip(scorings, names, strict=True)]
    outcomes = iter(common.engine.score(jobs, benchmark) if jobs else [])
    for model, found in waiting:
        if not isinstance(found, Scoring):
            yield model, found
            continue
        outcome = next(outcomes)
        try:
            yield model, outcome if isinstance(outcome, Exception) else found.finish(*outcome)
        except Exception as error:
            yield model, error
        finally:
            found.close()


def _load(model: SuiteModel, common: Common) -> Classifier:
    from imagenet_hard.classifiers.registry import load_classifier

    here = "auto" if common.engine.workers is not None else common.settings.device
    return load_classifier(
        model.model,
        weights=model.weights,
        pretrained=model.pretrained,
        transform=model.transform,
        templates=common.templates,
        classnames=common.classnames,
        device=str(resolve_device(here)),
        progress=common.verbose,
    )


def _how(model: SuiteModel, classifier: Classifier, common: Common) -> How:
    settings = replace(common.settings, precision=model.precision or common.settings.precision)
    size = choose_batch_size(common.batch_size, classifier, settings, common.engine)
    policy: TransformPolicy = model.transform if isinstance(model.transform, str) else "custom"
    device_type = common.engine.device_type(settings.device)
    return How(replace(settings, batch_size=size), device_type, policy, common.tta)
