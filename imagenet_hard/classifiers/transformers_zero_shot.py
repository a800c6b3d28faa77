"""Zero-shot models of transformers with two towers: our prompts through the text tower, the image tower kept.

Logits have the model's own scale and bias, as its ``logits_per_image``; other backends have 100 for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from imagenet_hard.base.errors import ClassifierError, WeightsError
from imagenet_hard.classifiers.backends import LoadOptions
from imagenet_hard.classifiers.base import Classifier
from imagenet_hard.classifiers.normalisation import normalised
from imagenet_hard.classifiers.outputs import check_shape
from imagenet_hard.classifiers.processor_transform import Patches
from imagenet_hard.classifiers.transformers_files import (
    TOKENIZER_FILES,
    ModelFiles,
    load_module,
    load_transform,
    reading,
)
from imagenet_hard.classifiers.transformers_modules import inputs
from imagenet_hard.classifiers.trial import probe
from imagenet_hard.classifiers.weights import describe
from imagenet_hard.classifiers.weights_file import find
from imagenet_hard.classifiers.zero_shot.head import HeadOptions, head_of
from imagenet_hard.classifiers.zero_shot.module import LOGIT_SCALE, ZeroShotModule

LENGTHS: Mapping[str, int] = {
    "clip": 77,
    "metaclip_2": 77,
    "altclip": 77,
    "align": 64,
    "siglip": 64,
    "siglip2": 64,
}
"""Tokens of a prompt at most, as the processors of these models have it."""

PADDED = ("siglip", "siglip2")
"""Trained on prompts of full length, whose last token is pooled: padding counts."""

VOCABULARIES = tuple(name for name in TOKENIZER_FILES if "config" not in name and "tokens" not in name)
"""Files, one of which holds a tokenizer's words."""

TEXT_PARTS = ("text_model", "text_projection")


class ImageTower(nn.Module):
    """The image embeddings of a model with two towers, whose text tower is taken away from it."""

    def __init__(self, model: Any, patches: Patches | None) -> None:
        super().__init__()
        self.model, self.patches = model, patches
        for name in TEXT_PARTS:
            if hasattr(model, name):
                delattr(model, name)

    def forward(self, batch: Tensor) -> Tensor:
        return _embedding(self.model.get_image_features(**inputs(batch, self.patches)))


class TwoTowers(nn.Module):
    """A model of transformers as a head is built from one: ``encode_text`` of what ``Tokens`` gives."""

    def __init__(self, model: Any, tokens: Tokens) -> None:
        super().__init__()
        self.model, self.pad, self.masked = model, tokens.pad, tokens.masked
        self.register_buffer("logit_scale", _scale(model).log(), persistent=False)

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Tokens int64 (n, length), -1 where there is none, to embeddings (n, width)."""
        there = tokens >= 0
        given = {"input_ids": tokens.where(there, self.pad)}
        if self.masked:
            given["attention_mask"] = there.long()
        return _embedding(self.model.get_text_features(**given))


class OwnScale(ZeroShotModule):
    """A zero-shot classifier whose logits are ``scale x cosine + bias``."""

    def __init__(self, visual: nn.Module, head: Tensor, scale: float, bias: float) -> None:
        super().__init__(visual, head)
        self.scale, self.bias = scale, bias

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * (self.scale / LOGIT_SCALE) + self.bias


class Tokens:
    """A tokenizer as a head needs it: texts to int64 (n, length), with -1 where the model is not to look.

    Texts are cut and padded as the processor of the model's family does it.
    """

    def __init__(self, tokenizer: Any, family: str, positions: int, vocabulary: int, said: str) -> None:
        length = min(LENGTHS[family], positions, int(tokenizer.model_max_length))
        self._settings = {"padding": "max_length" if family in PADDED else "longest", "max_length": length}
        self._tokenizer, self._vocabulary, self._said = tokenizer, vocabulary, said
        self.masked = "attention_mask" in tokenizer.model_input_names
        self.pad = int(tokenizer.pad_token_id)

    def __call__(self, texts: list[str]) -> Tensor:
        given = self._tokenizer(texts, truncation=True, return_tensors="pt", **self._settings)
        tokens: Tensor = given["input_ids"]
        if int(tokens.max()) >= self._vocabulary:
            raise ClassifierError(
                f"{self._said}: its tokenizer gives {int(tokens.max())}, and its text tower knows "
                f"{self._vocabulary} tokens: the two are of different models"
            )
        return tokens if not self.masked else tokens.masked_fill(given["attention_mask"] == 0, -1)


def load(source: ModelFiles, family: str, options: LoadOptions) -> Classifier:
    """The zero-shot classifier of a model of this family, a key of ``TWO_TOWERS``.

    Raises:
        UsageError: for templates or class names that cannot be used.
        ClassifierError: for a tokenizer of another model, an embedding that is not finite.
        WeightsError: for files that cannot be had or do not fit.
    """
    from transformers import AutoModel

    words = HeadOptions(options.templates, options.classnames, options.device, options.progress).read()
    transform, size, patches = load_transform(source)
    tokenizer = _tokenizer(source)
    model, own = load_module(AutoModel, source, options)
    transform = normalised(transform, own, source.said)
    tag = source.tag if options.file is None else find(options.file)[0].name
    spec = describe(model, transform, backend="transformers", name=source.name, tag=tag, input_size=size)
    assert spec.weights_sha256 is not None
    text: Any = model.config.text_config  # type: ignore[union-attr]
    tokens = Tokens(tokenizer, family, text.max_position_embeddings, text.vocab_size, source.said)
    head, facts = head_of(TwoTowers(model, tokens), tokens, spec.weights_sha256, words)
    scale, bias = float(_scale(model)), float(getattr(model, "logit_bias", torch.zeros(())).detach())
    facts |= {"logit_scale": scale} | ({"logit_bias": bias} if hasattr(model, "logit_bias") else {})
    module = OwnScale(ImageTower(model, patches), head, scale, bias).eval()
    check_shape(probe(module, transform, source.said), source.said)
    return Classifier(spec.model_copy(update={"head": facts}), module, transform)


def _tokenizer(source: ModelFiles) -> Callable[..., Any]:
    from transformers import AutoTokenizer

    source.bring(TOKENIZER_FILES)
    if not any((source.folder / name).is_file() for name in VOCABULARIES):  # it would make up an empty one
        raise WeightsError(f"{source.said} has no tokenizer: expected one of {', '.join(VOCABULARIES)}")
    with reading(source, "tokenizer"):
        found: Callable[..., Any] = AutoTokenizer.from_pretrained(
            source.folder, local_files_only=True, trust_remote_code=False
        )
        if found.pad_token_id is None:  # type: ignore[attr-defined]
            raise ClassifierError(f"the tokenizer of {source.said} has no padding token")
        return found


def _scale(model: Any) -> Tensor:
    """What its cosines are multiplied by; ALIGN divides by a temperature."""
    if hasattr(model, "temperature"):
        return model.temperature.detach().reciprocal().reshape(())  # type: ignore[no-any-return]
    return model.logit_scale.detach().exp().reshape(())  # type: ignore[no-any-return]


def _embedding(given: Any) -> Tensor:
    """float (n, width), of the tensor or the output object that it is in."""
    embedding: Tensor = given if isinstance(given, Tensor) else given.pooler_output
    return embedding
