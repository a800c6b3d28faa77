"""Models of transformers small enough for tests, saved to a folder as a repository has them."""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from imagenet_hard.imagenet.classes import wnids

SIZE = 32
VISION = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}


def save_classifier(folder: Path, labels: Sequence[str] = (), seed: int = 0, **changes: Any) -> Any:
    """A ViT with these labels (those of the classes by wnid), its processor beside it; the model."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    labels = labels or wnids()
    names = dict(enumerate(labels))
    config = ViTConfig(
        **VISION, image_size=SIZE, patch_size=8, id2label=names, label2id={v: k for k, v in names.items()}
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = ViTForImageClassification(config).eval()
        torch.nn.init.normal_(model.classifier.weight, std=0.5)
    model.save_pretrained(folder)
    ViTImageProcessor(size={"height": SIZE, "width": SIZE}).save_pretrained(folder)
    change_config(folder, changes)
    return model


def change_config(folder: Path, changes: Mapping[str, Any], file: str = "config.json") -> None:
    """Entries of a JSON file replaced; None takes one out."""
    path = folder / file
    content = {**json.loads(path.read_text(encoding="utf-8")), **changes}
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}), encoding="utf-8")


VIT_NAMES = (
    ("cls_token", "vit.embeddings.cls_token"),
    ("pos_embed", "vit.embeddings.position_embeddings"),
    ("patch_embed.proj", "vit.embeddings.patch_embeddings.projection"),
    ("norm.", "vit.layernorm."),
    ("head.", "classifier."),
)
"""Where the names of timm's ViT begin -> transformers' before release 5, which it still reads."""

BLOCK_NAMES = {
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn.proj": "attention.output.dense",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}


def convert_vit(weights: Path, folder: Path, labels: Sequence[str]) -> None:
    """timm's ViT-tiny as a folder of transformers, its outputs put into the order of ``labels`` (wnids)."""
    from safetensors.torch import load_file, save_file
    from transformers import ViTConfig, ViTImageProcessor

    order = [wnids().index(label) for label in labels]
    state: dict[str, torch.Tensor] = {}
    for key, tensor in load_file(weights).items():
        if key.startswith("blocks."):
            _, number, part, kind = key.split(".", 2)[0:2] + key.split(".", 2)[2].rsplit(".", 1)  # type: ignore[misc]
            start = f"vit.encoder.layer.{number}"
            if part == "attn.qkv":
                for name, each in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                    state[f"{start}.attention.attention.{name}.{kind}"] = each.contiguous()
            else:
                state[f"{start}.{BLOCK_NAMES[part]}.{kind}"] = tensor
            continue
        old, new = next(pair for pair in VIT_NAMES if key.startswith(pair[0]))
        state[new + key.removeprefix(old)] = tensor[order] if old == "head." else tensor
    folder.mkdir(parents=True)
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    config = ViTConfig(
        hidden_size=192, num_hidden_layers=12, num_attention_heads=3, intermediate_size=768,
        layer_norm_eps=1e-6, id2label=dict(enumerate(labels)), architectures=["ViTForImageClassification"],
    )  # fmt: skip
    config.save_pretrained(folder)
    ViTImageProcessor(resample=3).save_pretrained(folder)


TWIN_NAMES = {
    "patch_embed.proj": "vit.embeddings.patch_embeddings.projection",
    "blocks.0.norm1": "vit.layers.0.layernorm_before",
    "blocks.0.norm2": "vit.layers.0.layernorm_after",
    "blocks.0.attn.proj": "vit.layers.0.attention.o_proj",
    "blocks.0.mlp.fc1": "vit.layers.0.mlp.fc1",
    "blocks.0.mlp.fc2": "vit.layers.0.mlp.fc2",
    "norm": "vit.layernorm",
    "head": "classifier",
}
"""Names of timm's ViT -> those of ``save_classifier``'s model."""


def twin(model: Any) -> torch.nn.Module:
    """timm's network with the weights of ``save_classifier``'s model: the same function, by other code."""
    from functools import partial

    from timm.models.vision_transformer import VisionTransformer

    state = model.state_dict()
    kinds = ("weight", "bias")
    named = {f"{ours}.{kind}": state[f"{its}.{kind}"] for ours, its in TWIN_NAMES.items() for kind in kinds}
    named["cls_token"] = state["vit.embeddings.cls_token"]
    named["pos_embed"] = state["vit.embeddings.position_embeddings"]
    for kind in kinds:
        attention = [state[f"vit.layers.0.attention.{each}_proj.{kind}"] for each in "qkv"]
        named[f"blocks.0.attn.qkv.{kind}"] = torch.cat(attention)
    made = VisionTransformer(
        img_size=SIZE, patch_size=8, embed_dim=32, depth=1, num_heads=2, mlp_ratio=1.5, num_classes=1000,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-12),
    )  # fmt: skip
    made.load_state_dict(named)
    return made.eval()
