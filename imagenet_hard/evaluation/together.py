"""Score a list of classifiers: as many as fit share a pass, so that each image is decoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from imagenet_hard.base.errors import ClusterLostError
from imagenet_hard.classifiers.module_state import as_it_was
from imagenet_hard.classifiers.own_code import brings_own_code
from imagenet_hard.engine.batch_size import choose_batch_size
from imagenet_hard.engine.memory import free_bytes, model_bytes
from imagenet_hard.engine.settings import RunSettings, resolve_device
from imagenet_hard.evaluation.result import Result
from imagenet_hard.evaluation.scoring import How, Scoring, TransformPolicy, begin, stem_of

if TYPE_CHECKING:
    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.dataset.benchmark import Benchmark
    from imagenet_hard.engine.engine import Engine
    from imagenet_hard.evaluation.suite import SuiteModel
    from imagenet_hard.imagenet.mask import ClassMask
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
    classes: ClassMask | None = None
    out: Path | None = None
    together: int | None = None
    on_progress: Callable[[str], Progress] | None = None
    verbose: bool = False


def evaluate_all(
    models: Sequence[SuiteModel], benchmark: Benchmark, common: Common
) -> Iterator[tuple[SuiteModel, Result | Exception]]:
    """Each of ``models`` with its result, in their order, or with what went wrong, as soon as that is known.

    One failure ends no other; when a cluster is lost, all that are left have failed.
    """
    left = list(models)
    try:
        for model, found in _passes(models, benchmark, common):
            left.remove(model)
            yield model, found
    except ClusterLostError as error:
        for model in left:
            yield model, error


def _passes(
    models: Sequence[SuiteModel], benchmark: Benchmark, common: Common
) -> Iterator[tuple[SuiteModel, Result | Exception]]:
    group = _Group(common)
    try:
        for model in models:
            if group.full:  # before one more is loaded
                yield from group.run(benchmark)
            try:
                classifier = _load(model, common)
                how = _how(model, classifier, common)
                if not group.takes(classifier, how):
                    yield from group.run(benchmark)
                group.keep(classifier)
                here = common.engine.loading_device(common.settings.device)
                found = begin(classifier, benchmark, how, common.out, device=here)
                group.add(model, found, classifier, how)
            except ClusterLostError:
                raise
            except Exception as error:
                yield model, error
        yield from group.run(benchmark)
    finally:
        group.close()


class _Group:
    """Classifiers that share a pass, and in their place among them results that were finished before."""

    def __init__(self, common: Common) -> None:
        self._common = common
        alone = common.engine.workers is not None or common.tta is not None
        self._most = common.together or (1 if alone else AUTOMATIC)
        self._device = None if alone or common.together else resolve_device(common.settings.device)
        self._modules = ExitStack()
        self._clear()

    def _clear(self) -> None:
        self._modules.close()
        self._waiting: list[tuple[SuiteModel, Scoring | Result]] = []
        self._stems: set[str] = set()
        self._n = self._bytes = 0

    @property
    def full(self) -> bool:
        """Whether no more may share the pass, however small."""
        return self._n >= self._most

    def takes(self, classifier: Classifier, how: How) -> bool:
        """Whether one more fits; it lies in the host's memory already, as those that were added do.

        Two that would write the same file take turns: the second then finds the first one's result.
        """
        if stem_of(classifier, how) in self._stems:
            return False
        free = free_bytes(self._device) if self._n and self._device is not None else None
        if free is None or self._device is None:
            return True
        models = self._bytes + model_bytes(classifier.module)
        return COPIES * models <= SHARE * (free + (0 if self._device.type == "cuda" else models))

    def keep(self, classifier: Classifier) -> None:
        """Let the module come back as it is, once the pass is over: one's own code may hold on to it."""
        if brings_own_code(classifier):
            self._modules.enter_context(as_it_was(classifier.module))

    def add(self, model: SuiteModel, found: Scoring | Result, classifier: Classifier, how: How) -> None:
        self._waiting.append((model, found))
        if isinstance(found, Scoring):
            self._n += 1
            self._bytes += model_bytes(classifier.module)
            self._stems.add(stem_of(classifier, how))

    def run(self, benchmark: Benchmark) -> Iterator[tuple[SuiteModel, Result | Exception]]:
        """One pass for all that wait for it; then the group is empty."""
        told = self._common.on_progress
        jobs = [
            found.job(told(model.model) if told else None)
            for model, found in self._waiting
            if isinstance(found, Scoring)
        ]
        outcomes = iter(self._common.engine.score(jobs, benchmark) if jobs else [])
        for model, found in self._waiting:
            if not isinstance(found, Scoring):
                yield model, found
                continue
            outcome = next(outcomes)
            try:
                done = outcome if isinstance(outcome, Exception) else found.finish(*outcome)
            except Exception as error:
                done = error
            found.close()
            yield model, done
        self._clear()

    def close(self) -> None:
        """What is scored is kept for the next run."""
        for _, found in self._waiting:
            if isinstance(found, Scoring):
                found.close()
        self._modules.close()


def _load(model: SuiteModel, common: Common) -> Classifier:
    from imagenet_hard.classifiers.outputs import with_classes
    from imagenet_hard.classifiers.registry import load_classifier

    classifier = load_classifier(
        model.model,
        weights=model.weights,
        pretrained=model.pretrained,
        transform=model.transform,
        templates=common.templates,
        classnames=common.classnames,
        device=common.engine.loading_device(common.settings.device),
        progress=common.verbose,
        drop_class=model.drop_class,
    )
    return with_classes(classifier, common.classes)


def _how(model: SuiteModel, classifier: Classifier, common: Common) -> How:
    settings = replace(common.settings, precision=model.precision or common.settings.precision)
    size = choose_batch_size(common.batch_size, classifier, settings, common.engine)
    policy: TransformPolicy = model.transform if isinstance(model.transform, str) else "custom"
    device_type = common.engine.device_type(settings.device)
    return How(replace(settings, batch_size=size), device_type, policy, common.tta)
