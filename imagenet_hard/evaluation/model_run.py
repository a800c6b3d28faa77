"""A model on a benchmark: what is to be done, and the result of it. What is finished is read."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imagenet_hard.base.errors import DatasetError, MetricError, ResultError
from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.text import reason
from imagenet_hard.base.types import SCHEMA_VERSION, Predictions, Scored, Witness
from imagenet_hard.dataset.benchmark import StreamingBenchmark
from imagenet_hard.dataset.decode import DECODE_POLICY
from imagenet_hard.dataset.fingerprint import fingerprint
from imagenet_hard.engine.forward import Forward
from imagenet_hard.engine.job import Job, RunReport
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.engine.store import Store
from imagenet_hard.engine.witness import IMAGES, needs_witness, witness
from imagenet_hard.evaluation.draw import DrawnBenchmark
from imagenet_hard.evaluation.duplicate_names import duplicate_names_warning
from imagenet_hard.evaluation.environment import environment
from imagenet_hard.evaluation.estimate import estimate_of
from imagenet_hard.evaluation.metrics import Metrics, hits, near_tie_epsilon, right_of
from imagenet_hard.evaluation.options import TransformPolicy
from imagenet_hard.evaluation.package_metrics import Labels, Metric, measure
from imagenet_hard.evaluation.predictions import predictions_sha256
from imagenet_hard.evaluation.result import (
    OptionValue,
    Protocol,
    Result,
    Runtime,
    result_json,
    result_stem,
    write_result,
)
from imagenet_hard.evaluation.resume import Keys, Place, find, open_store, sha256, tell_of_others
from imagenet_hard.tta.settings import TtaSettings, build_predictor

if TYPE_CHECKING:
    from imagenet_hard.classifiers.base import Classifier, Described
    from imagenet_hard.dataset.benchmark import Benchmark
    from imagenet_hard.imagenet.mask import ClassMask

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Conditions:
    """What a result depends on besides model and benchmark. ``device_type``: cpu, cuda or mps; ``options``:
    those that are recorded by name; ``metrics``: what more is to be said of it, no part of any key."""

    settings: RunSettings
    device_type: str
    policy: TransformPolicy = "native"
    tta: TtaSettings | None = None
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()


class ModelRun:
    """A classifier that is being scored on a benchmark. ``close`` keeps what is scored for the next run."""

    def __init__(
        self,
        classifier: Classifier,
        benchmark: Benchmark,
        how: Conditions,
        store: Store,
        keys: Keys,
        place: Place | None,
    ) -> None:
        self.classifier, self.benchmark, self.how, self.store = classifier, benchmark, how, store
        self._keys, self._place = keys, place

    def job(self, on_progress: Callable[..., None] | None) -> Job:
        """What the engine is to do; ``on_progress(n, resumed=0)``."""
        if on_progress and (done := len(self.store.rows())):
            log.info("%s: goes on after %d images that were scored before", self.classifier.spec.name, done)
            on_progress(0, resumed=done)
        build = Forward if self.how.tta is None else partial(build_predictor, self.how.tta)
        return Job(self.classifier, self.how.settings, self.store, on_progress or (lambda n: None), build)

    def finish(self, scored: Scored, report: RunReport, benchmark: Benchmark | None = None) -> Result:
        """The result, written to its place if it has one. ``benchmark``: where it is a part of this one's.

        Raises:
            MetricError: a metric of a package failed; the result is written without it.
            ResultError: it cannot be written.
        """
        digest = fingerprint(zip(scored.predictions.ids, scored.labels, scored.image_sha256, strict=True))
        precision, benchmark = self.how.settings.precision, benchmark or self.benchmark
        outputs = self.classifier.outputs
        metrics = Metrics.from_scored(scored, near_tie_epsilon=near_tie_epsilon(precision, self.how.tta))
        estimate = None
        if isinstance(benchmark, DrawnBenchmark):
            estimate = estimate_of(benchmark.draw, right_of(scored))
        result = Result(
            schema_version=SCHEMA_VERSION,
            model=self.classifier.spec,
            benchmark=benchmark.info(digest),
            protocol=Protocol(
                precision=precision,
                batch_size=report.batch_size,
                transform=self.how.policy,
                decode={**DECODE_POLICY, "exif_rotation": benchmark.exif},
                optimizations=list(report.optimizations),
                tta=None if self.how.tta is None else self.how.tta.recorded(),
                outputs=outputs.form,
                drop_class=outputs.drop_class,
                classes=outputs.classes,
                options=self.how.options,
                warnings=[
                    *self.classifier.warnings,
                    *_beyond(outputs.classes, scored.labels),
                    *duplicate_names_warning(self.classifier, scored.labels),
                    *([] if estimate is None else [estimate.warning]),
                ],
            ),
            metrics=metrics,
            estimate=estimate,
            runtime=Runtime.of(report),
            environment=environment(),
            predictions_sha256=predictions_sha256(scored.predictions),
            run_key=self._keys.run,
            witness=self._keys.witness,
            created=datetime.now(UTC),
        )
        if self._place is not None:
            path = write_result(self._place.folder, result, scored.predictions, stem=self._place.stem)
            log.info("%s: the result is %s", self.classifier.spec.name, path)
            self.store.clear()
        _tell(self.classifier, result)
        return _measured(result, scored.predictions, scored.labels, self.how.metrics, self._place)

    def close(self) -> None:
        self.store.close()


def begin(
    classifier: Classifier, benchmark: Benchmark, how: Conditions, out: Path | None, *, device: str = "auto"
) -> ModelRun | Result:
    """Open the store of a scoring, or read its result where it is finished. ``out`` None: all in memory.

    A classifier that brings code of one's own is run on a few images first, on ``device`` of this machine:
    what other code has scored is not reused.

    Raises:
        ResultError: what is there cannot be read, or ``out`` cannot be written.
        MetricError: a metric of a package failed on a result that is finished.
        ClassifierError: one's own classifier fails on an image.
        DatasetError: no image has a label among the classes that compete.
    """
    spec = classifier.spec
    if not isinstance(benchmark, StreamingBenchmark):
        _beyond(classifier.outputs.classes, benchmark.labels)
    keys = _keys(classifier, benchmark, how)
    if out is None:
        return ModelRun(classifier, benchmark, how, open_store(spec.name, None, keys), keys, None)
    watch = partial(_witness, classifier, benchmark, replace(how.settings, device=device))
    if needs_witness(classifier):
        keys = replace(keys, witness=watch())
    place, found = find(out, benchmark, stem_of(classifier, how), keys.run)
    if found is not None:
        return _read(classifier, benchmark, how, place, found)
    if keys.witness is not None:
        tell_of_others(spec, place, keys, watch)
    return ModelRun(classifier, benchmark, how, open_store(spec.name, place, keys), keys, place)


def finished(
    described: Described, benchmark: Benchmark, how: Conditions, out: Path
) -> Callable[[], Result] | None:
    """What gives the result of a model without code of one's own, if it is finished; it need not be loaded.

    Raises:
        ResultError: what is there cannot be read; the callable raises as ``begin``.
    """
    keys = _keys(described, benchmark, how)
    place, found = find(out, benchmark, stem_of(described, how), keys.run)
    return None if found is None else partial(_read, described, benchmark, how, place, found)


def _keys(described: Described, benchmark: Benchmark, how: Conditions) -> Keys:
    """Those of a model that has no witness."""
    return Keys(_settings_key(described, benchmark, how), None, (benchmark.identity(), benchmark.limit))


def _read(
    described: Described,
    benchmark: Benchmark,
    how: Conditions,
    place: Place,
    found: tuple[Result, Predictions],
) -> Result:
    """A result that is finished, with the metrics that are asked for."""
    result, predictions = found
    log.info("%s on %s is finished: read from %s", described.spec.name, benchmark.name, place.file)
    _tell(described, result)
    if not how.metrics:
        return result
    return _measured(result, predictions, _labels(benchmark, result, predictions), how.metrics, place)


def _witness(classifier: Classifier, benchmark: Benchmark, settings: RunSettings) -> Witness:
    return witness(classifier, benchmark.tasks_of_some(IMAGES), settings, exif=benchmark.exif)


def stem_of(described: Described, how: Conditions) -> str:
    """File name of the result to come."""
    outputs = described.outputs
    return result_stem(
        described.spec,
        how.settings.precision,
        how.policy,
        how.tta,
        classes=outputs.classes,
        drop_class=outputs.drop_class,
    )


def _measured(
    result: Result,
    predictions: Predictions,
    labels: Labels,
    metrics: Sequence[Metric],
    place: Place | None,
) -> Result:
    """``result`` with the metrics that are asked for, written to its place again where they are new there.

    Raises:
        MetricError: one failed; the others are kept.
    """
    values, failed = measure(metrics, predictions, labels)
    gone = {each.name for each in failed}  # what an earlier run has kept may be out of date
    kept = {name: each for name, each in result.package_metrics.items() if name not in gone}
    more = result.model_copy(update={"package_metrics": dict(sorted({**kept, **values}.items()))})
    if place is not None and more != result:
        write_atomically(place.file, result_json(more).encode())
    if failed:
        said = [f"{each.name!r} of the package {each.package}: {reason(e)}" for each, e in failed.items()]
        where = "as this error's `result`" if place is None else f"in {place.file}"
        raise MetricError(
            f"scored, but a metric failed: {'; '.join(said)}. The result is kept without it {where}", more
        ) from next(iter(failed.values()))
    return more


def _labels(benchmark: Benchmark, result: Result, predictions: Predictions) -> Labels:
    """Labels of the images in the order of ``predictions``; a stream is read for them.

    Raises:
        ResultError: they are not those that the result was scored with.
    """
    if isinstance(benchmark, StreamingBenchmark):
        found = {example.id: example.labels for example in benchmark}
    else:
        found = dict(zip(benchmark.ids, benchmark.labels, strict=True))
    labels = tuple(found.get(each, ()) for each in predictions.ids)
    if not all(labels) or not np.array_equal(hits(predictions.top5, labels)[:, 0], result.metrics.correct()):
        raise ResultError(
            f"the labels of {benchmark.name} are others than those that the finished result was scored with: "
            "score the model again, into another folder"
        )
    return labels


def _beyond(classes: ClassMask | None, labels: Sequence[Sequence[int]]) -> list[str]:
    """What is to be said of images that a mask leaves no right answer.

    Raises:
        DatasetError: that is all of them.
    """
    if classes is None or not (n := sum(set(each).isdisjoint(classes.indices) for each in labels)):
        return []
    said = f"{n} of {len(labels)} images have no label among the {len(classes.indices)} classes that compete"
    if n == len(labels):
        raise DatasetError(
            f"{said} ({classes.name}): these classes are not the data set's; leave out --classes"
        )
    return [f"{said}: they cannot be right"]


def _tell(described: Described, result: Result) -> None:
    """Say what a reader must know of the number, but for what was said when the classifier was loaded."""
    for each in result.protocol.warnings:
        if each not in described.warnings:
            log.warning("%s on %s: %s", described.spec.name, result.benchmark.name, each)


def _settings_key(described: Described, benchmark: Benchmark, how: Conditions) -> str:
    """Hash of what model and run say of themselves that moves a prediction. The engine is no part of it."""
    settings = how.settings
    parts = {
        "schema": SCHEMA_VERSION,
        "model": described.spec.model_dump(mode="json"),
        "precision": settings.precision,
        "batch_size": settings.batch_size or "auto",
        "fold": settings.fold,
        "device": how.device_type,
        "transform": how.policy,
        "decode": {**DECODE_POLICY, "exif_rotation": benchmark.exif},
    }
    # Left out where they are not used: keys from before there were any stay theirs.
    outputs = described.outputs
    if outputs.form == "probabilities":
        parts["outputs"] = outputs.form
    if outputs.drop_class is not None:
        parts["drop_class"] = outputs.drop_class
    if outputs.classes is not None:
        parts["classes"] = list(outputs.classes.indices)
    if how.tta is not None:
        parts["tta"] = how.tta.model_dump(mode="json")
    if settings.compile:
        parts["compile"] = True
    if settings.runtime != "torch":
        parts["runtime"] = settings.runtime
    if how.options:
        parts["options"] = dict(how.options)
    return sha256(parts)
