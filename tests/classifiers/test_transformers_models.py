"""Image classifiers of transformers: scored as in its own pipeline, or refused, from a folder or the Hub."""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import json
import pickle
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from imagenet_hard import evaluate, evaluate_all, load_classifier, read_result
from imagenet_hard.base.errors import ClassifierError, UnknownModelError, UsageError, WeightsError
from imagenet_hard.classifiers.base import Classifier
from imagenet_hard.classifiers.outputs import AsLogits
from imagenet_hard.classifiers.own_code import brings_own_code
from imagenet_hard.classifiers.processor_transform import ProcessorTransform
from imagenet_hard.classifiers.transform_policy import with_policy
from imagenet_hard.curation.recipe import ClassifierSpec
from imagenet_hard.curation.score.classifiers import ZoomClassifier, load_zoom_classifier
from imagenet_hard.curation.score.run import score
from imagenet_hard.dataset.decode import decode
from imagenet_hard.imagenet.classes import wnids
from imagenet_hard.imagenet.zoom import ZoomGrid
from imagenet_hard.study.matrix import collect
from tests.classifiers.small_transformers import SIZE, change_config, convert_vit, save_classifier, twin
from tests.curation.small import SETTINGS, made
from tests.hub.server import LoopbackHub
from tests.study.small import recipe

transformers = pytest.importorskip("transformers")

SHUFFLED = random.Random(0).sample(wnids(), 1000)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small ViT whose outputs are in the order of the classes."""
    folder = tmp_path_factory.mktemp("models") / "small-vit"
    save_classifier(folder)
    return folder


@pytest.fixture
def copy(plain: Path, tmp_path: Path) -> Path:
    """One of one's own, to break."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in plain.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def logits(folder: Path | str, image: Image.Image, **options: Any) -> torch.Tensor:
    """float32 (1000,)"""
    classifier = load_classifier(f"transformers:{folder}", **options)
    with torch.inference_mode():
        row: torch.Tensor = classifier.module(
            classifier.transform.batch([classifier.transform.pixels(image)], "cpu")
        )[0]
    return row


def test_real_weights_score_as_in_the_pipeline(shared: Path, tmp_path: Path) -> None:
    """timm's ViT-tiny, its outputs shuffled: each class has the probability that its label has there."""
    weights = shared / "data" / "weights" / "vit_tiny_patch16_224.augreg_in21k_ft_in1k.safetensors"
    photographs = sorted((shared / "data" / "imagenet-samples").glob("*.JPEG"))[::140]
    if not weights.exists() or not photographs:
        pytest.skip("needs ViT-tiny and ImageNet samples in the shared data")
    convert_vit(weights, tmp_path / "vit", SHUFFLED)
    pipeline = transformers.pipeline("image-classification", model=str(tmp_path / "vit"))
    classifier = load_classifier(f"transformers:{tmp_path / 'vit'}")
    right = 0
    for path in photographs:
        with Image.open(path) as image:
            batch = classifier.transform.batch([classifier.transform.pixels(image)], "cpu")
            expected = {each["label"]: each["score"] for each in pipeline(image, top_k=1000)}
        with torch.inference_mode():
            got = classifier.module(batch)[0].softmax(dim=0)
        torch.testing.assert_close(
            got, torch.tensor([expected[wnid] for wnid in wnids()]), rtol=1e-4, atol=1e-7
        )
        right += int(path.name.startswith(wnids()[int(got.argmax())]))
    assert right >= 3  # of 5, at 75 %


def test_what_a_result_says(plain: Path) -> None:
    """Which processor ran, no path of this machine; the layers are a library's."""
    classifier = load_classifier(f"transformers:{plain}")
    spec = classifier.spec
    assert (spec.backend, spec.name, spec.tag, spec.input_size) == (
        "transformers", "small-vit", None, (SIZE, SIZE),
    )  # fmt: skip
    assert spec.transform["resizer"] == "torchvision"
    assert isinstance(classifier.transform, ProcessorTransform)
    assert spec.parameters == sum(p.numel() for p in classifier.module.parameters())
    assert str(plain.parent) not in spec.model_dump_json()
    assert not brings_own_code(classifier)
    again = pickle.loads(pickle.dumps(classifier))
    batch = torch.rand(2, 3, SIZE, SIZE)
    assert torch.equal(again.module(batch), classifier.module(batch))


@pytest.mark.parametrize("background", [None, 0, 1000])
def test_outputs_come_in_the_order_of_the_classes(tmp_path: Path, background: int | None) -> None:
    """Whatever the order of the labels, with a background class that is left out before the softmax."""
    labels = list(SHUFFLED)
    if background is not None:
        labels.insert(background, "background")
    model = save_classifier(tmp_path, labels)
    classifier = load_classifier(f"transformers:{tmp_path}")
    assert classifier.outputs.drop_class == background
    assert isinstance(classifier.module, AsLogits) == (background is not None)
    batch = torch.randn(3, 3, SIZE, SIZE)
    with torch.inference_mode():
        raw, got = model(batch).logits, classifier.module(batch)
    for index, wnid in enumerate(wnids()):
        assert torch.equal(got[:, index], raw[:, labels.index(wnid)])
    if background is not None:
        assert (
            load_classifier(f"transformers:{tmp_path}", drop_class=background).outputs.drop_class
            == background
        )
        with pytest.raises(UsageError, match="--drop-class is for"):
            load_classifier(f"transformers:{tmp_path}", drop_class=1000 - background)
        result = evaluate(f"transformers:{tmp_path}", "sample", limit=4)
        assert result.protocol.drop_class == background


def test_it_runs_like_any_other(plain: Path, tmp_path: Path) -> None:
    """In one pass with another backend, under the study's zoom, and with test-time augmentation."""
    names = [f"transformers:{plain}", "efficientnet_lite0"]
    together = dict(evaluate_all(names, "sample", limit=3))
    alone = evaluate(names[0], "sample", limit=3)
    first = together[names[0]]
    assert not isinstance(first, Exception), first
    assert first.predictions_sha256 == alone.predictions_sha256
    assert alone.witness is None
    assert alone.environment.versions["transformers"] == transformers.__version__
    studied = evaluate(names[0], "sample", limit=2, transform={"resize": 40, "crop": 32})
    assert studied.model.transform["kind"] == "standard"
    with pytest.raises(ClassifierError, match="cannot take 224 x 224 pixels, its own size is 32 x 32"):
        load_classifier(names[0], transform="study")
    zoomed = evaluate(names[0], "sample", limit=2, tta="zoom")
    assert zoomed.protocol.tta is not None
    assert zoomed.metrics.n_total == 2


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Classifier]:
    """A model's name, and a classifier that computes the same by timm's code."""
    folder = tmp_path_factory.mktemp("twins") / "vit"
    model = save_classifier(folder)
    with torch.no_grad():
        for each in model.vit.parameters():
            if each.ndim > 1:
                each.mul_(12)  # so that it tells images apart
    model.save_pretrained(folder)
    name = f"transformers:{folder}"
    return name, replace(load_classifier(name), module=twin(model))


def test_curation_and_study_find_what_they_find_of_its_twin(
    twins: tuple[str, Classifier], tmp_path: Path
) -> None:
    """Every zoom of every image, against timm's network over single crops; and the same images survive."""
    name, other = twins
    plan = recipe().model_copy(
        update={"classifiers": tuple(ClassifierSpec(model=each, size=SIZE) for each in (name, "twin"))}
    )
    mine, its = plan.classifiers
    grid = plan.grid(SIZE)
    own = load_zoom_classifier(mine, grid)
    both = [own, ZoomClassifier(its.id, with_policy(other, {"crop": SIZE, "interpolation": "bicubic"}), grid)]
    images = made(6)
    seen = np.stack([by_every_zoom(data, other.module, grid) for data in images.data])
    assert len(np.unique(seen)) > 10
    # Two of three images have the class of one of their zooms as label, the third has none of theirs.
    labels = [
        (int(row[i % len(row)]) if i % 3 else min(set(range(1000)) - set(row.tolist())),)
        for i, row in enumerate(seen)
    ]
    images = replace(images, labels=labels)
    first = images.source(order=range(4))
    renamed = [id.replace("imagenet/", "imagenet-sketch/") for id in images.ids]
    found = [first, replace(images, ids=renamed).source("imagenet-sketch", order=range(4, 6))]
    score(plan, found, tmp_path / "all", SETTINGS, mode="exhaustive", classifiers=both)
    matrix = collect(plan, tmp_path / "all")
    expected = seen == np.array(labels)
    for each in (mine, its):
        np.testing.assert_array_equal(matrix.correct(each.id), expected)
    for number, each in enumerate(both):
        alone = plan.model_copy(update={"classifiers": (plan.classifiers[number],)})
        summary = score(alone, found, tmp_path / f"{number}", SETTINGS, classifiers=[each])
        assert sum(summary.hard.values()) == int((~expected.any(axis=1)).sum()) == 2


def by_every_zoom(data: bytes, module: torch.nn.Module, grid: ZoomGrid) -> np.ndarray:
    """int (n zooms,): the class of each crop, by itself."""
    image = decode(data).convert("RGB")
    found = []
    for number in range(len(grid)):
        ((_, pixels),) = grid.crops(image, [number])
        batch = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            found.append(int(module((batch - 0.5) / 0.5)[0].argmax()))
    return np.array(found)


@pytest.mark.parametrize("tta", ["zoom", "memo", "zoom-memo"])
def test_augmented_as_its_twin(twins: tuple[str, Classifier], tmp_path: Path, tta: str) -> None:
    """By several views of an image, and by a step of the weights on them."""
    name, other = twins
    found = []
    for folder, model in (("a", name), ("b", other)):
        evaluate(model, "sample", limit=4, tta=tta, out=tmp_path / folder)
        (path,) = (tmp_path / folder).glob("*/*.json")
        found.append(read_result(path)[1])
    np.testing.assert_array_equal(found[0].top5, found[1].top5)
    np.testing.assert_allclose(found[0].logprob5, found[1].logprob5, atol=1e-3)


def test_weights_of_ones_own(plain: Path, tmp_path: Path) -> None:
    """--weights FILE takes the place of the folder's."""
    other = save_classifier(tmp_path / "other", seed=1)
    torch.save(other.state_dict(), tmp_path / "mine.pt")
    image = Image.new("RGB", (50, 40), (9, 200, 77))
    got = logits(plain, image, weights=str(tmp_path / "mine.pt"))
    torch.testing.assert_close(got, logits(tmp_path / "other", image))
    spec = load_classifier(f"transformers:{plain}", weights=str(tmp_path / "mine.pt")).spec
    assert spec.tag == "mine.pt"
    torch.save({}, tmp_path / "empty.pt")
    with pytest.raises(WeightsError, match=r"empty\.pt"):
        load_classifier(f"transformers:{plain}", weights=str(tmp_path / "empty.pt"))


def test_shards_and_pickles_of_weights(plain: Path, tmp_path: Path, copy: Path) -> None:
    """Both load the same; what lacks a part, or holds code, is refused."""
    image = Image.new("RGB", (50, 40), (9, 200, 77))
    expected = logits(plain, image)
    model = transformers.ViTForImageClassification.from_pretrained(plain)
    model.save_pretrained(tmp_path / "shards", max_shard_size="60KB")
    (tmp_path / "shards" / "preprocessor_config.json").write_bytes(
        (plain / "preprocessor_config.json").read_bytes()
    )
    torch.testing.assert_close(logits(tmp_path / "shards", image), expected, rtol=1e-4, atol=1e-5)
    shard = sorted((tmp_path / "shards").glob("*.safetensors"))[-1]
    shard.unlink()
    with pytest.raises(WeightsError, match=f"lacks {shard.name}, which model.safetensors.index.json names"):
        load_classifier(f"transformers:{tmp_path / 'shards'}")
    index = tmp_path / "shards" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../../a.safetensors"}}))
    with pytest.raises(WeightsError, match="is not an index: expected a weight_map of file names"):
        load_classifier(f"transformers:{tmp_path / 'shards'}")
    (copy / "model.safetensors").unlink()
    torch.save(model.state_dict(), copy / "pytorch_model.bin")
    torch.testing.assert_close(logits(copy, image), expected, rtol=1e-4, atol=1e-5)

    class Harm:
        def __reduce__(self) -> tuple[Any, ...]:
            return ((tmp_path / "harm").mkdir, ())

    torch.save({"vit": Harm()}, copy / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="the weights of .* cannot be loaded by transformers"):
        load_classifier(f"transformers:{copy}")
    assert not (tmp_path / "harm").exists()
    (copy / "pytorch_model.bin").unlink()
    with pytest.raises(WeightsError, match="has no weights: expected one of model.safetensors, "):
        load_classifier(f"transformers:{copy}")


def test_a_random_head_is_never_scored(copy: Path) -> None:
    """A backbone under the name of a classifier, and a NaN."""
    from safetensors.torch import load_file, save_file

    state = load_file(copy / "model.safetensors")
    state["classifier.bias"][3] = float("nan")
    save_file(state, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsError, match="1 of the 1000 values of 'classifier.bias' are NaN"):
        load_classifier(f"transformers:{copy}")
    del state["classifier.bias"]
    save_file(state, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsError, match="lack 1 of the model's tensors, for instance 'classifier.bias'"):
        load_classifier(f"transformers:{copy}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architectures": ["ViTModel"]}, "is 'ViTModel', which gives features and no classes: expected an"),
        ({"architectures": ["ViTForMaskedImageModeling"]}, "is 'ViTForMaskedImageModeling', which gives"),
        ({"model_type": "clip_vision_model", "architectures": None}, "is 'clip_vision_model', which gives"),
        ({"model_type": "vit_of_mine"}, "the model type 'vit_of_mine', which transformers .* does not have"),
        (
            {"model_type": "vit_of_mine", "auto_map": {"AutoConfig": "mine.Config"}},
            "needs code of its own from its repository .trust_remote_code., which is never run here",
        ),
        ({"model_type": None, "architecture": "vit"}, "is a model of timm: name it hf-hub:ORG/NAME"),
        ({"id2label": None}, "has no id2label"),
        ({"id2label": {"0": "cat", "2": "dog"}}, "expected a name for each number from 0 on"),
        ({"id2label": {"0": "cat", "1": 3}}, "expected a name for each number from 0 on"),
        ({"_attn_implementation": "somebody/kernel"}, "attention 'somebody/kernel': expected eager or sdpa"),
        (
            {"text_config": {"attn_implementation": "somebody/kernel"}},
            "the attention 'somebody/kernel': expected eager or sdpa",
        ),
        ({"num_attention_heads": 5}, "the weights of .* cannot be loaded by transformers"),
        ({"hidden_size": 48}, "the weights of .* cannot be loaded by transformers"),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_is_refused(copy: Path, changes: dict[str, Any], message: str) -> None:
    """By its configuration, before its weights are fetched where that tells."""
    change_config(copy, changes)
    with pytest.raises(ClassifierError, match=message):
        load_classifier(f"transformers:{copy}")


def test_what_is_wrong_with_its_files_is_said(copy: Path) -> None:
    """No processor, one that needs code, a configuration that is none."""
    change_config(
        copy,
        {"image_processor_type": None, "auto_map": {"AutoImageProcessor": "mine.Processor"}},
        "preprocessor_config.json",
    )
    (copy / "mine.py").write_text("raise SystemExit('harm')")
    with pytest.raises(ClassifierError, match="needs code of its own from its repository"):
        load_classifier(f"transformers:{copy}")
    (copy / "preprocessor_config.json").unlink()
    with pytest.raises(WeightsError, match="the image processor of .* cannot be loaded by transformers"):
        load_classifier(f"transformers:{copy}")
    for text, what in (("{", "is not JSON"), ("[]", "is list: expected a JSON object")):
        (copy / "config.json").write_text(text)
        with pytest.raises(ClassifierError, match=rf"config\.json of transformers:.* {what}"):
            load_classifier(f"transformers:{copy}")


def test_names_that_are_none(tmp_path: Path, plain: Path) -> None:
    """No folder, no repository, a folder without a model, a revision of a folder, one behind an @."""
    with pytest.raises(UnknownModelError, match=r"transformers:ORG/NAME\[#REVISION\], or a folder .*\./no"):
        load_classifier("transformers:./no/folder")
    with pytest.raises(UnknownModelError, match="and a revision follows #"):
        load_classifier("transformers:google/vit@main")
    with pytest.raises(UnknownModelError, match="and there is no folder 'google/vit"):
        load_classifier("transformers:google/vit#")
    with pytest.raises(UnknownModelError, match=r"the folder has no config\.json, so"):
        load_classifier(f"transformers:{tmp_path}")
    with pytest.raises(UsageError, match="is a folder here, which has no revision 'main'"):
        load_classifier(f"transformers:{plain}#main")
    with pytest.raises(UsageError, match="templates and class names belong to zero-shot models"):
        load_classifier(f"transformers:{plain}", templates="single")
    with pytest.raises(WeightsError, match="configuration of nobody/vit is not on this machine and HF"):
        load_classifier("transformers:nobody/vit")
    with pytest.raises(UsageError, match="has one set of weights and no tag 'best'"):
        load_classifier(f"transformers:{plain}", pretrained="best")


def test_an_old_or_missing_library_is_said(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install."""
    from imagenet_hard.classifiers import transformers_models

    monkeypatch.setattr(transformers_models, "version", lambda _: "4.57.1")
    with pytest.raises(ClassifierError, match=r"transformers 5.18 or later, and 4\.57\.1 is installed: pip"):
        load_classifier(f"transformers:{plain}")
    monkeypatch.setattr(transformers_models, "find_spec", lambda _: None)
    with pytest.raises(ClassifierError, match="which is not installed: pip install -U 'imagenet-hard.hf.'"):
        load_classifier(f"transformers:{plain}")


@pytest.mark.slow
def test_a_hub_repository(minihub: LoopbackHub, plain: Path) -> None:
    """By both prefixes and at a revision; afterwards without network; shards and refusals."""
    files = {file.name: file.read_bytes() for file in plain.iterdir()}
    commit = minihub.push("model", "alice/vit", files)
    newer = json.loads(files["config.json"]) | {"id2label": dict(enumerate(SHUFFLED))}
    minihub.push("model", "alice/vit", {"config.json": json.dumps(newer).encode()})
    minihub.push("model", "alice/bare", {k: v for k, v in files.items() if k.endswith(".json")})
    code = f"""
import torch
from imagenet_hard import load_classifier
from imagenet_hard.base.errors import ImageNetHardError
for name in (
    "transformers:alice/vit#{commit}", "hf-hub:alice/vit@{commit}", "transformers:alice/vit",
    "transformers:alice/bare", "transformers:alice/vit#v9", "transformers:alice/nothing",
):
    try:
        found = load_classifier(name)
        with torch.inference_mode():
            spec, row = found.spec, found.module(torch.ones(1, 3, {SIZE}, {SIZE}))[0]
        values = [round(float(x), 5) for x in row[:9]]
        print(">", spec.backend, spec.name, spec.tag, spec.weights_sha256, values)
    except ImageNetHardError as error:
        print(">", type(error).__name__, error)
"""
    first = ("torch", "torchvision")
    online, offline = (minihub.client(code, offline=offline, first=first) for offline in (False, True))
    assert online.returncode == offline.returncode == 0, online.stderr + offline.stderr
    told = [line for line in online.stdout.splitlines() if line.startswith(">")]
    spec = load_classifier(f"transformers:{plain}").spec
    start = f"> transformers vit hf-hub:alice/vit@{commit} {spec.weights_sha256} ["
    assert told[0] == told[1]
    assert told[0].startswith(start)
    assert f"@{commit}" not in told[2]
    assert told[2].rpartition("[")[2] != told[0].rpartition("[")[2]
    assert "has none of model.safetensors, " in told[3]
    assert "has no revision 'v9'" in told[4]
    assert "WeightsError the model alice/nothing on the Hub does not exist" in told[5]
    without = [line for line in offline.stdout.splitlines() if line.startswith(">")]
    assert without[:3] == told[:3]
    assert all("HF_HUB_OFFLINE is set" in line for line in without[3:])
