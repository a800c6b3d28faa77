"""A model on a benchmark: what is to be done, and the result of it. What is finished is read."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from imagenet_hard.dataset.decode import DECODE_POLICY
from imagenet_hard.dataset.fingerprint import fingerprint
from imagenet_hard.engine.forward import Forward
from imagenet_hard.engine.job import Job, RunReport
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.engine.store import Store
from imagenet_hard.evaluation.environment import environment
from imagenet_hard.evaluation.metrics import Metrics
from imagenet_hard.evaluation.predictions import predictions_sha256
from imagenet_hard.evaluation.result import (
    Protocol,
    Result,
    Runtime,
    read_result,
    result_stem,
    write_result,
)
from imagenet_hard.evaluation.twins import twins_warning
from imagenet_hard.tta.predictor import predictor
from imagenet_hard.tta.settings import TtaSettings
from imagenet_hard.types import SCHEMA_VERSION, Scored

if TYPE_CHECKING:
    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.dataset.benchmark import Benchmark

log = logging.getLogger(__name__)

TransformPolicy = Literal["native", "paper", "study", "custom"]


@dataclass(frozen=True)
class How:
    """What a result depends on besides model and benchmark. ``device_type``: cpu, cuda or mps."""

    settings: RunSettings
    device_type: str
    policy: TransformPolicy
    tta: TtaSettings | None = None


class Scoring:
    """A classifier that is being scored on a benchmark. ``close`` keeps what is scored for the next run."""

    def __init__(
        self,
        classifier: Classifier,
        benchmark: Benchmark,
        how: How,
        store: Store,
        key: str,
        place: Place | None,
    ) -> None:
        self.classifier, self.benchmark, self.how, self.store = classifier, benchmark, how, store
        self._key, self._place = key, place

    def job(self, on_progress: Callable[..., None] | None) -> Job:
        """What the engine is to do; ``on_progress(n, resumed=0)``."""
        if on_progress and (done := len(self.store.rows())):
            log.info("%s: goes on after %d images that were scored before", self.classifier.spec.name, done)
            on_progress(0, resumed=done)
        build = Forward if self.how.tta is None else partial(predictor, self.how.tta)
        return Job(self.classifier, self.how.settings, self.store, on_progress or (lambda n: None), build)

    def finish(self, scored: Scored, report: RunReport) -> Result:
        """The result, written to its place if it has one."""
        digest = fingerprint(zip(scored.predictions.ids, scored.labels, scored.image_sha256, strict=True))
        precision, benchmark = self.how.settings.precision, self.benchmark
        result = Result(
            schema_version=SCHEMA_VERSION,
            model=self.classifier.spec,
            benchmark=benchmark.info(digest),
            protocol=Protocol(
                precision=precision,
                batch_size=report.batch_size,
                transform=self.how.policy,
                decode={**DECODE_POLICY, "exif_rotation": benchmark.exif},
                tf32=False,
                optimizations=list(report.optimizations),
                tta=None if self.how.tta is None else self.how.tta.recorded(),
                warnings=twins_warning(self.classifier.module, scored.labels),
            ),
            metrics=Metrics.from_scored(scored, precision),
            runtime=_runtime(report),
            environment=environment(),
            predictions_sha256=predictions_sha256(scored.predictions),
            run_key=self._key,
            created=datetime.now(UTC),
        )
        if self._place is not None:
            path = write_result(self._place.folder, result, scored.predictions, stem=self._place.stem)
            log.info("%s: the result is %s", self.classifier.spec.name, path)
            self.store.clear()
        return result

    def close(self) -> None:
        self.store.close()


def begin(classifier: Classifier, benchmark: Benchmark, how: How, out: Path | None) -> Scoring | Result:
    """Open the store of a scoring, or read its result where it is finished. ``out`` None: all in memory.

    Raises:
        ResultError: what is there cannot be read, or ``out`` cannot be written.
    """
    row_key = _row_key(classifier, benchmark, how)
    key = _sha256([row_key, benchmark.identity(), benchmark.limit])
    place = None
    if out is not None:
        stem = result_stem(classifier.spec, how.settings.precision, how.policy, how.tta)
        place, finished = _find(out, benchmark, stem, key)
        if finished is not None:
            log.info("%s on %s is finished: read from %s", classifier.spec.name, benchmark.name, place.folder)
            return finished
    return Scoring(classifier, benchmark, how, Store(_partial(place, row_key), row_key), key, place)


@dataclass(frozen=True)
class Place:
    """Folder and file stem of a result."""

    folder: Path
    stem: str


def _partial(place: Place | None, key: str) -> Path | None:
    """Rows of other settings lie in files of their own, so none replaces another's."""
    return None if place is None else place.folder / f".{place.stem}.{key[:8]}.partial.sqlite"


def _find(out: Path, benchmark: Benchmark, stem: str, key: str) -> tuple[Place, Result | None]:
    """The place, and the result that is finished there. A result of other settings stays."""
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in benchmark.name).strip(".-") or "data"
    folder = out / (f"{name}-first-{benchmark.limit}" if benchmark.limit else name)
    for candidate in (stem, f"{stem}-{key[:8]}"):
        path = folder / f"{candidate}.json"
        if not path.exists():
            return Place(folder, candidate), None
        found, _ = read_result(path)
        if found.run_key == key:
            return Place(folder, candidate), found
    raise AssertionError("a run key names one result")


def _row_key(classifier: Classifier, benchmark: Benchmark, how: How) -> str:
    """sha256 of all but the image that determines a row of predictions. The engine is no part of it."""
    settings = how.settings
    parts = {
        "schema": SCHEMA_VERSION,
        "model": classifier.spec.model_dump(mode="json"),
        "precision": settings.precision,
        "batch_size": settings.batch_size or "auto",
        "fold": settings.fold,
        "device": how.device_type,
        "transform": how.policy,
        "decode": {**DECODE_POLICY, "exif_rotation": benchmark.exif},
    }
    # Left out where they are not used: keys from before there were any stay theirs.
    if how.tta is not None:
        parts["tta"] = how.tta.model_dump(mode="json")
    if settings.compile:
        parts["compile"] = True
    if classifier.spec.backend == "custom":
        # A function's weights can't be seen, and one's own code changes under one name.
        parts["behaviour"] = _behaviour(classifier)
    return _sha256(parts)


def _behaviour(classifier: Classifier) -> list[Any]:
    """Top-5 on the fixed test images, to four digits: tells one's own models apart."""
    import torch

    from imagenet_hard.classifiers.transform import fixed_images
    from imagenet_hard.engine.topk import top5

    module = classifier.module.eval()
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    found = []
    for image in fixed_images():
        pixels = classifier.transform.pixels(image)
        with torch.inference_mode():
            classes, logprob, _ = top5(module(classifier.transform.batch([pixels], device)))
        found.append([classes[0].tolist(), [f"{x:.3e}" for x in logprob[0]]])
    return found


def _sha256(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _runtime(report: RunReport) -> Runtime:
    return Runtime(
        seconds=report.seconds,
        images_per_second=report.n_scored / report.seconds if report.n_scored else None,
        n_scored=report.n_scored,
        n_resumed=report.n_resumed,
        device=report.device,
        workers=report.workers,
        peak_memory_bytes=report.peak_memory_bytes,
    )
