"""The zero-shot head: equal to open_clip's for every kind of text tower, and shorter where that is exact."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.classifiers.zero_shot import text_tower
from imagenet_hard.classifiers.zero_shot.module import ZeroShotModule, build_head
from imagenet_hard.classifiers.zero_shot.prompts import fill, load_classnames, load_templates
from imagenet_hard.classifiers.zero_shot.text_tower import causal_tower
from tests.classifiers.small_clip import (
    CAUSAL,
    CONFIGS,
    reference_head,
    small_model,
    write_word_tokenizer,
)

NAMES = ["tench", "missile", "great white shark", "missile", "Saint Bernard", "!?!", "long " * 90, "T-shirt"]
TEMPLATES = ["a photo of a {}.", "{}", "itap of the {}!!", "the {} in a video game, and the end.", "{}"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Any]]:
    """One small model of each kind, and its tokenizer."""
    folder = tmp_path_factory.mktemp("models")
    return {kind: small_model(folder / kind, config) for kind, config in CONFIGS.items()}


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_head_is_open_clips(models: dict[str, tuple[Any, Any]], kind: str) -> None:
    """To 1e-5, with doubled names, empty-ish and over-long prompts, whatever the tower."""
    model, tokenizer = models[kind]
    head = build_head(model, tokenizer, NAMES, TEMPLATES)
    reference = reference_head(model, tokenizer, NAMES, TEMPLATES)
    assert head.shape == (48, len(NAMES))
    assert head.dtype == torch.float32
    assert (head - reference).abs().max() <= 1e-5
    others = [c for i, c in enumerate(head.T) if i not in (1, 3)]
    gaps = [float((a - b).abs().max()) for a, b in itertools.combinations(others, 2)]
    assert min(gaps) > 1e-3, "names must differ, or the comparison says nothing"
    assert torch.equal(head[:, 1], head[:, 3])


@pytest.mark.parametrize("kind", CONFIGS)
def test_only_causal_towers_pooled_at_the_end_are_cut(models: dict[str, tuple[Any, Any]], kind: str) -> None:
    """Bidirectional towers, pooling of the last position and other blocks run at full length."""
    assert (causal_tower(models[kind][0]) is not None) == (kind in CAUSAL)


@pytest.mark.parametrize("kind", sorted(CAUSAL))
def test_the_short_way_is_taken_and_short(
    models: dict[str, tuple[Any, Any]], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the self-check ``encode_text`` is not called, and no prompt of ten tokens costs more."""
    model, tokenizer = models[kind]
    sizes: list[int] = []
    real = text_tower._block

    def spy(block: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        sizes.append(x.shape[0] * x.shape[1])
        return real(block, x, *args, **kwargs)

    monkeypatch.setattr(text_tower, "_block", spy)
    names = [f"{a} {b}" for a in ("red", "blue", "wet", "dry") for b in ("cat", "dog", "cow")]
    build_head(model, tokenizer, names, ["a photo of many {}."] * 3)
    layers = len(causal_tower(model).text.transformer.resblocks)  # type: ignore[union-attr]
    # Of each of 3 templates a beginning (5 tokens, computed once) and 12 prompts of 4 to 6 tokens.
    assert sum(sizes[-2 * layers :]) <= 3 * layers * (5 + 12 * 6)


def test_a_subclass_is_not_trusted(models: dict[str, tuple[Any, Any]]) -> None:
    """Somebody's own model type may do anything in its forward pass."""

    class Mine(open_clip.CLIP):  # type: ignore[misc]
        pass

    model, _ = models["clip"]
    mine = Mine.__new__(Mine)
    mine.__dict__.update(model.__dict__)
    assert causal_tower(model) is not None
    assert causal_tower(mine) is None


def test_a_tower_that_disagrees_runs_at_full_length(
    models: dict[str, tuple[Any, Any]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The self-check catches a forward pass that the short way doesn't know, and says so."""
    model, tokenizer = models["clip"]

    def shifted(tokens: torch.Tensor) -> torch.Tensor:
        return torch.roll(model.__class__.encode_text(model, tokens), 1, dims=-1)

    monkeypatch.setattr(model, "encode_text", shifted)
    with caplog.at_level(logging.WARNING):
        head = build_head(model, tokenizer, NAMES[:3], TEMPLATES[:2])
    assert "the short text forward differs by" in caplog.text
    monkeypatch.undo()
    expected = reference_head(model, tokenizer, NAMES[:3], TEMPLATES[:2]).roll(1, dims=0)
    assert (head - expected).abs().max() <= 1e-5


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["clip", "eos", "coca"]),
    templates=st.lists(
        st.sampled_from(
            ["{}", "a photo of a {}.", "{} {} a", "!!{}!", "the very same text", "an old cat {}"]
        ),
        min_size=1,
        max_size=4,
    ),
    names=st.lists(st.text("abc!é \U0001f41f", max_size=12) | st.just("ab " * 90), min_size=1, max_size=6),
    batch_tokens=st.integers(1, 200),
)
def test_the_cut_is_exact_for_any_texts_and_batches(
    models: dict[str, tuple[Any, Any]], kind: str, templates: list[str], names: list[str], batch_tokens: int
) -> None:  # fmt: skip
    """``CausalTower.encode`` gives each row of ``encode_text`` once, also when all prompts are equal."""
    model, tokenizer = models[kind]
    tower = causal_tower(model)
    assert tower is not None
    prompts = [(fill(t, name), g) for g, t in enumerate(templates) for name in names]
    tokens, group = tokenizer([p for p, _ in prompts]), torch.tensor([g for _, g in prompts])
    with torch.inference_mode():
        pairs = list(tower.encode(tokens, group, batch_tokens))
        theirs = F.normalize(model.encode_text(tokens), dim=-1)
    rows, ours = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    assert sorted(rows.tolist()) == list(range(len(prompts)))
    assert (F.normalize(ours, dim=-1) - theirs[rows]).abs().max() <= 1e-5


def test_eos_pooling_without_an_eos_follows_open_clip(models: dict[str, tuple[Any, Any]]) -> None:
    """The first position is pooled then, there as here."""
    model, _ = models["eos"]
    tower = causal_tower(model)
    assert tower is not None
    tokens = torch.tensor([[49406, 320, 1125] + [0] * 74, [49406, 49407] + [0] * 75])
    with torch.inference_mode():
        ((rows, ours),) = tower.encode(tokens, torch.zeros(2, dtype=torch.long), 100)
        assert torch.allclose(ours, model.encode_text(tokens)[rows], atol=1e-5)


def test_a_roberta_text_tower_runs_at_full_length(tmp_path: Path) -> None:
    """A Hugging Face tower and tokenizer, both made here: equal, by the model's own ``encode_text``."""
    transformers = pytest.importorskip("transformers", reason="needs the extra: pip install '.[hf]'")
    templates = ["a photo of a {} .", "the {}"]
    vocabulary = write_word_tokenizer(tmp_path, " ".join([*NAMES, *templates]).lower().split())
    transformers.RobertaConfig(
        vocab_size=vocabulary, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=40, pad_token_id=1,
    ).save_pretrained(tmp_path)  # fmt: skip
    text = {
        "hf_model_name": str(tmp_path),
        "hf_tokenizer_name": str(tmp_path),
        "hf_pooler_type": "mean_pooler",
        "hf_proj_type": "mlp",
        "context_length": 24,
    }
    model, tokenizer = small_model(tmp_path, {**CONFIGS["clip"], "text_cfg": text})
    assert causal_tower(model) is None
    head = build_head(model, tokenizer, NAMES, templates)
    assert (head - reference_head(model, tokenizer, NAMES, templates)).abs().max() <= 1e-5


def test_the_order_of_the_templates_does_not_matter(models: dict[str, tuple[Any, Any]]) -> None:
    """A mean is a mean."""
    head = build_head(*models["clip"], NAMES, TEMPLATES)
    assert torch.allclose(head, build_head(*models["clip"], NAMES, TEMPLATES[::-1]), atol=1e-6)


def test_the_model_comes_back_as_it_was(models: dict[str, tuple[Any, Any]]) -> None:
    """Weights, mode and buffers are untouched, also when the tokenizer fails half way."""
    model, tokenizer = models["clip"]
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.train()
    calls = itertools.count()

    def failing(texts: list[str]) -> torch.Tensor:
        if next(calls) == 1:  # after the sample of the self-check
            raise OSError("disk gone")
        tokens: torch.Tensor = tokenizer(texts)
        return tokens

    with pytest.raises(OSError, match="disk gone"):
        build_head(model, failing, NAMES, TEMPLATES)
    assert model.training
    model.eval()
    assert model.attn_mask.shape == (77, 77)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_progress_counts_every_prompt_once(models: dict[str, tuple[Any, Any]]) -> None:
    """It only rises and ends at the number of different prompts, cut or not."""
    for kind in ("clip", "siglip"):
        seen: list[tuple[int, int]] = []
        build_head(*models[kind], NAMES, TEMPLATES, progress=lambda *told: seen.append(told))  # noqa: B023
        total = (len(NAMES) - 1) * len(TEMPLATES)
        assert seen[-1] == (total, total)
        assert seen == sorted(seen)


def test_bad_input_is_refused(models: dict[str, tuple[Any, Any]], tmp_path: Path) -> None:
    """No names, no templates, and weights that give NaN."""
    model, tokenizer = models["clip"]
    with pytest.raises(ClassifierError, match="a head needs names and templates: got 0 and 5"):
        build_head(model, tokenizer, [], TEMPLATES)
    with pytest.raises(ClassifierError, match="got 8 and 0"):
        build_head(model, tokenizer, NAMES, [])
    broken, tokenizer = small_model(tmp_path, CONFIGS["clip"])
    with torch.no_grad():
        broken.token_embedding.weight[tokenizer(["tench"])[0, 1]] = float("nan")
    with pytest.raises(
        ClassifierError, match="the text embedding of 'tench' is NaN or infinite: check the weights"
    ):
        build_head(broken, tokenizer, ["missile", "tench"], TEMPLATES)


# The module


@pytest.mark.parametrize("kind", ["clip", "resnet", "timm", "coca", "siglip"])
def test_logits_are_the_papers(models: dict[str, tuple[Any, Any]], kind: str) -> None:
    """100 x normalised image features @ head, with open_clip's ``encode_image``."""
    model, tokenizer = models[kind]
    head = build_head(model, tokenizer, NAMES, TEMPLATES)
    size = model.visual.image_size
    size = size if isinstance(size, int) else size[0]
    images = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = 100 * model.encode_image(images, normalize=True) @ head
        logits = ZeroShotModule(model.visual, head).eval()(images)
    assert logits.shape == (3, len(NAMES))
    assert (logits - expected).abs().max() <= 1e-4  # of 100, so 1e-6 of the cosine
    assert torch.equal(logits[:, 1], logits[:, 3])


def test_classes_of_one_name_have_one_logit() -> None:
    """Exactly, at every width of the head, where a matrix product may round equal columns differently."""
    generator = torch.Generator().manual_seed(2)
    features = torch.randn(33, 512, generator=generator)
    names = load_classnames().texts
    columns = {name: F.normalize(torch.randn(512, generator=generator), dim=0) for name in names}
    head = torch.stack([columns[name] for name in names], dim=1)
    logits = ZeroShotModule(nn.Identity(), head)(features)
    assert torch.equal(logits[:, 657], logits[:, 744])
    assert torch.equal(logits[:, 836], logits[:, 837])
    assert len(torch.unique(logits[0])) == 998
    assert torch.allclose(logits, 100 * F.normalize(features, dim=-1) @ head, atol=1e-4)


def test_the_last_product_stays_in_float32() -> None:
    """Under autocast, after ``half()`` and after ``to(bfloat16)``: the head keeps its values."""
    head = F.normalize(torch.randn(64, 10, generator=torch.Generator().manual_seed(3)), dim=0)
    images = torch.randn(4, 64, generator=torch.Generator().manual_seed(4))
    module = ZeroShotModule(nn.Linear(64, 64), head)
    with torch.autocast("cpu", torch.bfloat16):
        features = module.visual(images)
        logits = module(images)
    assert features.dtype == torch.bfloat16
    assert logits.dtype == torch.float32
    assert torch.equal(logits, 100 * F.normalize(features.float(), dim=-1) @ head)
    module.to(torch.bfloat16).half()
    assert next(module.visual.parameters()).dtype == torch.float16
    assert torch.equal(module.head, head)
    assert module.to("meta").head.device.type == "meta"


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["ViT-B-32", "RN50", "coca_ViT-B-32", "ViT-B-16-SigLIP"])
def test_real_architectures(arch: str) -> None:
    """Full size, random weights: head and logits equal to open_clip's to 1e-5."""
    from imagenet_hard.classifiers import open_clip_build as build

    torch.manual_seed(0)
    model: Any = build.create(arch)
    with torch.no_grad():  # so that texts differ more than at the start of a training
        getattr(model, "text", model).token_embedding.weight.mul_(30)
    simple = open_clip.SimpleTokenizer(context_length=model.context_length)
    # SigLIP's own vocabulary is on the Hub; any ids below its size do for the comparison.
    size = model.vocab_size if hasattr(model, "vocab_size") else 49408

    def tokenizer(texts: list[str]) -> torch.Tensor:
        return torch.remainder(simple(texts), size)

    names, templates = NAMES[:3], list(load_templates().texts[:3])
    head = build_head(model, tokenizer, names, templates)
    assert (head - reference_head(model, tokenizer, names, templates)).abs().max() <= 1e-5
    images = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        expected = 100 * model.encode_image(images, normalize=True) @ head
        got = ZeroShotModule(model.visual, head)(images)
    assert ((got - expected) / 100).abs().max() <= 1e-5
    assert (causal_tower(model) is None) == ("SigLIP" in arch)
