"""open_clip models small enough for tests, of every kind of text tower, with lively random weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import Tensor, nn

from imagenet_hard.classifiers import open_clip_build as build

VISION = {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16}
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 3}
CLIP: dict[str, Any] = {"embed_dim": 48, "vision_cfg": VISION, "text_cfg": TEXT}


def _with(base: dict[str, Any] = CLIP, *, vision: Any = (), text: Any = (), **top: Any) -> dict[str, Any]:
    return {
        **deepcopy(base),
        "vision_cfg": {**base["vision_cfg"], **dict(vision)},
        "text_cfg": {**base["text_cfg"], **dict(text)},
        **top,
    }


COCA = {"context_length": 76, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2}

CONFIGS: dict[str, dict[str, Any]] = {
    "clip": CLIP,
    "quickgelu": _with(quick_gelu=True),
    "resnet": _with(
        vision={"layers": [1, 1, 1, 1], "width": 8, "patch_size": None, "head_width": 64, "image_size": 64}
    ),
    "custom-text": _with(custom_text=True, text={"proj_bias": True}),
    "timm": _with(custom_text=True, vision={"timm_model_name": "test_vit", "image_size": 160}),
    "no-projection": _with(text={"proj_type": "none", "width": 48}),
    "eos": _with(custom_text=True, text={"pool_type": "eos", "eos_id": 49407}),
    "eos-in-clip": _with(text={"pool_type": "eos", "eos_id": 49407}),
    "coca": _with(
        custom_text=True,
        multimodal_cfg=COCA,
        vision={
            "attentional_pool": True, "attn_pooler_heads": 2, "attn_pooler_queries": 8, "output_tokens": True
        },
        text={"context_length": 76, "embed_cls": True, "output_tokens": True},
    ),
    "siglip": _with(
        custom_text=True,
        init_logit_bias=-10,
        text={"context_length": 32, "no_causal_mask": True, "pool_type": "last", "proj_bias": True},
    ),
    "bidirectional": _with(custom_text=True, text={"no_causal_mask": True}),
    "causal-last": _with(text={"pool_type": "last"}),
    "scaled-heads": _with(text={"scale_heads": True}),
}  # fmt: skip
CAUSAL = {
    "clip", "quickgelu", "resnet", "custom-text", "timm", "no-projection", "eos", "eos-in-clip", "coca"
}  # fmt: skip
"""Those whose prompts may be cut."""


def write_config(folder: Path, config: dict[str, Any], **preprocess: Any) -> Path:
    """The folder as a Hub repository has it, without weights."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"model_cfg": config, "preprocess_cfg": preprocess}
    (folder / build.CONFIG_FILE).write_text(json.dumps(content), encoding="utf-8")
    return folder


def small_model(
    folder: Path, config: dict[str, Any], seed: int = 0, **preprocess: Any
) -> tuple[Any, Callable[[list[str]], Tensor]]:
    """Model and tokenizer. Weights are larger than open_clip's first ones, or all texts look alike."""
    name = f"local-dir:{write_config(folder, config, **preprocess)}"
    model, tokenizer = build.create(name), build.create_tokenizer(name)
    liven(model, seed)
    return model, tokenizer


def liven(model: nn.Module, seed: int = 0) -> None:
    """Seeded weights under which the embeddings of two texts differ plainly."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 0:
                scale = 1.0 if "embedding" in name or "cls_emb" in name else 0.15
                parameter.add_(torch.randn(parameter.shape, generator=generator) * scale)


def reference_head(model: Any, tokenizer: Any, names: list[str], templates: list[str]) -> Tensor:
    """open_clip's own."""
    head: Tensor = open_clip.build_zero_shot_classifier(model, tokenizer, names, templates)
    return head


def write_word_tokenizer(folder: Path, words: list[str]) -> int:
    """A Hugging Face tokenizer of whole words, made here; its vocabulary's size."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["<s>", "<pad>", "</s>", "<unk>"]
    vocabulary = {word: i for i, word in enumerate([*special, *sorted(set(words))])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        cls_token="<s>", sep_token="</s>",
    )  # fmt: skip
    fast.save_pretrained(str(folder))
    return len(vocabulary)
