"""Score a classifier on a benchmark and say how the number came about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.types import Precision
from imagenet_hard.classifiers.base import Classifier
from imagenet_hard.classifiers.module_state import as_it_was
from imagenet_hard.classifiers.own_code import brings_own_code
from imagenet_hard.engine.batch_size import choose_batch_size
from imagenet_hard.engine.engine import Engine, EngineName, open_engine
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.evaluation.result import Result
from imagenet_hard.evaluation.scoring import How, TransformPolicy, begin
from imagenet_hard.tta.settings import TtaSettings, tta_settings

if TYPE_CHECKING:
    from imagenet_hard.dataset.subset import Ids
    from imagenet_hard.imagenet.mask import ClassMask


def evaluate(
    model: Any,
    dataset: Any = "imagenet-hard",
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
    ids: Ids | None = None,
    sample: int | None = None,
    seed: int | None = None,
    device: str = "auto",
    precision: Precision = "fp32",
    batch_size: int | Literal["fastest"] | None = None,
    workers: int | None = None,
    exif: bool = False,
    fold: bool = True,
    compile: bool = False,
    engine: EngineName | Engine = "local",
    address: str | None = None,
    tta: str | TtaSettings | None = None,
    tta_show: str | Path | None = None,
    classes: str | Path | Sequence[int | str] | ClassMask | None = None,
    drop_class: int | None = None,
    out: str | Path | None = None,
    on_progress: Callable[..., None] | None = None,
    verbose: bool = False,
) -> Result:
    """Top-1 of ``model`` on ``dataset``, right if it is among an image's labels (paper, ImageNet-Hard).

    ``model``: a name (``"vit_b_32"``, ``"timm:..."``, ``"open_clip:ARCH/TAG"``, ``"./file.py:build"``), a
    ``Classifier``, any ``torch.nn.Module``, or a callable from float32 (n, 3, H, W) to logits
    (n, 1000). ``transform``: "native", "paper", "study", a mapping ``{resize, crop, interpolation}``, or for
    a module a callable from a PIL image to a float32 tensor (3, H, W). ``dataset``: what
    ``load_dataset`` takes (with ``revision``, ``split``, ``labels`` and ``exif``): a name, a folder, an
    ``ImageFolder``, a ``datasets.Dataset``, a sequence of (image, label); or its return value. Of it, the
    first ``limit`` images, those of a file or sequence of ``ids``, or a ``sample`` of so many that ``seed``
    draws. ``batch_size`` None: fixed for the kind of device, and halved where memory runs out; "fastest":
    measured on the device. ``compile``: run ``torch.compile`` first. ``engine``: "local", "ray" (with the
    ``address`` of a cluster), or what ``imagenet_hard.engine.engine.open_engine`` gives. ``out``: a folder
    that the result and its predictions are written to; work that is finished there is read instead of
    done again, and interrupted work goes on, on any engine. None keeps everything in memory. ``tta``:
    test-time augmentation, "none", "zoom", "memo", "zoom-memo", or what
    ``imagenet_hard.tta.settings.tta_settings`` gives; ``tta_show``: a folder for a page that shows where it
    looked. ``classes``: those that compete, those of a variant ("imagenet-a"), a file, or a list (see
    ``imagenet_hard.imagenet.mask``); by default all 1000, as ImageNet-Hard is scored. ``drop_class``: the
    background class, 0 or 1000, of a model with 1001 outputs.
    ``on_progress(n, resumed=0)`` is told of each batch.
    A module of the caller's comes back on its device, in its mode (train or eval), with the strides that its
    weights had. What brings code of one's own is run on up to 32 images before anything in ``out`` is read or
    continued: where its code or one logit is another, it is scored again.

    Raises:
        UsageError: for arguments that don't fit together.
        DatasetError, ImageError, ClassifierError, ResultError, ClusterError: see ``base.errors``.
    """
    from imagenet_hard.classifiers.outputs import with_classes
    from imagenet_hard.dataset.benchmark import Benchmark
    from imagenet_hard.dataset.load import load_dataset
    from imagenet_hard.dataset.subset import part_of
    from imagenet_hard.imagenet.mask import class_mask
    from imagenet_hard.tta.page import check_showable, write_page

    settings = RunSettings(device, precision, None, workers, fold, compile)
    augment = tta_settings(tta) if isinstance(tta, str) else tta
    mask = None if classes is None else class_mask(classes)
    if tta_show is not None:
        check_showable(augment)
    with ExitStack() as stack:
        running = stack.enter_context(open_engine(engine, address=address, device=device))
        device_type = running.device_type(device)
        if workers is not None and running.workers is not None:
            raise UsageError("workers are decode threads of this process: give the engine cpus_per_worker")
        if not isinstance(dataset, Benchmark):
            benchmark = load_dataset(dataset, revision=revision, split=split, labels=labels, exif=exif)
        else:
            benchmark = dataset
            _only_with("a data set's name", revision=revision, split=split, labels=labels, exif=exif or None)
        benchmark = part_of(benchmark, limit=limit, ids=ids, sample=sample, seed=seed)
        stack.enter_context(as_it_was(model.module if isinstance(model, Classifier) else model))
        if isinstance(model, str):
            from imagenet_hard.classifiers.registry import load_classifier

            classifier = load_classifier(
                model,
                weights=None if weights is None else str(weights),
                pretrained=pretrained,
                transform=transform,
                templates=templates,
                classnames=classnames,
                device=running.loading_device(device),
                progress=verbose,
                drop_class=drop_class,
            )
            if brings_own_code(classifier):  # which may hold on to the module
                stack.enter_context(as_it_was(classifier.module))
        else:
            _only_with(
                "a model's name",
                weights=weights,
                pretrained=pretrained,
                templates=templates,
                classnames=classnames,
            )
            classifier = _own(model, transform, drop_class)
        classifier = with_classes(classifier, mask)
        settings = replace(settings, batch_size=choose_batch_size(batch_size, classifier, settings, running))
        if augment is not None and tta_show is not None:
            write_page(Path(tta_show), classifier, benchmark, augment, settings)
        folder = None if out is None else Path(out)
        policy: TransformPolicy = transform if transform in ("native", "paper", "study") else "custom"
        how = How(settings, device_type, policy, augment)
        found = begin(classifier, benchmark, how, folder, device=running.loading_device(device))
        if isinstance(found, Result):
            return found
        stack.callback(found.close)
        (outcome,) = running.score([found.job(on_progress)], benchmark)
        if isinstance(outcome, Exception):
            raise outcome
        return found.finish(*outcome)


def _own(model: Any, transform: Any, drop_class: int | None) -> Classifier:
    """A classifier, module or callable of the caller's, under the transform that was asked for."""
    from imagenet_hard.classifiers.custom import from_module
    from imagenet_hard.classifiers.examine import examine
    from imagenet_hard.classifiers.outputs import unread
    from imagenet_hard.classifiers.transform_policy import with_policy
    from imagenet_hard.classifiers.weights import with_true_weights

    if isinstance(model, Classifier):
        if isinstance(transform, str | Mapping):
            return examine(with_policy(with_true_weights(model), transform), drop_class)
        drop_class = model.outputs.drop_class if drop_class is None else drop_class
        model = unread(model.module)
    if isinstance(transform, str):
        return with_policy(from_module(model, drop_class=drop_class), transform)
    return from_module(model, transform, drop_class=drop_class)


def _only_with(what: str, **arguments: Any) -> None:
    """Refuse what would be ignored."""
    if given := [name for name, value in arguments.items() if value is not None]:
        raise UsageError(f"{', '.join(given)}: only with {what}, but an object was given")
