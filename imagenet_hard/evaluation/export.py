"""Results in the forms of other projects, each named once in ``FORMS``.

Their fields stand in timm's ``results/*.csv``, in CLIP_benchmark's ``cli.py`` and in the schema of Every Eval
Ever (``every_eval_ever/schemas/eval.schema.json``).
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.runtime import __version__
from imagenet_hard.base.tables import exact_csv
from imagenet_hard.base.types import ModelSpec
from imagenet_hard.evaluation.metrics import Rate
from imagenet_hard.evaluation.result import Result
from imagenet_hard.evaluation.variant import variant

Relationship = Literal["first_party", "third_party", "collaborative", "other"]
"""Of who ran an evaluation to the model, in Every Eval Ever's words."""

RELATIONSHIPS: tuple[Relationship, ...] = get_args(Relationship)

SCHEMA = "0.3.0"
"""Version of Every Eval Ever's schema."""


@dataclass(frozen=True)
class Evaluator:
    """Who ran the evaluation, and how that stands to the model."""

    name: str
    relationship: Relationship


def export(results: Sequence[Result], form: str, evaluator: Evaluator | None = None) -> dict[str, str]:
    """Name of a file, or its path, -> its text; ``form``: one of ``FORMS``.

    ``evaluator``: for Every Eval Ever, which every record has to name.

    Raises:
        UsageError: no such form, a result that the form cannot hold, or two that would be one file.
    """
    if form not in FORMS:
        raise UsageError(f"unknown form {form!r}: expected {', '.join(FORMS)}")
    if (evaluator is None) == (form == EVERY_EVAL_EVER):
        raise UsageError(
            f"--evaluator and --relationship are for {EVERY_EVAL_EVER}, which has to name who ran the "
            "evaluation"
        )
    for result in results:
        if result.estimate:
            raise UsageError(f"{_label(result)} is an estimate: {form} has a place for scores only")
        if result.answers:
            raise UsageError(
                f"{_label(result)} answers in words: {form} has no place for how it was asked, and what its "
                "answers were read as"
            )
    return FORMS[form](results, evaluator)


def _timm(results: Sequence[Result], _: Evaluator | None) -> dict[str, str]:
    """One CSV of one benchmark, best first, as timm's ``results-imagenet.csv``."""
    found = {(r.benchmark.fingerprint, r.benchmark.name) for r in results}
    if len(found) > 1:
        names = ", ".join(sorted(f"{name} ({digest[:8]})" for digest, name in found))
        raise UsageError(
            f"timm has a file for each benchmark, these are results on {names}: export each alone"
        )
    rows = []
    for each in results:
        top1, top5 = 100 * each.metrics.top1.accuracy, 100 * _top5(each).accuracy
        model = each.model
        rows.append(
            (
                *(_timm_name(each), model.input_size[-1] if model.input_size else ""),
                *(f"{value:.3f}" for value in (top1, 100 - top1, top5, 100 - top5)),
                "" if model.parameters is None else f"{model.parameters / 1e6:,.2f}",
                *_crop(model.transform),
            )
        )
    rows.sort(key=lambda row: (-float(row[2]), -float(row[4]), str(row[0])))
    return {f"results-{_slug(results[0].benchmark.name)}.csv": exact_csv([TIMM_COLUMNS, *rows])}


TIMM_COLUMNS = (
    *("model", "img_size", "top1", "top1_err", "top5", "top5_err"),
    *("param_count", "crop_pct", "interpolation"),
)


def _clip_benchmark(results: Sequence[Result], _: Evaluator | None) -> dict[str, str]:
    """A JSON a result, as ``clip_benchmark eval`` writes it and ``clip_benchmark build`` reads it."""
    files: dict[str, str] = {}
    for each in results:
        model, metrics = each.model, each.metrics
        if model.head is None:
            raise UsageError(
                f"{_label(each)} is not a zero-shot model, and CLIP_benchmark's results are of those only"
            )
        values = {"acc1": metrics.top1.accuracy, "acc5": _top5(each).accuracy}
        if set(metrics.per_label_count) == {1}:  # with several labels an image is of no one class
            pairs = zip(metrics.per_class.n_correct, metrics.per_class.n_total, strict=True)
            recalls = [right / n for right, n in pairs if n]
            values["mean_per_class_recall"] = sum(recalls) / len(recalls)
        value = {
            "dataset": _data_set(each),
            "model": f"{model.name}{_variant(each)}",
            "pretrained": model.tag or "",
            "task": "zeroshot_classification",
            "metrics": values,
            "language": "en",
        }
        parts = (value[key] for key in ("dataset", "pretrained", "model", "language", "task"))
        _add(files, "_".join(_slug(str(part)) for part in parts) + ".json", json.dumps(value), each)
    return files


def _every_eval_ever(results: Sequence[Result], evaluator: Evaluator | None) -> dict[str, str]:
    """A JSON a result, below ``data/BENCHMARK/DEVELOPER/MODEL/`` as the datastore has it."""
    assert evaluator is not None
    files: dict[str, str] = {}
    for each in results:
        model, about = each.model, each.benchmark
        seconds = str(int(each.created.timestamp()))
        developer, name = _identity(model)
        value = {
            "schema_version": SCHEMA,
            "evaluation_id": f"{_data_set(each)}/{developer}/{name}/{seconds}",
            "evaluation_timestamp": each.created.isoformat(),
            "retrieved_timestamp": seconds,
            "source_metadata": {
                "source_name": "imagenet-hard",
                "source_type": "evaluation_run",
                "source_organization_name": evaluator.name,
                "evaluator_relationship": evaluator.relationship,
            },
            "eval_library": {
                "name": "imagenet-hard",
                "version": each.environment.versions.get("imagenet-hard", __version__),
            },
            "model_info": {
                "name": _label(each),
                "id": f"{developer}/{name}",
                "inference_platform": model.backend,
                "additional_details": _said(
                    deployment_type="self_deployed",
                    model_availability="unknown",
                    weights_sha256=model.weights_sha256,
                    parameters=model.parameters,
                    transform=dict(model.transform),
                    head=model.head and dict(model.head),
                ),
            },
            "evaluation_results": [
                _measured(each, "top-1", 1, each.metrics.top1),
                _measured(each, "top-5", 5, _top5(each)),
                *(
                    _measured(each, f"top-1 on {origin}", 1, rate)
                    for origin, rate in sorted(each.metrics.per_origin.items())
                    if len(each.metrics.per_origin) > 1
                ),
            ],
        }
        digest = hashlib.sha256(f"{each.run_key} {seconds} {evaluator}".encode()).digest()
        file = f"{uuid.UUID(bytes=digest[:16], version=4)}.json"
        folder = "/".join(_slug(part) for part in (about.name, developer, name))
        _add(files, f"data/{folder}/{file}", json.dumps(value, indent=2) + "\n", each)
    return files


def _top5(result: Result) -> Rate:
    assert result.metrics.top5 is not None  # ``export`` takes no answers in words
    return result.metrics.top5


def _measured(result: Result, name: str, k: int, rate: Rate) -> dict[str, Any]:
    """One of Every Eval Ever's ``evaluation_results``."""
    about, protocol = result.benchmark, result.protocol
    more = {"revision": about.revision, "fingerprint": about.fingerprint, "part": about.part or None}
    source: dict[str, Any] = {"dataset_name": _data_set(result), "source_type": "other"}
    if "/" in about.source:
        source |= {"source_type": "hf_dataset", "hf_repo": about.source, "samples_number": rate.n_total}
        source |= {"hf_split": about.split} if about.split else {}
    return {
        "evaluation_result_id": f"{_slug(about.name)}.{_slug(name)}",
        "evaluation_name": f"{about.name} {name}",
        "source_data": {**source, "additional_details": _said(**more)},
        "metric_config": {
            "evaluation_description": f"A prediction is right if one of the {k} best classes is among the "
            f"image's labels, over {len(protocol.classes.indices) if protocol.classes else 1000} classes",
            "metric_id": "accuracy",
            "metric_name": f"Top-{k} accuracy",
            "metric_kind": "accuracy",
            "metric_unit": "proportion",
            "metric_parameters": {"k": k},
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0,
            "max_score": 1,
        },
        "score_details": {
            "score": rate.accuracy,
            "details": _said(n_correct=rate.n_correct, n_total=rate.n_total),
            "uncertainty": {
                "confidence_interval": {
                    "lower": rate.low,
                    "upper": rate.high,
                    "confidence_level": 0.95,
                    "method": "Wilson score interval",
                },
                "num_samples": rate.n_total,
            },
        },
        "generation_config": {
            "additional_details": _said(
                precision=protocol.precision,
                batch_size=protocol.batch_size,
                transform=protocol.transform,
                exif_rotation=protocol.decode.get("exif_rotation", False),
                test_time_augmentation=protocol.tta and protocol.tta.label,
                classes=protocol.classes and protocol.classes.label,
                warnings="; ".join(protocol.warnings) or None,
            )
        },
    }


EVERY_EVAL_EVER = "every-eval-ever"

FORMS: Mapping[str, Callable[[Sequence[Result], Evaluator | None], dict[str, str]]] = {
    "timm": _timm,
    "clip-benchmark": _clip_benchmark,
    EVERY_EVAL_EVER: _every_eval_ever,
}
"""Name -> what writes it."""


def _said(**details: Any) -> dict[str, str]:
    """What is known, as strings, as Every Eval Ever has further details."""
    return {
        key: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        for key, value in details.items()
        if value is not None
    }


def _add(files: dict[str, str], name: str, text: str, result: Result) -> None:
    if name in files:
        raise UsageError(f"{_label(result)} on {result.benchmark.name}: two results would be the file {name}")
    files[name] = text


def _timm_name(result: Result) -> str:
    """``NAME.TAG`` of timm's models, with the backend in front of others."""
    model = result.model
    prefix = "" if model.backend == "timm" else f"{model.backend}:"
    return prefix + (f"{model.name}.{model.tag}" if model.tag else model.name) + _variant(result)


def _identity(model: ModelSpec) -> tuple[str, str]:
    """Developer and model of an id: those of a model that is named by a repository, else its backend."""
    owner, slash, rest = model.name.partition("/")
    name = rest if slash else model.name
    return (owner if slash else model.backend), (f"{name}.{model.tag}" if model.tag else name).replace(
        "/", "_"
    )


def _label(result: Result) -> str:
    return result.model.key + _variant(result)


def _variant(result: Result) -> str:
    """For the forms that have no field for it."""
    words = variant(result.model, result.protocol)
    return f" ({words})" if words else ""


def _data_set(result: Result) -> str:
    about = result.benchmark
    return " ".join(filter(None, (about.name, about.part)))


def _crop(transform: Mapping[str, Any]) -> tuple[str, str]:
    """timm's ``crop_pct`` and ``interpolation``; "" where the transform is no resize and centre crop."""
    resize, crop = transform.get("resize"), transform.get("crop")
    share = ""
    if isinstance(resize, int) and isinstance(crop, Sequence) and crop[0] == crop[1]:
        share = f"{crop[0] / resize:.3f}"
    return share, str(transform.get("interpolation", ""))


def _slug(text: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in text).strip(".") or "_"
