"""Score a classifier on a benchmark and say how the number came about."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from imagenet_hard.dataset.decode import DECODE_POLICY
from imagenet_hard.dataset.fingerprint import fingerprint
from imagenet_hard.engine.settings import RunSettings, resolve_device
from imagenet_hard.errors import UsageError
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
from imagenet_hard.tta.settings import TtaSettings, tta_settings
from imagenet_hard.types import SCHEMA_VERSION, Precision

if TYPE_CHECKING:
    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.dataset.benchmark import Benchmark
    from imagenet_hard.engine.run import RunReport

log = logging.getLogger(__name__)

TransformPolicy = Literal["native", "paper", "study", "custom"]


def evaluate(
    model: Any,
    dataset: str | Path | Benchmark = "imagenet-hard",
    *,
    weights: str | Path | None = None,
    pretrained: str | None = None,
    transform: Any = "native",
    templates: str | None = None,
    classnames: str | None = None,
    revision: str | None = None,
    split: str | None = None,
    labels: str | Path | None = None,
    limit: int | None = None,
    device: str = "auto",
    precision: Precision = "fp32",
    batch_size: int | None = None,
    workers: int | None = None,
    exif: bool = False,
    fold: bool = True,
    tta: str | TtaSettings | None = None,
    tta_show: str | Path | None = None,
    out: str | Path | None = None,
    on_progress: Callable[..., None] | None = None,
    verbose: bool = False,
) -> Result:
    """Top-1 of ``model`` on ``dataset``, right if it is among an image's labels (paper, ImageNet-Hard).

    ``model``: a name (``"vit_b_32"``, ``"timm:..."``, ``"open_clip:ARCH/TAG"``, ...), a
    ``Classifier``, any ``torch.nn.Module``, or a callable from float32 (n, 3, H, W) to logits
    (n, 1000). ``transform``: "native", "paper", "study", a mapping ``{resize, crop, interpolation}``, or for
    a module a callable from a PIL image to a float32 tensor (3, H, W). ``dataset``: what
    ``load_dataset`` takes (with ``revision``, ``split``, ``labels`` and ``exif``), or its return
    value. ``batch_size`` None: automatic. ``out``: a folder that the result and its predictions are
    written to; work that is finished there is read instead of done again, and interrupted work goes
    on. None keeps everything in memory. ``tta``: test-time augmentation, "none", "zoom", "memo",
    "zoom-memo", or what ``imagenet_hard.tta.settings.tta_settings`` gives; ``tta_show``: a folder for a
    page that shows where it looked. ``on_progress(n, resumed=0)`` is told of each batch.
    A module of the caller's comes back on its device and in its mode (train or eval).

    Raises:
        UsageError: for arguments that don't fit together.
        DatasetError, ImageError, ClassifierError, ResultError: see ``imagenet_hard.errors``.
    """
    from imagenet_hard.dataset.load import load_dataset
    from imagenet_hard.engine.run import score
    from imagenet_hard.engine.store import Store
    from imagenet_hard.tta.predictor import predictor as tta_predictor
    from imagenet_hard.tta.sheet import check_showable, write_sheet

    settings = RunSettings(device, precision, batch_size, workers, fold)
    augment = tta_settings(tta) if isinstance(tta, str) else tta
    if tta_show is not None:
        check_showable(augment)
    device_type = resolve_device(device).type
    if isinstance(dataset, str | Path):
        benchmark = load_dataset(dataset, revision=revision, split=split, labels=labels, exif=exif)
    else:
        benchmark = dataset
        _only_with("a data set's name", revision=revision, split=split, labels=labels, exif=exif or None)
    if limit is not None:
        benchmark = benchmark.take(limit)
    policy: TransformPolicy = transform if transform in ("native", "paper", "study") else "custom"

    with ExitStack() as stack:
        stack.enter_context(_as_it_was(model))
        if isinstance(model, str):
            from imagenet_hard.classifiers.registry import load_classifier

            classifier = load_classifier(
                model,
                weights=None if weights is None else str(weights),
                pretrained=pretrained,
                transform=transform,
                templates=templates,
                classnames=classnames,
                device=str(resolve_device(device)),
                progress=verbose,
            )
        else:
            _only_with(
                "a model's name",
                weights=weights,
                pretrained=pretrained,
                templates=templates,
                classnames=classnames,
            )
            classifier = _own(model, transform)
        predictor = None if augment is None else tta_predictor(classifier, augment, settings)
        row_key = _row_key(classifier, benchmark, settings, device_type, policy, augment)
        key = _sha256([row_key, benchmark.identity(), benchmark.limit])
        if augment is not None and tta_show is not None:
            write_sheet(Path(tta_show), classifier, benchmark, augment, settings)
        folder = stem = None
        if out is not None:
            name = result_stem(classifier.spec, precision, policy, augment)
            folder, stem, finished = _place(Path(out), benchmark, name, key)
            if finished is not None:
                log.info("%s on %s is finished: read from %s", classifier.spec.name, benchmark.name, folder)
                return finished
        store = stack.enter_context(Store(_partial(folder, stem, row_key), row_key))
        if on_progress and (done := len(store.rows())):
            log.info("%s: goes on after %d images that were scored before", classifier.spec.name, done)
            on_progress(0, resumed=done)
        scored, report = score(
            classifier, benchmark, settings, store, on_progress or (lambda n: None), predictor
        )
        digest = fingerprint(zip(scored.predictions.ids, scored.labels, scored.image_sha256, strict=True))
        result = Result(
            schema_version=SCHEMA_VERSION,
            model=classifier.spec,
            benchmark=benchmark.info(digest),
            protocol=Protocol(
                precision=precision,
                batch_size=report.batch_size,
                transform=policy,
                decode={**DECODE_POLICY, "exif_rotation": benchmark.exif},
                tf32=False,
                optimizations=list(report.optimizations),
                tta=None if augment is None else augment.recorded(),
            ),
            metrics=Metrics.from_scored(scored, precision),
            runtime=_runtime(report),
            environment=environment(),
            predictions_sha256=predictions_sha256(scored.predictions),
            run_key=key,
            created=datetime.now(UTC),
        )
        if folder is not None and stem is not None:
            write_result(folder, result, scored.predictions, stem=stem)
            store.delete()
    return result


def _row_key(
    classifier: Classifier,
    benchmark: Benchmark,
    settings: RunSettings,
    device_type: str,
    policy: TransformPolicy,
    augment: TtaSettings | None,
) -> str:
    """sha256 of all but the image that determines a row of predictions."""
    parts = {
        "schema": SCHEMA_VERSION,
        "model": classifier.spec.model_dump(mode="json"),
        "precision": settings.precision,
        "batch_size": settings.batch_size or "auto",
        "fold": settings.fold,
        "device": device_type,
        "transform": policy,
        "decode": {**DECODE_POLICY, "exif_rotation": benchmark.exif},
    }
    if augment is not None:  # left out where there is none: keys from before there was any stay theirs
        parts["tta"] = augment.model_dump(mode="json")
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


def _own(model: Any, transform: Any) -> Classifier:
    """A classifier, module or callable of the caller's, under the transform that was asked for."""
    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.classifiers.custom import from_module
    from imagenet_hard.classifiers.policy import with_policy

    if isinstance(transform, str | Mapping):
        return with_policy(model if isinstance(model, Classifier) else from_module(model), transform)
    return from_module(model.module if isinstance(model, Classifier) else model, transform)


@contextmanager
def _as_it_was(model: Any) -> Iterator[None]:
    """Give a module of the caller's back on its device, with each layer in the mode that it was in."""
    from imagenet_hard.classifiers.base import Classifier

    module = model.module if isinstance(model, Classifier) else model
    if isinstance(model, str) or not hasattr(module, "modules"):
        yield
        return
    modes = [(layer, layer.training) for layer in module.modules()]
    device = next((p.device for p in module.parameters()), None)
    try:
        yield
    finally:
        if device is not None:
            module.to(device)
        for layer, training in modes:
            layer.training = training


def _only_with(what: str, **arguments: Any) -> None:
    """Refuse what would be ignored."""
    if given := [name for name, value in arguments.items() if value is not None]:
        raise UsageError(f"{', '.join(given)}: only with {what}, but an object was given")


def _partial(folder: Path | None, stem: str | None, key: str) -> Path | None:
    """Rows of other settings lie in files of their own, so none replaces another's."""
    return None if folder is None else folder / f".{stem}.{key[:8]}.partial.sqlite"


def _place(out: Path, benchmark: Benchmark, stem: str, key: str) -> tuple[Path, str, Result | None]:
    """Folder and file stem, and the result that is finished there. A result of other settings stays."""
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in benchmark.name).strip(".-") or "data"
    folder = out / (f"{name}-first-{benchmark.limit}" if benchmark.limit else name)
    for candidate in (stem, f"{stem}-{key[:8]}"):
        path = folder / f"{candidate}.json"
        if not path.exists():
            return folder, candidate, None
        found, _ = read_result(path)
        if found.run_key == key:
            return folder, candidate, found
    raise AssertionError("a run key names one result")


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
