"""Zero-shot models of transformers: small ones of every family against their own ``logits_per_image``."""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from imagenet_hard import evaluate, load_classifier
from imagenet_hard.base.errors import ClassifierError, UsageError, WeightsError
from imagenet_hard.classifiers.own_code import brings_own_code
from imagenet_hard.classifiers.transform import fixed_images
from imagenet_hard.imagenet.classes import names
from tests.classifiers.small_clip import liven, write_word_tokenizer
from tests.classifiers.small_transformers import SIZE, VISION, change_config

transformers = pytest.importorskip("transformers")

TEXT = {**VISION, "num_hidden_layers": 2}
CROP = {"size": {"shortest_edge": SIZE}, "crop_size": {"height": SIZE, "width": SIZE}}
ALIGN = {"size": {"height": SIZE, "width": SIZE}, "rescale_offset": True, "rescale_factor": 1 / 127.5}
SQUARE = {"size": {"height": SIZE, "width": SIZE}}
TEMPLATES = ["a photo of a {}.", "art of the small {}, with much else around it."]
SOME = slice(None, None, 20)
"""Of the 1000 classes, those whose texts the model itself is asked about: each is by itself."""

WORDS = [word for text in [*names(), *TEMPLATES] for word in text.replace("{}", "").split()]


def _clip(n: int) -> Any:
    text = {**TEXT, "vocab_size": n, "max_position_embeddings": 77, "eos_token_id": 2, "projection_dim": 24}
    vision = {**VISION, "image_size": SIZE, "patch_size": 8}
    return {"text_config": text, "vision_config": vision, "projection_dim": 24}


def _siglip(n: int) -> Any:
    config = _clip(n)
    config["text_config"] |= {"max_position_embeddings": 64, "projection_size": 32}
    return config


def _siglip2(n: int) -> Any:
    config = _siglip(n)
    config["vision_config"] = {**VISION, "num_patches": 16, "patch_size": 8}
    return config


def _align(n: int) -> Any:
    vision = {
        "image_size": SIZE, "width_coefficient": 1.0, "depth_coefficient": 1.0, "depth_divisor": 8,
        "kernel_sizes": [3], "in_channels": [32], "out_channels": [16], "depthwise_padding": [],
        "strides": [1], "num_block_repeats": [1], "expand_ratios": [1], "squeeze_expansion_ratio": 0.25,
        "hidden_dim": 64,
    }  # fmt: skip
    return {"text_config": {**TEXT, "vocab_size": n, "max_position_embeddings": 80}, "vision_config": vision,
            "projection_dim": 16, "temperature_init_value": 0.05}  # fmt: skip


def _altclip(n: int) -> Any:
    config = _clip(n)
    config["text_config"] |= {"max_position_embeddings": 90, "project_dim": 24, "pad_token_id": 1}
    return config


FAMILIES: dict[str, tuple[str, Callable[[int], Any], str, dict[str, Any]]] = {
    "clip": ("CLIP", _clip, "CLIP", CROP),
    "siglip": ("Siglip", _siglip, "Siglip", SQUARE),
    "siglip2": ("Siglip2", _siglip2, "Siglip2", {"patch_size": 8, "max_num_patches": 20}),
    "align": (
        "Align",
        _align,
        "EfficientNet",
        {**SQUARE, "rescale_offset": True, "rescale_factor": 1 / 127.5},
    ),
    "altclip": ("AltCLIP", _altclip, "CLIP", CROP),
    "metaclip_2": ("MetaClip2", _clip, "CLIP", CROP),
}
"""Model type -> how its classes begin, its settings, its processor's class and settings."""


def save(folder: Path, family: str) -> Path:
    """A small model of a family, its tokenizer and its image processor."""
    start, settings, processor, options = FAMILIES[family]
    folder.mkdir(parents=True)
    vocabulary = write_word_tokenizer(folder, WORDS)
    if family == "clip":  # as OpenAI's, whose padding is the end of the text
        change_config(folder, {"pad_token": "</s>"}, "tokenizer_config.json")
    if family in ("siglip", "siglip2"):
        change_config(folder, {"model_input_names": ["input_ids"]}, "tokenizer_config.json")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = getattr(transformers, f"{start}Config")(**settings(vocabulary))
        model = getattr(transformers, f"{start}Model")(config).eval()
    liven(model)
    model.save_pretrained(folder)
    getattr(transformers, f"{processor}ImageProcessor")(**options).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a family, made once."""
    parent, made = tmp_path_factory.mktemp("families"), {}

    def of(family: str) -> Path:
        if family not in made:
            made[family] = save(parent / family, family)
        return made[family]

    return of


def own_inputs(folder: Path, family: str, texts: list[str]) -> tuple[Any, dict[str, Any]]:
    """The model by its own library, and what its documentation says to call it with."""
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    how = {"padding": "max_length", "max_length": 64} if "siglip" in family else {"padding": True}
    given = {**tokenizer(texts, truncation=True, return_tensors="pt", **how)}
    given.pop("token_type_ids", None)
    return model, {**given, **processor(images=fixed_images(), return_tensors="pt")}


@pytest.mark.parametrize("family", FAMILIES)
def test_one_template_gives_the_models_own_logits(
    family: str, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    """With its scale and its bias; the result says both, and the text tower is not kept."""
    folder = saved(family)
    classifier = load_classifier(f"transformers:{folder}", templates="single")
    model, given = own_inputs(folder, family, [f"a photo of a {name}." for name in names()[SOME]])
    with torch.inference_mode():
        expected = model(**given).logits_per_image
        batch = classifier.transform.batch([classifier.transform.pixels(i) for i in fixed_images()], "cpu")
        got = classifier.module(batch)
    assert float(expected.std(dim=1).min()) > 1e-3
    assert got.shape == (len(batch), 1000)
    torch.testing.assert_close(got[:, SOME], expected, rtol=1e-4, atol=1e-4)
    spec = classifier.spec
    assert (spec.backend, spec.name, spec.parameters) == (
        "transformers", family, sum(p.numel() for p in model.parameters()),
    )  # fmt: skip
    assert spec.head is not None
    assert spec.head["logit_scale"] == pytest.approx(spec.head["model_logit_scale"], rel=1e-5)
    assert ("logit_bias" in spec.head) == ("siglip" in family)
    assert not any("text_model" in name for name, _ in classifier.module.named_parameters())
    assert not brings_own_code(classifier)
    again = pickle.loads(pickle.dumps(classifier))
    with torch.inference_mode():
        torch.testing.assert_close(again.module(batch), got)


def test_siglips_own_tokenizer(tmp_path: Path) -> None:
    """SigLIP's first has SentencePiece's: small letters, no punctuation, padded to 64 tokens with its end.

    Its text tower pools the last token, so without all that padding the logits are others.
    """
    sentencepiece = pytest.importorskip("sentencepiece")
    folder = save(tmp_path / "siglip", "siglip")
    for file in ("tokenizer.json", "special_tokens_map.json", "tokenizer_config.json"):
        (folder / file).unlink(missing_ok=True)
    prompts = [f"a photo of a {name}." for name in names()]
    (tmp_path / "prompts.txt").write_text("\n".join(prompts).lower(), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "prompts.txt"), model_prefix=str(folder / "spiece"), vocab_size=500,
        unk_id=0, eos_id=1, bos_id=-1, pad_id=-1, minloglevel=2,
    )  # fmt: skip
    own = transformers.SiglipTokenizer(str(folder / "spiece.model"), model_input_names=["input_ids"])
    own.save_pretrained(folder)
    assert not (folder / "tokenizer.json").exists()
    assert own("A photo of a Tench!")["input_ids"] == own("a photo of a tench")["input_ids"]
    classifier = load_classifier(f"transformers:{folder}", templates="single")
    model, given = own_inputs(folder, "siglip", prompts[SOME])
    assert set(given) == {"input_ids", "pixel_values"}
    assert given["input_ids"].shape == (50, 64)
    assert set(given["input_ids"][:, -1].tolist()) == {1}  # the end, over and over
    batch = classifier.transform.batch([classifier.transform.pixels(i) for i in fixed_images()], "cpu")
    with torch.inference_mode():
        expected, got = model(**given).logits_per_image, classifier.module(batch)
        short = own(prompts[SOME], padding=True, return_tensors="pt")["input_ids"]
        other = model(input_ids=short, pixel_values=given["pixel_values"]).logits_per_image
    assert float(expected.std(dim=1).min()) > 1e-3
    assert got.shape == (len(batch), 1000)
    torch.testing.assert_close(got[:, SOME], expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(other, expected, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("family", ["clip", "siglip2", "altclip"])
def test_an_ensemble_is_the_mean_of_its_templates(
    family: str, saved: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of unit embeddings, and then of length 1; the second time it comes from the cache."""
    folder = saved(family)
    (tmp_path / "two.txt").write_text("\n".join(TEMPLATES))
    monkeypatch.setenv("IMAGENET_HARD_CACHE", str(tmp_path / "cache"))
    first = load_classifier(f"transformers:{folder}", templates=str(tmp_path / "two.txt"))
    embeddings = []
    for template in TEMPLATES:
        model, given = own_inputs(folder, family, [template.format(name) for name in names()[SOME]])
        with torch.inference_mode():
            embeddings.append(F.normalize(model(**given).text_embeds, dim=-1))
    expected = F.normalize(torch.stack(embeddings).mean(dim=0), dim=-1).T
    assert first.module.head.shape == (len(expected), 1000)
    torch.testing.assert_close(first.module.head[:, SOME], expected, rtol=1e-4, atol=1e-5)
    monkeypatch.setattr("imagenet_hard.classifiers.zero_shot.module.build_head", None)
    assert load_classifier(f"transformers:{folder}", templates=str(tmp_path / "two.txt")).spec == first.spec
    with pytest.raises(TypeError):
        load_classifier(f"transformers:{folder}", templates="single")


def test_it_runs_like_any_other(saved: Callable[[str], Path]) -> None:
    """A model of patches too: over a data set, under a crop of the study's kind, with zoomed views."""
    for family in ("siglip", "siglip2"):
        name, options = f"transformers:{saved(family)}", {"templates": "single", "limit": 4}
        assert evaluate(name, "sample", **options).metrics.n_total == 4  # type: ignore[arg-type]
        assert evaluate(name, "sample", transform={"resize": 40, "crop": 32}, **options).metrics.n_total == 4  # type: ignore[arg-type]
        assert evaluate(name, "sample", tta="zoom", **options).metrics.n_total == 4  # type: ignore[arg-type]
    paper = load_classifier(f"transformers:{saved('siglip')}", templates="single", transform="paper")
    assert paper.spec.transform["kind"] == "processor"


def test_weights_of_ones_own(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """--weights FILE takes the place of the folder's, in both towers."""
    model = transformers.CLIPModel.from_pretrained(saved("clip"))
    liven(model, seed=5)
    torch.save(model.state_dict(), tmp_path / "mine.pt")
    own = load_classifier(
        f"transformers:{saved('clip')}", weights=str(tmp_path / "mine.pt"), templates="single"
    )
    published = load_classifier(f"transformers:{saved('clip')}", templates="single")
    assert own.spec.tag == "mine.pt"
    assert own.spec.head is not None
    assert published.spec.head is not None
    assert own.spec.head["head_sha256"] != published.spec.head["head_sha256"]


def test_what_is_wrong_is_said(
    saved: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Templates, a tokenizer that is missing, of another model, or without its package."""
    folder = tmp_path / "clip"
    folder.mkdir()
    for file in saved("clip").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    with pytest.raises(UsageError, match="unknown templates 'opnai-80'"):
        load_classifier(f"transformers:{folder}", templates="opnai-80")
    write_word_tokenizer(folder, [*WORDS, *(f"zz{i}" for i in range(200)), "zzz"])
    (folder / "names.txt").write_text("\n".join(f"{name} zzz" for name in names()))
    with pytest.raises(ClassifierError, match="its tokenizer gives .* tokens: the two are of different"):
        load_classifier(f"transformers:{folder}", templates="single", classnames=str(folder / "names.txt"))
    for file in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (folder / file).unlink(missing_ok=True)
    with pytest.raises(ClassifierError, match="has no tokenizer: expected one of tokenizer.json, vocab"):
        load_classifier(f"transformers:{folder}", templates="single")

    (folder / "tokenizer.json").write_text("{}")

    def without(*_: Any, **__: Any) -> Any:
        raise ImportError("it requires sentencepiece")

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", without)
    with pytest.raises(ClassifierError, match="a package is missing. ImportError: it requires sentencepiece"):
        load_classifier(f"transformers:{folder}", templates="single")
    change_config(folder, {"architectures": ["CLIPVisionModel"]})
    with pytest.raises(ClassifierError, match="is 'CLIPVisionModel', which gives features and no classes"):
        load_classifier(f"transformers:{folder}")
    assert not issubclass(ClassifierError, WeightsError)
