"""Results in the forms of timm, CLIP_benchmark and Every Eval Ever."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.types import BenchmarkInfo, ModelSpec
from imagenet_hard.cli.main import group, run
from imagenet_hard.evaluation.export import Evaluator, export
from imagenet_hard.evaluation.result import Result, write_result
from imagenet_hard.evaluation.variant import variant
from imagenet_hard.tta.settings import tta_settings
from tests.evaluation.scored import make_result, make_scored

TRANSFORM = {"kind": "standard", "resize": 256, "crop": [224, 224], "interpolation": "bicubic"}
WHO = Evaluator("Some Lab", "third_party")


def timm(name: str = "vit_tiny", tag: str = "in1k", seed: int = 0, **more: Any) -> Result:
    model = ModelSpec(
        backend="timm",
        name=name,
        tag=tag,
        parameters=1_013_010_000,
        input_size=(224, 224),
        transform=TRANSFORM,
        **more,
    )
    return make_result(make_scored(seed=seed)[0], model=model)


def clip(scored=None, **more: Any) -> Result:
    head = {"templates": "openai-80", "classnames": "open_clip"}
    model = ModelSpec(backend="open_clip", name="ViT-B-32", tag="openai", transform=TRANSFORM, head=head)
    return make_result(scored or make_scored()[0], model=model, **more)


def with_protocol(result: Result, **changes: Any) -> Result:
    return result.model_copy(update={"protocol": result.protocol.model_copy(update=changes)})


def test_timm_has_its_columns_best_first():
    """As its `results-imagenet.csv`: percent with three places, millions of parameters with two."""
    results = [timm(seed=0), with_protocol(timm(seed=1), precision="bf16"), timm("resnet50", "a1_in1k", 2)]
    files = export(results, "timm")
    assert list(files) == ["results-imagenet-hard.csv"]
    rows = list(csv.DictReader(io.StringIO(files["results-imagenet-hard.csv"])))
    assert ",".join(rows[0]) == (
        "model,img_size,top1,top1_err,top5,top5_err,param_count,crop_pct,interpolation"
    )
    assert {row["model"] for row in rows} == {"vit_tiny.in1k", "vit_tiny.in1k (bf16)", "resnet50.a1_in1k"}
    assert [float(row["top1"]) for row in rows] == sorted((float(row["top1"]) for row in rows), reverse=True)
    (first,) = (row for row in rows if row["model"] == "vit_tiny.in1k")
    assert first["top1"] == f"{100 * results[0].metrics.n_correct / 40:.3f}"
    assert float(first["top1"]) + float(first["top1_err"]) == 100
    assert (first["img_size"], first["param_count"]) == ("224", "1,013.01")
    assert (first["crop_pct"], first["interpolation"]) == ("0.875", "bicubic")


def test_timm_has_a_file_for_each_benchmark():
    """And no crop share where there is no such crop."""
    other = BenchmarkInfo(name="sketch", source="folder", n=40, fingerprint="cd" * 32)
    with pytest.raises(UsageError, match=r"\(abababab\), sketch \(cdcdcdcd\): export each alone"):
        export([timm(), timm().model_copy(update={"benchmark": other})], "timm")
    squashed = timm().model_copy(update={"model": timm().model.model_copy(update={"transform": {}})})
    (row,) = csv.DictReader(io.StringIO(export([squashed], "timm")["results-imagenet-hard.csv"]))
    assert (row["crop_pct"], row["interpolation"]) == ("", "")


def test_clip_benchmark_builds_its_table_of_them():
    """By the lines of its own `build`; recalls only where each image is of one class."""
    results = [clip(), with_protocol(clip(), tta=tta_settings("zoom", views=8).recorded())]
    files = export(results, "clip-benchmark")
    assert next(iter(files)) == "imagenet-hard_openai_ViT-B-32_en_zeroshot_classification.json"
    rows = []
    for text in files.values():
        data, row = json.loads(text), {}
        row.update(data["metrics"])
        row.update(data)
        del row["metrics"]
        row["model_fullname"] = row["model"] + " " + row["pretrained"]
        rows.append(row)
    assert [row["model_fullname"] for row in rows] == ["ViT-B-32 openai", "ViT-B-32 (TTA zoom8) openai"]
    assert rows[0]["acc1"] == results[0].metrics.n_correct / 40
    assert "mean_per_class_recall" not in rows[0]
    scored, _ = make_scored()
    single = replace(scored, labels=tuple((each[0] % 7,) for each in scored.labels))
    value = json.loads(next(iter(export([clip(single)], "clip-benchmark").values())))
    truth = np.array([each[0] for each in single.labels])
    right = single.predictions.top5[:, 0] == truth
    recall = np.mean([right[truth == c].mean() for c in np.unique(truth)])
    assert value["metrics"]["mean_per_class_recall"] == pytest.approx(recall)


def test_every_eval_ever_says_what_it_is():
    """Counts, interval, who ran it; a path as the datastore has it, the same each time."""
    result = timm(weights_sha256="ab" * 32)
    ((path, text),) = export([result], "every-eval-ever", WHO).items()
    assert export([result], "every-eval-ever", WHO) == {path: text}
    folder, name = path.rsplit("/", 1)
    assert folder == "data/imagenet-hard/timm/vit_tiny.in1k"
    assert name.removesuffix(".json")[14] == "4"
    value = json.loads(text)
    assert value["evaluation_id"] == "imagenet-hard/timm/vit_tiny.in1k/1769860800"
    assert value["source_metadata"]["evaluator_relationship"] == "third_party"
    top1 = value["evaluation_results"][0]
    rate = result.metrics.top1
    assert top1["score_details"]["score"] == rate.accuracy
    interval = top1["score_details"]["uncertainty"]["confidence_interval"]
    assert (interval["lower"], interval["upper"]) == (rate.low, rate.high)
    assert top1["source_data"]["hf_repo"] == "taesiri/imagenet-hard"
    names = [each["evaluation_name"].removeprefix("imagenet-hard ") for each in value["evaluation_results"]]
    assert names == [
        *("top-1", "top-5"),
        *(f"top-1 on {origin}" for origin in ("ImageNet", "ImageNet-Sketch", "ObjectNet")),
    ]


def test_every_eval_ever_takes_it(tmp_path):
    """By the validator of its package, whose paths and records are checked."""
    core = pytest.importorskip("every_eval_ever.validator.validation_core")
    folder = BenchmarkInfo(name="my set", source="folder", n=40, fingerprint="cd" * 32)
    results = [
        timm(),
        with_protocol(clip(), precision="bf16"),
        clip(benchmark=folder),
        timm("lab/net", "v1"),
    ]
    for path, text in export(results, "every-eval-ever", WHO).items():
        file = tmp_path / path
        file.parent.mkdir(parents=True)
        file.write_text(text)
        report = core.validate_file(file)
        assert (report.valid, report.errors) == (True, []), report
        assert core.check_path_structure(path) == []


@pytest.mark.parametrize(
    ("result", "form", "who", "message"),
    [
        (timm(), "clip-benchmark", None, "timm:vit_tiny/in1k is not a zero-shot model"),
        (timm(), "every-eval-ever", None, "has to name who ran the evaluation"),
        (timm(), "timm", WHO, "--evaluator and --relationship are for every-eval-ever"),
        (timm(), "helm", None, "unknown form 'helm': expected timm, clip-benchmark, every-eval-ever"),
    ],
)
def test_what_a_form_cannot_hold(result, form, who, message):
    """Is refused, and said."""
    with pytest.raises(UsageError, match=message):
        export([result], form, who)


def test_two_results_are_never_one_file():
    """The same model twice: neither is lost."""
    with pytest.raises(UsageError, match="two results would be the file"):
        export([clip(), clip()], "clip-benchmark")


def test_what_differs_from_the_default_is_told():
    """Each thing in a few words, a default run in none."""
    plain = clip()
    assert variant(plain.model, plain.protocol) == ""
    other = with_protocol(plain, transform="paper", precision="fp16", decode={"exif_rotation": True})
    head = {"templates": "single", "classnames": "distinct"}
    model = plain.model.model_copy(update={"head": head})
    assert variant(model, other.protocol) == (
        "paper transform, fp16, turned by EXIF, prompts single, class names distinct"
    )


def test_the_command(tmp_path, capsys):
    """Results as they lie on disk; what belongs together is asked for together."""
    scored = make_scored()[0]
    path = write_result(tmp_path / "results", timm(), scored.predictions)
    out = tmp_path / "out"

    def command(*arguments: object) -> int:
        return run(group, ["export", *map(str, arguments)], "imagenet-hard")

    assert command(path, "--form", "timm", "--out", out) == 0
    assert capsys.readouterr().out.strip() == str(out / "results-imagenet-hard.csv")
    who = ("--evaluator", "Lab", "--relationship", "first_party")
    assert command(path, "--form", "every-eval-ever", "--out", out, *who) == 0
    assert Path(capsys.readouterr().out.strip()).is_file()
    assert command(path, "--form", "every-eval-ever", "--out", out, *who[:2]) == 2
    assert "belong together" in capsys.readouterr().err
