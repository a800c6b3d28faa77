"""Score classifiers on a benchmark and say how the numbers came about."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, cast

from imagenet_hard.base.errors import ClusterLostError, ImageNetHardError, UsageError
from imagenet_hard.base.options import by_name, declared, takes
from imagenet_hard.classifiers.base import Classifier, Outputs
from imagenet_hard.classifiers.module_state import as_it_was
from imagenet_hard.classifiers.own_code import brings_own_code
from imagenet_hard.classifiers.recall import heard, recall, remember
from imagenet_hard.engine.batch_size import choose_batch_size, choose_runtime
from imagenet_hard.engine.engine import Engine, open_engine
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.engine.witness import needs_witness
from imagenet_hard.evaluation.generative.endpoint_models import is_endpoint_model, refuse_own_options
from imagenet_hard.evaluation.model_run import Conditions, begin, finished, stem_of
from imagenet_hard.evaluation.options import Options, TransformPolicy
from imagenet_hard.evaluation.package_metrics import find_metrics
from imagenet_hard.evaluation.result import Result
from imagenet_hard.evaluation.shared_pass import Progress, SharedPass
from imagenet_hard.evaluation.suite import SuiteModel
from imagenet_hard.tta.settings import tta_settings

if TYPE_CHECKING:
    from imagenet_hard.dataset.benchmark import Benchmark
    from imagenet_hard.imagenet.mask import ClassMask

log = logging.getLogger(__name__)

_SET = ("revision", "split", "labels", "streaming", "exif")
"""Options that ``load_dataset`` takes."""

_PART = ("limit", "ids", "sample", "seed")
"""Options that ``part_of`` takes."""

_ESTIMATE = ("estimate", "until", "difficulty")
"""Options that an estimate takes, with ``seed``."""

_LOADING = ("weights", "pretrained", "templates", "classnames")
"""Options that ``load_classifier`` alone takes."""


@takes(Options)
def evaluate(
    model: Any,
    dataset: Any = "imagenet-hard",
    *,
    on_progress: Progress | None = None,
    **options: Unpack[Options],
) -> Result:
    """Top-1 of ``model`` on ``dataset``, right if it is among an image's labels (paper, ImageNet-Hard).

    ``model``: a name (``"vit_b_32"``, ``"timm:..."``, ``"open_clip:ARCH/TAG"``, ``"./file.py:build"``), a
    ``Classifier``, any ``torch.nn.Module``, or a callable from float32 (n, 3, H, W) to logits
    (n, 1000). ``transform``: "native", "paper", "study", a mapping ``{resize, crop, interpolation}``, or for
    a module a callable from a PIL image to a float32 tensor (3, H, W). ``dataset``: what
    ``load_dataset`` takes (with ``revision``, ``split``, ``labels``, ``streaming`` and ``exif``): a name, a
    folder, an ``ImageFolder``, a ``datasets.Dataset``, a sequence of (image, label); or its return value. Of
    it, the first ``limit`` images, those of a file or sequence of ``ids``, or a ``sample`` of so many that
    ``seed`` draws. ``estimate``: estimate the score on all images from so many, which ``seed`` draws by
    ``difficulty``, a table (see ``docs/estimate.md``); ``until``: from as many as it takes for an interval of
    so many points to either side. ``result.estimate`` then holds it.
    ``batch_size`` None: fixed for the kind of device, and halved where memory runs out;
    "fastest": measured on the device. ``compile``: run ``torch.compile`` first. ``runtime``: "openvino" in
    place of torch on a CPU; "auto": where it is measured to be faster. ``engine``: "local", "ray"
    (with the ``address`` of a cluster), or what ``imagenet_hard.open_engine`` gives. ``out``: a folder
    that the result and its predictions are written to; work that is finished there is read instead of
    done again, and interrupted work goes on, on any engine. None keeps everything in memory. ``tta``:
    test-time augmentation, "none", "zoom", "memo", "zoom-memo", or what
    ``imagenet_hard.tta.settings.tta_settings`` gives; ``tta_show``: a folder for a page that shows where it
    looked. ``classes``: those that compete, those of a variant ("imagenet-a"), a file, or a list (see
    ``imagenet_hard.imagenet.mask``); by default all 1000, as ImageNet-Hard is scored. ``drop_class``: the
    background class, 0 or 1000, of a model with 1001 outputs. ``metrics``: names of metrics that installed
    packages bring (docs/extending.md), for ``package_metrics`` of the result; of a finished one as well.
    ``model`` may also be ``"api:MODEL"``, which answers in words behind an OpenAI-compatible ``base_url``
    (docs/generative.md): asked by ``protocol`` "open", "choices" or "list", with fields of the ``request``
    changed, ``concurrency`` calls at once (None: as many as it bears), the key in the environment variable
    ``key_env``, at a ``price`` for a million tokens of prompts and of answers. Its result is top-1 only, and
    has ``answers``.
    ``on_progress(n, resumed=0)`` is told of each batch.
    A module of the caller's comes back on its device, in its mode (train or eval), with the strides that its
    weights had. What brings code of one's own is run on up to 32 images before anything in ``out`` is read or
    continued: where its code or one logit is another, it is scored again.

    Raises:
        UsageError: for arguments that don't fit together.
        DatasetError, ImageError, ClassifierError, ResultError, MetricError, ClusterError: see
            ``base.errors``.
    """
    ((_, found),) = evaluate_all([model], dataset, on_progress=lambda model: on_progress, **options)
    if isinstance(found, Exception):
        raise found
    return found


@takes(Options)
def evaluate_all(
    models: Sequence[Any],
    dataset: Any = "imagenet-hard",
    *,
    together: int | None = None,
    on_progress: Callable[[Any], Progress | None] = lambda model: None,
    **options: Unpack[Options],
) -> Iterator[tuple[Any, Result | Exception]]:
    """Each of ``models`` with its result, or with what went wrong, as soon as that is known.

    ``models`` and ``options`` are as in ``evaluate``; of a ``SuiteModel`` its own come first. As many as fit
    share one pass over the images, ``together`` at the most. ``on_progress``: from the model to what is told
    of its batches. One failure ends no other; when a cluster is lost, all that are left have failed.

    Raises:
        UsageError, DatasetError: before anything is scored, and as ``evaluate``.
    """
    scored = evaluate_each(
        models, [dataset], together=together, on_progress=lambda model, _: on_progress(model), **options
    )
    return ((model, found) for model, _, found in scored)


@takes(Options)
def evaluate_each(
    models: Sequence[Any],
    datasets: Sequence[Any],
    *,
    together: int | None = None,
    on_progress: Callable[[Any, Benchmark], Progress | None] = lambda model, benchmark: None,
    recalls: bool = False,
    **options: Unpack[Options],
) -> Iterator[tuple[Any, Benchmark, Result | Exception]]:
    """``evaluate_all`` on several ``datasets``: every model is loaded once, and each set read in turn.

    Options of images, as ``limit``, hold for each of the sets. ``recalls``: whether no code of others has run
    in this process, so that finished results may be found by what models said when they were last loaded.

    Raises:
        UsageError: as ``evaluate_all``, or two of the sets would be one folder of results.
        DatasetError: as ``evaluate_all``.
    """
    from imagenet_hard.imagenet.mask import class_mask

    asked = cast("Options", {**{k: each.option.default for k, each in declared(Options).items()}, **options})
    by_field: dict[str, Any] = {each.name: asked.get(each.name) for each in fields(RunSettings)}
    settings = RunSettings(**{**by_field, "batch_size": None})  # which depends on the model
    tta = tta_settings(asked["tta"]) if isinstance(asked["tta"], str) else asked["tta"]
    asked["classes"] = None if asked["classes"] is None else class_mask(asked["classes"])
    if asked["tta_show"] is not None:
        from imagenet_hard.tta.page import check_showable

        check_showable(tta)
    metrics = find_metrics(asked["metrics"])
    with open_engine(asked["engine"], address=asked["address"], device=settings.device) as engine:
        common = Conditions(
            settings,
            engine.device_type(settings.device),
            tta=tta,
            options=by_name(Options, asked),
            metrics=metrics,
        )
        if settings.workers is not None and engine.workers is not None:
            raise UsageError("workers are decode threads of this process: give the engine cpus_per_worker")
        refuse_own_options(models, asked)
        benchmarks = [images_of(dataset, asked)[0] for dataset in datasets]
        _tell_apart(benchmarks)
        passes = [
            SharedPass(engine, settings.device, together, many_views=tta is not None) for _ in benchmarks
        ]
        left = [(i, k) for i in range(len(models)) for k in range(len(benchmarks))]
        try:
            for i, k, found in _score(
                models, benchmarks, engine, asked, common, passes, on_progress, recalls
            ):
                left.remove((i, k))
                yield models[i], benchmarks[k], found
        except ClusterLostError as error:
            for i, k in left:
                yield models[i], benchmarks[k], error
        finally:
            for shared in passes:
                shared.close()


def _tell_apart(benchmarks: Sequence[Benchmark]) -> None:
    names = [benchmark.name for benchmark in benchmarks]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(
            f"two data sets are called {twice}, and their results would lie in one folder: score them in "
            "runs of their own, into other folders"
        )


def images_of(dataset: Any, asked: Mapping[str, Any]) -> tuple[Benchmark, dict[str, Any]]:
    """The benchmark that is asked for, and what is left of ``asked`` without what says so."""
    from imagenet_hard.dataset.benchmark import Benchmark
    from imagenet_hard.dataset.load import load_dataset

    if isinstance(dataset, Benchmark):
        _refuse(_SET, asked, "a data set's name")
        benchmark = dataset
    else:
        benchmark = load_dataset(dataset, **_some(_SET, asked))
    left = {name: value for name, value in asked.items() if name not in (*_SET, *_PART, *_ESTIMATE)}
    return _part(benchmark, asked), left


def _part(benchmark: Benchmark, asked: Mapping[str, Any]) -> Benchmark:
    """The images that are chosen, or drawn for an estimate."""
    from imagenet_hard.dataset.subset import part_of
    from imagenet_hard.evaluation.draw import draw_for_estimate

    ways = [name for name in ("estimate", "until", "limit", "ids", "sample") if asked.get(name) is not None]
    if "estimate" not in ways and "until" not in ways:
        if asked.get("difficulty") is not None:
            raise UsageError(
                "difficulty: it is for an estimate, and none is asked for: give estimate=N as well"
            )
        return part_of(benchmark, **_some(_PART, asked))
    if len(ways) > 1:
        raise UsageError(f"{' and '.join(ways)}: each chooses images in its own way, give one of them")
    return draw_for_estimate(
        benchmark,
        asked.get("estimate"),
        asked.get("seed") or 0,
        until=asked.get("until"),
        difficulty=asked.get("difficulty"),
    )


def _score(
    models: Sequence[Any],
    benchmarks: Sequence[Benchmark],
    engine: Engine,
    common: Options,
    conditions: Conditions,
    passes: Sequence[SharedPass],
    on_progress: Callable[[Any, Benchmark], Progress | None],
    recalls: bool,
) -> Iterator[tuple[int, int, Result | Exception]]:
    """Indices of a model and of a benchmark, and what came of the two; ``passes``: one a benchmark."""

    def run() -> Iterator[tuple[int, int, Result | Exception]]:
        for k, (shared, benchmark) in enumerate(zip(passes, benchmarks, strict=True)):
            for i, found in shared.run(benchmark):
                yield i, k, found

    out = None if common["out"] is None else Path(common["out"])
    known = [_finished(model, benchmarks, common, conditions, out) if recalls else [] for model in models]
    for i, model in enumerate(models):
        if is_endpoint_model(model):
            from imagenet_hard.evaluation.generative.run import evaluate_endpoint

            for k, benchmark in enumerate(benchmarks):
                try:
                    told = on_progress(model, benchmark)
                    yield i, k, evaluate_endpoint(model, benchmark, common, told)
                except Exception as error:
                    yield i, k, error
            continue
        if known[i]:
            for shared, result in zip(passes, known[i], strict=True):
                shared.add(i, result, "", None)
            continue
        if any(shared.full for shared in passes):  # before one more is loaded
            yield from run()
        asked, begun = _of(model, common), 0
        device = engine.loading_device(conditions.settings.device)
        with ExitStack() as modules:
            try:
                from imagenet_hard.classifiers.outputs import with_classes

                with heard() as said:
                    classifier = _load(model, asked, device, modules)
                recalls = recalls and not needs_witness(classifier)  # code of one's own may do anything
                if recalls:
                    remember(_request(model, asked), classifier, said)
                classifier = with_classes(classifier, _mask(asked))
                how = _conditions(asked, conditions)
                how = _measured(how, asked, classifier, engine)
                stem = stem_of(classifier, how)
                if not all(shared.takes(classifier, stem) for shared in passes):
                    yield from run()
                for k, (shared, benchmark) in enumerate(zip(passes, benchmarks, strict=True)):
                    if how.tta is not None and asked["tta_show"] is not None:
                        from imagenet_hard.tta.page import write_page

                        write_page(Path(asked["tta_show"]), classifier, benchmark, how.tta, how.settings)
                    try:
                        found = begin(classifier, benchmark, how, out, device=device)
                    except ClusterLostError:
                        raise
                    except Exception as error:
                        yield i, k, error
                    else:
                        shared.add(i, found, stem, on_progress(model, benchmark))
                    begun = k + 1
                passes[-1].then(modules.pop_all())
            except ClusterLostError:
                raise
            except Exception as error:
                for k in range(begun, len(benchmarks)):
                    yield i, k, error
    yield from run()


def _of(model: Any, common: Options) -> Options:
    """What is asked for one model: a ``SuiteModel`` names its own."""
    if not isinstance(model, SuiteModel):
        return common
    own = {name: getattr(model, name) for name in SuiteModel.model_fields.keys() & declared(Options).keys()}
    return cast("Options", {**common, **{name: value for name, value in own.items() if value is not None}})


def _finished(
    model: Any, benchmarks: Sequence[Benchmark], common: Options, conditions: Conditions, out: Path | None
) -> list[Result]:
    """Results of a model on all the benchmarks, found without loading it; none unless all can be."""
    asked = _of(model, common)
    if asked["batch_size"] == "fastest" or asked["runtime"] == "auto":
        return []
    if out is None or asked["tta_show"] is not None:
        return []
    if not isinstance(model, str | SuiteModel) or (recalled := recall(_request(model, asked))) is None:
        return []
    recalled = replace(recalled, outputs=Outputs(classes=_mask(asked)))
    how = _conditions(asked, conditions)
    how = replace(how, settings=replace(how.settings, batch_size=asked["batch_size"]))
    try:
        found = [finished(recalled, benchmark, how, out) for benchmark in benchmarks]
        if not all(found):
            return []
        for each in recalled.said:
            log.warning("%s", each)
        return [read() for read in found if read is not None]
    except ImageNetHardError as error:  # it comes again where the model is loaded
        log.debug("%s", error)
        return []


def _mask(asked: Options) -> ClassMask | None:
    from imagenet_hard.imagenet.mask import class_mask

    return None if asked["classes"] is None else class_mask(asked["classes"])


def _request(model: str | SuiteModel, asked: Options) -> dict[str, Any]:
    """What ``load_classifier`` is asked for that says which model this is, and how it sees."""
    weights = asked["weights"]
    return {
        "name": model.model if isinstance(model, SuiteModel) else model,
        "weights": None if weights is None else str(weights),
        "pretrained": asked["pretrained"],
        "templates": asked["templates"],
        "classnames": asked["classnames"],
        "transform": asked["transform"],
        "drop_class": asked["drop_class"],
    }


def _load(model: Any, asked: Options, device: str, modules: ExitStack) -> Classifier:
    """The classifier; ``modules``: on whose exit those of the caller's, or of one's own code, come back."""
    from imagenet_hard.classifiers.registry import load_classifier

    transform: Any = asked["transform"]
    if isinstance(model, str | SuiteModel):
        request = _request(model, asked)
        name = request.pop("name")
        classifier = load_classifier(name, **request, device=device, progress=asked["verbose"])
        if brings_own_code(classifier):  # which may hold on to the module
            modules.enter_context(as_it_was(classifier.module))
    else:
        modules.enter_context(as_it_was(model.module if isinstance(model, Classifier) else model))
        _refuse(_LOADING, asked, "a model's name")
        classifier = _own(model, transform, asked["drop_class"])
    return classifier


def _conditions(asked: Options, common: Conditions) -> Conditions:
    """Those of one model, but for what is measured: its batch size and its runtime."""
    settings = replace(common.settings, precision=asked["precision"])
    policy: TransformPolicy = asked["transform"] if isinstance(asked["transform"], str) else "custom"
    return replace(common, settings=settings, policy=policy)


def _measured(how: Conditions, asked: Options, classifier: Classifier, engine: Engine) -> Conditions:
    adapts = how.tta is not None and how.tta.adapts  # the weights, of which a graph holds a copy
    runtime = "torch" if adapts and asked["runtime"] == "auto" else asked["runtime"]
    settings = replace(how.settings, runtime=choose_runtime(runtime, classifier, how.settings, engine))
    size = choose_batch_size(asked["batch_size"], classifier, settings, engine)
    return replace(how, settings=replace(settings, batch_size=size))


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


def _some(names: Sequence[str], asked: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if name in names}


def _refuse(names: Sequence[str], asked: Mapping[str, Any], goes_with: str) -> None:
    """Refuse what would be ignored."""
    if given := [name for name, value in _some(names, asked).items() if value not in (None, False)]:
        raise UsageError(f"{', '.join(given)}: only with {goes_with}, but an object was given")
