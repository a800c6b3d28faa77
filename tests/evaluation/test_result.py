"""The Result: files, refusals, names and schema."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.types import ModelSpec
from imagenet_hard.evaluation.predictions import predictions_sha256, write_predictions
from imagenet_hard.evaluation.result import (
    Protocol,
    Result,
    check_together,
    read_result,
    result_json,
    result_schema,
    result_stem,
    write_result,
)
from tests.evaluation.scored import make_result, make_scored

ROOT = Path(__file__).resolve().parents[2]


def test_round_trip(tmp_path: Path) -> None:
    """What is written is what is read, file by file."""
    scored, _ = make_scored()
    result = make_result(scored)
    path = write_result(tmp_path / "out", result, scored.predictions)
    assert sorted(each.name for each in path.parent.iterdir()) == [
        "torchvision-vit_b_32-IMAGENET1K_V1-native-fp32.json",
        "torchvision-vit_b_32-IMAGENET1K_V1-native-fp32.parquet",
    ]
    again, predictions = read_result(path)
    assert again == result
    assert predictions.ids == scored.predictions.ids
    assert predictions_sha256(predictions) == result.predictions_sha256
    assert Result.model_validate_json(result_json(again)) == result


def test_json_is_readable() -> None:
    """Long lists of numbers take one line, and the text is the record's own JSON."""
    result = make_result(make_scored()[0])
    text = result_json(result)
    assert len(text.splitlines()) < 400
    assert json.loads(text) == json.loads(result.model_dump_json())
    tricky = make_result(make_scored()[0], name='a "[\n1,\n2\n]" b')
    assert Result.model_validate_json(result_json(tricky)) == tricky


def test_a_stem_of_ones_own(tmp_path: Path) -> None:
    """The caller may name the files, dots and all, and replaces what bears that name."""
    scored, _ = make_scored()
    for name in ("one", "two"):
        path = write_result(tmp_path, make_result(scored, name=name), scored.predictions, stem="v1.0-x")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["v1.0-x.json", "v1.0-x.parquet"]
    assert read_result(path)[0].model.name == "two"


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    """Predictions of another run are neither written nor read under a result."""
    scored, _ = make_scored()
    other, _ = make_scored(seed=1)
    result = make_result(scored)
    with pytest.raises(ResultError, match="do not belong together; score the model again"):
        write_result(tmp_path, result, other.predictions)
    assert not list(tmp_path.iterdir())
    path = write_result(tmp_path, result, scored.predictions)
    write_predictions(path.with_suffix(".parquet"), other.predictions)
    with pytest.raises(ResultError, match=f"{path.name}: the predictions hash to .* do not belong together"):
        read_result(path)
    write_predictions(path.with_suffix(".parquet"), make_scored(7)[0].predictions)
    with pytest.raises(ResultError, match="7 predictions for 40 images"):
        read_result(path)
    path.with_suffix(".parquet").unlink()
    with pytest.raises(ResultError, match=r"\.parquet: it is not there"):
        read_result(path)
    with pytest.raises(ResultError, match=r"expected the \.json beside the \.parquet"):
        read_result(path.with_suffix(".parquet"))


def test_metrics_that_the_predictions_contradict() -> None:
    """Near-ties and calibration have to follow from the predictions, too."""
    scored, _ = make_scored()
    result = make_result(scored)
    p = scored.predictions
    paler = replace(p, logprob5=p.logprob5 - np.float32(1))
    ties = result.metrics.near_ties.model_copy(update={"n": 30})
    for predictions, metrics, message in (
        (p, result.metrics.model_copy(update={"near_ties": ties}), "near_ties.n is 30: the margins give"),
        (
            paler,
            result.metrics,
            "metrics.calibration.n_total does not follow|calibration.confidence does not",
        ),
    ):
        forged = result.model_copy(
            update={"metrics": metrics, "predictions_sha256": predictions_sha256(predictions)}
        )
        with pytest.raises(ResultError, match=message):
            check_together(forged, predictions)


def change(path: str, value: Any) -> Any:
    """A function that sets one dotted key of a JSON document."""

    def apply(document: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for key in parents:
            document = document[key]
        document[last] = value

    return apply


@pytest.mark.parametrize(
    ("apply", "message"),
    [
        (change("metrics.top1.accuracy", 0.9), r"metrics\.top1: accuracy is 0\.9: 14 of 40 gives 0\.35"),
        (change("metrics.correct_bits", "AAAAAAA="), r"metrics: correct_bits has 0 ones"),
        (change("benchmark.n", 41), "benchmark.n is 41: metrics count 40 images"),
        (change("runtime.n_scored", 39), "runtime counts 39 images: metrics count 40"),
        (
            change("predictions_sha256", "zz"),
            r"predictions_sha256: String should match pattern .*\(got 'zz'\)",
        ),
        (
            change("protocol.precision", "fp64"),
            r"protocol\.precision: Input should be 'fp32', 'bf16' or 'fp16'",
        ),
        (
            change("metrics.top1.n_correct", "14"),
            r"metrics\.top1\.n_correct: Input should be a valid integer",
        ),
        (change("protocol.tta", "memo"), r"protocol\.tta: Input should be an object"),
        (change("modell", {}), "modell: unknown key"),
        (change("schema_version", 2), "schema version 2: this release reads 1; upgrade imagenet-hard"),
        (change("schema_version", 0), "schema version 0: .* score the model again"),
        (change("created", "2026-01-31T12:00:00+01:00"), "created: expected a time in UTC"),
        (change("created", "yesterday"), "created: Input should be a valid datetime"),
        (change("runtime.seconds", -1), "runtime.seconds: Input should be greater than or equal to 0"),
        (change("package_metrics", {"a b": {"package": "p 1", "values": 1.0}}), r"package_metrics\.a b"),
        (change("package_metrics", {"a": {"package": "p 1", "values": {}}}), r"package_metrics\.a\.values"),
        (
            change("package_metrics", {"a": {"package": "p 1", "values": 1e999}}),
            r"package_metrics\.a\.values\..*finite number",
        ),
    ],
)
def test_wrong_files_name_the_place(tmp_path: Path, apply: Any, message: str) -> None:
    """The first wrong key is named with its path and what stands there."""
    scored, _ = make_scored()
    path = write_result(tmp_path, make_result(scored), scored.predictions)
    document = json.loads(path.read_text())
    apply(document)
    path.write_text(json.dumps(document))
    with pytest.raises(ResultError, match=message) as caught:
        read_result(path)
    assert str(caught.value).startswith(str(path))


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    """Beyond 64 MiB nothing is parsed."""
    path = tmp_path / "r.json"
    with path.open("wb") as file:
        file.truncate(64 * 2**20 + 1)
    with pytest.raises(ResultError, match="more than 67108864 bytes: it is not read"):
        read_result(path)


def test_created_is_utc() -> None:
    """Times are kept in whole seconds of UTC and read from text as well."""
    scored, _ = make_scored()
    result = make_result(scored, created=datetime(2026, 1, 31, 12, 0, 0, 999, tzinfo=UTC))
    assert json.loads(result_json(result))["created"] == "2026-01-31T12:00:00Z"
    assert make_result(scored, created="2026-01-31T12:00:00+00:00") == result


def spec(**fields: Any) -> ModelSpec:
    """A model with the given names."""
    return ModelSpec(**{"backend": "timm", "name": "vit", "tag": "a", "transform": {}, **fields})


def test_stems_are_safe_and_distinct() -> None:
    """Weights, transform and precision show in the name; nothing in it can leave the folder."""
    specs = [
        spec(),
        spec(tag="b"),
        spec(tag=None),
        spec(tag="untagged"),
        spec(tag="../a"),
        spec(tag="a/b"),
        spec(tag="a_b"),
        spec(tag="a b"),
        spec(name="x" * 300),
        spec(name="x" * 301),
        spec(name="../../etc/passwd"),
        spec(name=".hidden"),
        spec(name="modèle"),
        spec(name=""),
        spec(backend="open_clip"),
    ]
    stems = [
        result_stem(each, precision, transform)
        for each in specs
        for precision in ("fp32", "bf16")
        for transform in ("native", "paper")
    ]
    assert len({stem.lower() for stem in stems}) == len(stems)
    for stem in stems:
        assert len(stem) < 200
        assert set(stem) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
        assert stem[0].isalnum()


def test_schema_is_current() -> None:
    """docs/result.schema.json is what the records say."""
    path = ROOT / "docs" / "result.schema.json"
    assert json.loads(path.read_text(encoding="utf-8")) == json.loads(result_schema()), (
        "the records have changed: run `python -m imagenet_hard.evaluation.result > docs/result.schema.json`"
    )


def test_schema_describes_a_result() -> None:
    """Every key of a real result is in the schema, and the schema asks for no other."""
    schema, document = json.loads(result_schema()), json.loads(result_json(make_result(make_scored()[0])))
    # A model that is known by name has no witness; no package's metric was asked for, and no estimate.
    assert set(schema["properties"]) == {*document, "witness", "package_metrics", "estimate", "answers"}
    assert set(schema["$defs"]["Metrics"]["properties"]) == set(document["metrics"])
    assert schema["additionalProperties"] is False


def test_protocol_defaults() -> None:
    """The safe settings are the default: no TF32, nothing rewritten, no augmentation."""
    protocol = Protocol(precision="fp32", batch_size=1, transform="native", decode={})
    assert (protocol.tf32, protocol.optimizations, protocol.tta) == (False, [], None)
