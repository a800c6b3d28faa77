"""Suites: those that come with the project, and what a wrong file is told."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.records import parse_record, record_names
from imagenet_hard.classifiers.transform import IMAGENET_MEAN, IMAGENET_STD, INTERPOLATIONS
from imagenet_hard.evaluation.suite import FOLDER, Suite, TransformOptions, load_suite


def test_the_suites_that_come_along() -> None:
    """Each is named like its file and says what it is for."""
    assert record_names(FOLDER) == ["demo", "openclip", "paper"]
    for name in record_names(FOLDER):
        suite = load_suite(name)
        assert suite.name == name
        assert suite.description


def test_paper() -> None:
    """The final table's models, with its weights and transforms."""
    models = {(each.model, each.weights or each.pretrained): each for each in load_suite("paper").models}
    for name in (
        "alexnet",
        "vgg16",
        "resnet18",
        "resnet50",
        "vit_b_32",
        "efficientnet_b0",
        "efficientnet_b7",
    ):
        assert models[name, "IMAGENET1K_V1"].transform == "paper"
    assert models["timm:tf_efficientnet_l2.ns_jft_in1k", None].transform == {
        "resize": 800,
        "crop": 800,
        "interpolation": "bilinear",
    }
    for name in ("open_clip:ViT-L-14", "open_clip:ViT-L-14-336"):
        assert models[name, "openai"].transform == "native"
    assert ("open_clip:ViT-bigG-14", "laion2b_s39b_b160k") in models


def test_openclip_is_the_published_sweep(shared: Path) -> None:
    """The 68 checkpoints of the published table, in its order."""
    with (shared / "reference" / "openclip_results.csv").open() as file:
        published = [(f"open_clip:{row['Model']}", row["Pretrained"]) for row in csv.DictReader(file)]
    assert [(each.model, each.pretrained) for each in load_suite("openclip").models] == published
    assert len(published) == 68


def test_every_model_exists() -> None:
    """torchvision, timm and open_clip know the names and the weights of all suites."""
    import open_clip
    import timm
    import torchvision

    pretrained = set(map(tuple, open_clip.list_pretrained()))
    for name in ("paper", "openclip"):
        for each in load_suite(name).models:
            backend, _, model = each.model.rpartition(":")
            if backend == "open_clip":
                assert (model, each.pretrained) in pretrained
            elif backend == "timm":
                assert model in timm.list_pretrained()
            else:
                assert each.weights in torchvision.models.get_model_weights(model).__members__


def test_transform_options_are_the_classifiers() -> None:
    """A suite takes each setting of an explicit transform that the classifiers know, and no other."""
    from imagenet_hard.classifiers.transform_policy import KEYS, explicit_transform

    assert set(TransformOptions.__annotations__) == set(KEYS)
    assert set(get_args(get_type_hints(TransformOptions)["interpolation"])) == set(INTERPOLATIONS)
    options = load_suite("paper").models[8].transform
    assert isinstance(options, dict)
    assert explicit_transform(options, IMAGENET_MEAN, IMAGENET_STD).crop == (800, 800)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    """A path gives a suite as well."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\nmodels: [{model: resnet50, transform: {resize: [224, 320]}, precision: bf16}]\n"
    )
    model = load_suite(path).models[0]
    assert (model.transform, model.precision, model.note) == ({"resize": (224, 320)}, "bf16", "")
    assert load_suite(str(path)) == load_suite(path)
    assert Suite.model_validate_json(load_suite(path).model_dump_json()) == load_suite(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "papr",
            "there is no suite 'papr': did you mean paper\\? there are demo, openclip, paper, or",
        ),
        ("zzz", "there is no suite 'zzz': there are demo, openclip, paper"),
        ("none.yaml", "cannot read none.yaml: it is not there"),
        ("../paper", "cannot read ../paper: it is not there"),
    ],
)
def test_unknown_suites(name: str, message: str) -> None:
    """An unknown suite lists those there are."""
    with pytest.raises(UsageError, match=message):
        load_suite(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name: x\nmodels:\n- model: a\n  wieghts: b",
            r"S:4: models\[0\]\.wieghts: unknown key: did you mean weights\? \(got 'b'\)",
        ),
        ("name: x\nmodels: [{model: a}]\nextra: 1", "S:3: extra: unknown key: expected some of name, desc"),
        ("name: x\nmodels: [{model: a, transform: {rezise: 9}}]", r"S:2: .*rezise: .* did you mean resize\?"),
        ("name: x\nmodels: [{model: a}, {weights: b}]", r"S:2: models\[1\]\.model: this key is missing"),
        (
            "name: x\nmodels:\n- {model: a}\n- {model: 3}",
            r"S:4: models\[1\]\.model: YAML reads 3 as a number: write '3', in quotes",
        ),
        ("name: x\nmodels: []", "S:2: models: Tuple should have at least 1 item"),
        (
            "name: x\nmodels: [{model: a, transform: big}]",
            r"models\[0\]\.transform: Input should be 'native', 'paper' or 'study'",
        ),
        (
            "name: x\nmodels:\n- model: a\n  transform:\n    resize: 0",
            r"S:5: models\[0\]\.transform\.resize: .*\(got 0\)",
        ),
        (
            "name: x\nmodels:\n- model: a\n  transform: {size: 1}",
            r"S:4: models\[0\]\.transform\.size: unknown key",
        ),
        (
            "name: x\nmodels: [{model: a, precision: fp8}]",
            r"precision: Input should be 'fp32', 'bf16' or 'fp16'",
        ),
        ("name: x\nmodels: [{model: a}, {model: a, note: n}]", r"models\[1\] \(a\) repeats an earlier one"),
        ("name: A B\nmodels: [{model: a}]", "S:1: name: String should match pattern"),
        ("name: x\nname: y", "S:2: the key 'name' stands twice"),
        ("a: &a [1]\nb: *a", "S:2: aliases are not read"),
        ("name: x\n  bad: [", "S:2: mapping values are not allowed here"),
        ("!!python/object:os.system x", "S:1: could not determine a constructor for the tag"),
        ("[" * 50, "S:1: nested too deep"),
        ("{[a]: b}", "S:1: a key must be a word"),
        ("name: 2020-99-99", "S: not YAML: month must be in"),
        ("\0", "S: not YAML: unacceptable character"),
        ("", "S: expected the keys name, models"),
        ("- 1", "S: expected the keys"),
    ],
)
def test_wrong_files_name_the_line(text: str, message: str) -> None:
    """The first mistake is named with its line, its key and what stands there, on one line."""
    with pytest.raises(UsageError, match=message) as caught:
        parse_record(Suite, text.encode(), "S")
    assert "\n" not in str(caught.value)


def test_a_huge_suite_is_not_read(tmp_path: Path) -> None:
    """Beyond 1 MiB nothing is parsed."""
    path = tmp_path / "big.yaml"
    path.write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(UsageError, match="more than 1048576 bytes"):
        load_suite(path)
