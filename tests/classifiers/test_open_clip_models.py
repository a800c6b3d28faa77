"""open_clip models as classifiers: the right GELU, transform and weights, and messages for the wrong ones."""

from __future__ import annotations

import logging
import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from open_clip.pretrained import _PRETRAINED
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from safetensors.torch import save_file

from imagenet_hard.base.errors import ClassifierError, UnknownModelError, UsageError, WeightsError
from imagenet_hard.classifiers import open_clip_build as build
from imagenet_hard.classifiers.backends import LoadOptions
from imagenet_hard.classifiers.base import Classifier
from imagenet_hard.classifiers.open_clip_build import resolve_model
from imagenet_hard.classifiers.open_clip_models import from_model, load_open_clip, names, transform_of
from imagenet_hard.classifiers.openai_names import CLIP_ALIASES, parse_clip_alias
from imagenet_hard.classifiers.transform import CallableTransform, Transform, fixed_images
from imagenet_hard.classifiers.transform_policy import with_policy
from imagenet_hard.classifiers.zero_shot.head import HeadOptions
from imagenet_hard.classifiers.zero_shot.prompts import load_classnames
from tests.classifiers.small_clip import CONFIGS, small_model, write_config
from tests.hub.server import LoopbackHub

SIMPLE = {"templates": "single"}
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.25)


def load(
    arch: str, tag: str | None = None, *, weights: Path | None = None, transform: Any = "native", **words: str
) -> Classifier:
    """An open_clip model under a transform."""
    file = None if weights is None else str(weights)
    return with_policy(load_open_clip(arch, tag, LoadOptions(file=file, **words)), transform)  # type: ignore[arg-type]


@pytest.fixture
def small_clip(monkeypatch: pytest.MonkeyPatch) -> str:
    """A small architecture in open_clip's own registry, with a plain and a QuickGELU tag."""
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "Small-CLIP", CONFIGS["clip"])
    tag = {"hf_hub": "nobody/small-clip/", "url": "", "mean": MEAN, "std": STD, "resize_mode": "squash"}
    tags = {"plain": tag, "quick": {**tag, "quick_gelu": True}}
    monkeypatch.setitem(_PRETRAINED, "Small-CLIP", tags)
    monkeypatch.setitem(_PRETRAINED, "Small-CLIP-quickgelu", {"quick": tags["quick"]})
    return "Small-CLIP"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the small model, as a training script saves it."""
    folder = tmp_path_factory.mktemp("weights")
    model, _ = small_model(folder / "model", CONFIGS["clip"])
    path = folder / "epoch_1.pt"
    torch.save({"epoch": 1, "state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}}, path)
    return path


def uses_quick_gelu(module: torch.nn.Module) -> bool:
    """Whether every activation is QuickGELU, or none."""
    found = {type(m).__name__ for m in module.modules()} & {"QuickGELU", "GELU"}
    assert len(found) == 1
    return found == {"QuickGELU"}


# Names


def test_openais_names_are_open_clips() -> None:
    """All nine, with and without the prefix; each has the tag ``openai``, which needs QuickGELU."""
    assert len(CLIP_ALIASES) == 9
    for alias in CLIP_ALIASES:
        assert parse_clip_alias(f"clip:{alias}") == parse_clip_alias(alias)
        source = resolve_model(*parse_clip_alias(alias))
        assert source.tag == "openai"
        assert source.quick_gelu
    assert parse_clip_alias("ViT-L/14@336px") == ("ViT-L-14-336", "openai")
    assert sorted(open_clip.list_openai_models()) == sorted(
        [*CLIP_ALIASES.values(), *(f"{n}-quickgelu" for n in CLIP_ALIASES.values())]
    )
    with pytest.raises(UnknownModelError, match=r"unknown model 'clip:ViT-L/41' \(did you mean ViT-L/14\?\)"):
        parse_clip_alias("ViT-L/41")


def test_every_published_model_is_listed() -> None:
    """With its tags, in open_clip's names."""
    listed = {arch: tags for arch, tags, _ in names()}
    assert {(a, t) for a, tags in listed.items() for t in tags} == set(open_clip.list_pretrained())
    assert listed["ViT-L-14-336"] == ("openai",)


def test_every_tag_gets_the_gelu_it_was_trained_with() -> None:
    """A tag's entry decides; one that says nothing leaves the architecture's own setting."""
    for arch, tag in open_clip.list_pretrained():
        entry, config = _PRETRAINED[arch][tag], open_clip.get_model_config(arch)
        expected = entry.get("quick_gelu", False) or config.get("quick_gelu", False)
        assert resolve_model(arch, tag).quick_gelu == expected, (arch, tag)
    assert resolve_model("ViT-B-32", "metaclip_400m").quick_gelu
    assert resolve_model("ViT-H-14", "dfn5b").quick_gelu
    assert not resolve_model("ViT-B-32", "laion2b_s34b_b79k").quick_gelu
    assert resolve_model("roberta-ViT-B-32", "laion2b_s12b_b32k").quick_gelu
    assert resolve_model("ViT-g-14-quickgelu", None).quick_gelu  # open_clip has no such file


def test_unknown_names_give_the_nearest() -> None:
    """An architecture, a tag, and a tag of the other GELU."""
    with pytest.raises(UnknownModelError, match=r"unknown model 'ViT-B-23'.*open_clip:ViT-B-32"):
        load("ViT-B/23", "openai")
    with pytest.raises(UnknownModelError, match=r"open_clip:ViT-L-14-336 has no weights 'opena1': .* openai"):
        load("ViT-L-14-336", "opena1")
    with pytest.raises(
        UnknownModelError, match="trained without QuickGELU, use open_clip:ViT-B-32/laion2b_e16"
    ):
        load("ViT-B-32-quickgelu", "laion2b_e16")
    with pytest.raises(UsageError, match=r"open_clip:RN50 needs weights, .* tags are openai, yfcc15m, cc12m"):
        load("RN50")
    with pytest.raises(UsageError, match="open_clip publishes none, pass --weights FILE"):
        load("ViT-M-32")


# Loading


def test_a_checkpoint_file(small_clip: str, weights: Path) -> None:
    """Logits are open_clip's own on the same weights; the spec says what was loaded."""
    classifier = load(small_clip, weights=weights, **SIMPLE)
    reference = open_clip.create_model(small_clip, pretrained=str(weights)).eval()
    tokenizer = open_clip.get_tokenizer(small_clip)
    words = load_classnames().texts
    head = open_clip.build_zero_shot_classifier(reference, tokenizer, words, ["a photo of a {}."])
    preprocess = image_transform_v2(PreprocessCfg(**reference.visual.preprocess_cfg), is_train=False)
    images = fixed_images()
    with torch.inference_mode():
        batch = torch.stack([preprocess(image) for image in images])
        expected = 100 * reference.encode_image(batch, normalize=True) @ head
        pixels = [classifier.transform.pixels(image) for image in images]
        logits = classifier.module(classifier.transform.batch(pixels, "cpu"))
    assert (logits - expected).abs().max() <= 1e-3  # of 100: 1e-5 of the cosine
    assert torch.equal(logits[:, 657], logits[:, 744])
    spec = classifier.spec
    assert (spec.backend, spec.name, spec.tag) == ("open_clip", small_clip, "epoch_1.pt")
    assert (spec.input_size, spec.parameters) == ((32, 32), sum(p.numel() for p in reference.parameters()))
    assert spec.head is not None
    assert spec.head["templates"] == "single"
    assert spec.head["n_templates"] == 1
    assert spec.head["logit_scale"] == 100
    assert spec.head["quick_gelu"] is False
    assert spec.head["classnames_sha256"] == load_classnames().sha256
    assert not any("text" in name for name, _ in classifier.module.named_modules())


def test_the_second_load_takes_the_head_from_the_cache(
    small_clip: str, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same head, not built again; without that cache it is built, and equal."""
    monkeypatch.setenv("IMAGENET_HARD_CACHE", str(tmp_path / "cache"))
    first = load(small_clip, weights=weights, **SIMPLE)
    monkeypatch.setenv("IMAGENET_HARD_CACHE", str(tmp_path / "another"))
    fresh = load(small_clip, weights=weights, **SIMPLE)
    monkeypatch.setenv("IMAGENET_HARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("imagenet_hard.classifiers.zero_shot.module.build_head", None)
    second = load(small_clip, weights=weights, **SIMPLE)
    assert first.spec == second.spec == fresh.spec
    assert torch.equal(first.module.head, second.module.head)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        load(small_clip, weights=weights, templates="openai-7")


@pytest.mark.parametrize(("tag", "quick"), [("plain", False), ("quick", True)])
def test_a_tag_brings_its_gelu_and_its_transform(
    small_clip: str, weights: Path, tag: str, quick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether its weights come from the Hub or are a file beside it."""
    beside = load(small_clip, tag, weights=weights, **SIMPLE)
    monkeypatch.setattr(build, "published_file", lambda *_, **__: weights)
    published = load(small_clip, tag, **SIMPLE)
    for classifier in (beside, published):
        assert uses_quick_gelu(classifier.module) == quick
        assert classifier.transform == Transform((32, 32), None, "bicubic", MEAN, STD)
        assert classifier.spec.head is not None
        assert classifier.spec.head["quick_gelu"] == quick
    assert (beside.spec.tag, published.spec.tag) == ("epoch_1.pt", tag)
    assert beside.spec.head == published.spec.head


def test_the_gelu_of_a_file_is_the_architectures_and_said(
    small_clip: str, weights: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing in a file shows it: the note names the tags that differ, and the way to say otherwise."""
    plain = load(small_clip, weights=weights, **SIMPLE)
    assert not uses_quick_gelu(plain.module)
    assert "runs with plain GELU, which open_clip:Small-CLIP has by itself" in caplog.text
    assert "QuickGELU, as quick were, then load them as open_clip:Small-CLIP-quickgelu" in caplog.text
    caplog.clear()
    quick = load(f"{small_clip}-quickgelu", weights=weights, **SIMPLE)
    assert uses_quick_gelu(quick.module)
    assert "GELU" not in caplog.text
    assert plain.spec.weights_sha256 == quick.spec.weights_sha256
    assert plain.spec.head != quick.spec.head


def test_missing_weights_say_what_to_put_where(small_clip: str) -> None:
    """Without network, in seconds: repository, file and folder."""
    start = time.monotonic()
    with pytest.raises(WeightsError) as error:
        load(small_clip, "plain", **SIMPLE)
    assert time.monotonic() - start < 5
    message = str(error.value)
    assert "nobody/small-clip" in message
    assert "open_clip_model.safetensors" in message
    assert "models--nobody--small-clip" in message
    assert "--weights FILE" in message
    with pytest.raises(WeightsError, match=r"ViTamin-S/resolve/main/pytorch_model\.bin"):
        load("ViTamin-S", "datacomp1b")


def test_a_missing_tokenizer_says_whose_it_is() -> None:
    pytest.importorskip("transformers")
    with pytest.raises(WeightsError, match="tokenizer of timm/ViT-B-16-SigLIP"):
        load("ViT-B-16-SigLIP", "webli")


def test_weights_of_another_architecture(small_clip: str, tmp_path: Path) -> None:
    """By keys, by shapes, and from a model of another kind."""
    for kind in ("resnet", "custom-text", "no-projection"):
        model, _ = small_model(tmp_path / kind, CONFIGS[kind])
        torch.save(model.state_dict(), tmp_path / f"{kind}.pt")
        with pytest.raises(WeightsError, match=rf"{kind}\.pt holds weights of another architecture"):
            load(small_clip, weights=tmp_path / f"{kind}.pt", **SIMPLE)


def test_old_key_names_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: Path) -> None:
    """Weights saved before the text tower had a module of its own fit the model that has one."""
    config = {**CONFIGS["clip"], "custom_text": True}
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "Small-Custom", config)
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "Small-CLIP", CONFIGS["clip"])
    custom = load("Small-Custom", weights=weights, **SIMPLE)
    plain = load("Small-CLIP", weights=weights, **SIMPLE)
    assert torch.allclose(custom.module.head, plain.module.head, atol=1e-6)  # type: ignore[arg-type]


def test_files_that_are_no_weights(small_clip: str, weights: Path, tmp_path: Path) -> None:
    """Missing, code in a pickle, NaN, and a published file that is cut short."""
    with pytest.raises(WeightsError, match="no such weights file"):
        load(small_clip, weights=tmp_path / "nothing.pt", **SIMPLE)

    class Harm:
        def __reduce__(self) -> tuple[Any, ...]:
            return (print, ("harm",))

    (tmp_path / "code.pt").write_bytes(pickle.dumps({"state_dict": Harm()}))
    with pytest.raises(WeightsError, match="was refused: .* code"):
        load(small_clip, weights=tmp_path / "code.pt", **SIMPLE)
    state = torch.load(weights, weights_only=True)["state_dict"]
    state["module.visual.proj"][0, 0] = float("nan")
    save_file(state, tmp_path / "nan.safetensors")
    with pytest.raises(WeightsError, match=r"'visual\.proj' are NaN or infinite"):
        load(small_clip, weights=tmp_path / "nan.safetensors", **SIMPLE)
    model, _ = small_model(tmp_path / "m", CONFIGS["clip"])
    cut = tmp_path / "cut.pt"
    cut.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(WeightsError, match=r"the weights of x in .*cut\.pt cannot be loaded"):
        build.load_published_weights(model, cut, "x")


def test_slips_show_before_anything_is_built(small_clip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of templates that isn't there, an unknown transform."""
    monkeypatch.setattr(build, "create", None)
    with pytest.raises(UsageError, match="unknown templates 'opnai-80'"):
        load(small_clip, "plain", templates="opnai-80")
    with pytest.raises(UsageError, match="cannot read class names"):
        load(small_clip, "plain", classnames="no/names.txt")


def test_a_model_that_open_clip_cannot_build(tmp_path: Path) -> None:
    """The message is ours, the reason open_clip's."""
    folder = write_config(tmp_path, {**CONFIGS["clip"], "no_such_option": 1})
    with pytest.raises(ClassifierError, match=r"open_clip .* cannot build local-dir:.*no_such_option"):
        build.create(f"local-dir:{folder}")


def test_the_root_logger_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """open_clip's "initialized randomly" is not heard, and configures nothing; others still are."""
    root = logging.getLogger()
    handlers = list(root.handlers)
    folder = write_config(tmp_path, CONFIGS["clip"])
    build.create(f"local-dir:{folder}")
    assert not caplog.records
    assert root.handlers == handlers
    assert not root.filters


# From a model, from the Hub


@pytest.mark.parametrize("kind", ["coca", "siglip", "resnet", "timm"])
def test_a_model_of_ones_own(tmp_path: Path, kind: str) -> None:
    """Any kind of model with its tokenizer becomes a classifier of the 1000 classes."""
    model, tokenizer = small_model(tmp_path, CONFIGS[kind], mean=MEAN, std=STD)
    classifier = from_model(model, tokenizer, name="mine", head=HeadOptions(templates="single"))
    assert isinstance(classifier.transform, Transform)
    assert classifier.transform.mean == MEAN
    image = fixed_images()[0]
    with torch.inference_mode():
        logits = classifier.module(classifier.transform.batch([classifier.transform.pixels(image)], "cpu"))
    assert logits.shape == (1, 1000)
    assert logits.dtype == torch.float32
    assert classifier.spec.transform_sha256 == classifier.transform.sha256()
    assert "mine" in classifier.spec.model_dump_json()


@pytest.mark.slow
def test_a_hub_repository(minihub: LoopbackHub, tmp_path: Path) -> None:
    """Pushed with open_clip's layout, loaded by revision; a later, broken commit is refused by name."""
    model, _ = small_model(tmp_path, CONFIGS["quickgelu"], mean=MEAN, std=STD)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    files = {
        build.CONFIG_FILE: (tmp_path / build.CONFIG_FILE).read_bytes(),
        "open_clip_model.safetensors": (tmp_path / "w.safetensors").read_bytes(),
    }
    commit = minihub.push("model", "alice/small", files)
    minihub.push("model", "alice/small", {build.CONFIG_FILE: b"{}"})
    code = """
        from imagenet_hard.classifiers.backends import LoadOptions
        from imagenet_hard.classifiers.open_clip_models import load_hub
        from imagenet_hard.base.errors import ImageNetHardError
        spec = load_hub("alice/small@REVISION", LoadOptions(templates="single")).spec
        print(spec.name, spec.tag, spec.weights_sha256, spec.head["quick_gelu"], spec.transform["mean"])
        try:
            load_hub("alice/small", LoadOptions(templates="single"))
        except ImageNetHardError as error:
            print(error)
    """
    code = "\n".join(line.removeprefix(" " * 8) for line in code.splitlines()).replace("REVISION", commit)
    done = minihub.client(code, first=("torch", "torchvision"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    name, tag, _, quick, *mean = lines[0].split(maxsplit=4)
    assert (name, tag, quick, mean) == ("small", f"hf-hub:alice/small@{commit}", "True", [str(list(MEAN))])
    assert lines[1].startswith("open_clip_config.json of hf-hub:alice/small is not open_clip's")


# Transforms


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"size": 224}, Transform),
        ({"size": (336, 336), "interpolation": "bilinear", "mean": MEAN, "std": STD}, Transform),
        ({"size": 96, "interpolation": "random"}, Transform),
        ({"size": (96, 96), "resize_mode": "squash"}, Transform),
        ({"size": (64, 96), "resize_mode": "squash", "interpolation": "bilinear"}, Transform),
        ({"size": (64, 96)}, CallableTransform),
        ({"size": 96, "resize_mode": "longest"}, CallableTransform),
        ({"size": (64, 96), "resize_mode": "longest", "fill_color": 128}, CallableTransform),
    ],
)
def test_the_transform_is_open_clips_bit_for_bit(config: dict[str, Any], kind: type) -> None:
    """On wide, tall, tiny and narrow images."""
    settings = {**PreprocessCfg().__dict__, **config}
    ours, theirs = transform_of(settings), image_transform_v2(PreprocessCfg(**settings), is_train=False)
    assert type(ours) is kind
    images = [*fixed_images(), Image.new("RGB", (1, 1), (200, 10, 30)), fixed_images()[0].resize((40, 333))]
    for image in images:
        assert torch.equal(ours.batch([ours.pixels(image)], "cpu")[0], theirs(image)), image.size
    assert ours.describe()["mean"] == list(settings["mean"])


def test_paper_converts_to_rgb_last(small_clip: str, weights: Path) -> None:
    """As open_clip does; native first, which differs on palette images only."""
    native = load(small_clip, weights=weights, **SIMPLE).transform
    paper = load(small_clip, weights=weights, transform="paper", **SIMPLE)
    assert paper.spec.transform["rgb"] == "last"
    theirs = image_transform_v2(PreprocessCfg(size=32), is_train=False)
    image = fixed_images()[0]
    for mode in ("RGB", "L", "CMYK", "RGBA", "P", "1"):
        other = image.convert(mode)
        got = paper.transform.batch([paper.transform.pixels(other)], "cpu")[0]
        assert torch.equal(got, theirs(other)), mode
    palette = image.convert("P")
    assert not torch.equal(native.batch([native.pixels(palette)], "cpu")[0], theirs(palette))
    explicit = load(small_clip, weights=weights, transform={"resize": 40, "crop": 32}, **SIMPLE)
    assert explicit.spec.transform["resize"] == 40
    with pytest.raises(UsageError, match="unknown transform 'papper'"):
        load(small_clip, weights=weights, transform="papper", **SIMPLE)


def test_zoom_augmentation_of_a_clip_model(small_clip: str, weights: Path) -> None:
    """The prediction is the log of the mean softmax over its crops, each encoded for itself."""
    from imagenet_hard.engine.settings import RunSettings
    from imagenet_hard.tta.settings import build_predictor, tta_settings

    classifier = load(small_clip, weights=weights, **SIMPLE)
    tta = tta_settings("zoom", views=3)
    assert tta is not None
    settings = RunSettings(device="cpu", batch_size=4)
    zoomed = build_predictor(tta, classifier, settings, torch.device("cpu"))
    seen = classifier.transform.describe()
    centre, spread = (torch.tensor(seen[key])[:, None, None] for key in ("mean", "std"))
    images = fixed_images()
    views = [zoomed.prepare(image, f"{i:064x}") for i, image in enumerate(images)]
    got = zoomed.launch(views, [str(i) for i in range(len(images))])
    for row, each in zip(got, views, strict=True):
        pixels = torch.from_numpy(np.stack(each.pixels)).permute(0, 3, 1, 2) / 255
        batch = (pixels - centre) / spread
        with torch.inference_mode():
            mean = classifier.module(batch).double().softmax(dim=1).mean(dim=0)
        torch.testing.assert_close(row.double(), mean.log(), rtol=1e-4, atol=1e-3)
