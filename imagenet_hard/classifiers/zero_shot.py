"""The zero-shot head: class names and templates to a linear classifier on image features.

Paper, evaluation: embed every name in every template, normalise each embedding, take the mean over
the templates, normalise; logits = 100 x image features @ head. The head equals that of
``open_clip.build_zero_shot_classifier`` to 1e-5 and is built some twenty times faster on a CPU.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imagenet_hard.classifiers.prompts import fill
from imagenet_hard.classifiers.text_tower import CausalTower, causal_tower
from imagenet_hard.errors import ClassifierError
from imagenet_hard.types import Precision

log = logging.getLogger(__name__)

LOGIT_SCALE = 100.0
"""Of every zero-shot model, as in the paper; OpenAI's models have learnt this very value."""

TOLERANCE = 1e-5
"""Largest difference of a normalised embedding at which the short text forward is used."""

BATCH_TOKENS = {"cpu": 1024, "cuda": 32768}
"""Tokens of one forward pass; on a CPU the activations of more fall out of the caches."""

Encode = Callable[[Tensor], Tensor]
"""Tokens int64 (n, context_length) to embeddings (n, embed_dim), not normalised."""


class ZeroShotModule(nn.Module):
    """Images float32 (n, 3, H, W) to logits float32 (n, classes): 100 x features @ head.

    ``visual``: an image tower of open_clip; ``head``: float32 (embed_dim, classes), unit columns.
    Whatever the precision of the tower, the last product is in float32: at 16 to 32, bfloat16
    logits would be multiples of 1/8. Classes with one name get one and the same logit.
    """

    head: Tensor
    twin: Tensor

    def __init__(self, visual: nn.Module, head: Tensor) -> None:
        super().__init__()
        self.visual = visual
        self.register_buffer("head", head.detach().float().clone())
        # The first class with an equal column. A matrix product may round equal columns differently.
        _, group = torch.unique(head, dim=1, return_inverse=True)
        first = torch.full((int(group.max()) + 1,), head.shape[1])
        first.scatter_reduce_(0, group.cpu(), torch.arange(head.shape[1]), "amin")
        self.register_buffer("twin", first[group.cpu()])

    def forward(self, images: Tensor) -> Tensor:
        features = self.visual(images)
        if isinstance(features, tuple):  # CoCa's image tower also returns its patch tokens
            features = features[0]
        with torch.autocast(images.device.type, enabled=False):
            logits = LOGIT_SCALE * F.normalize(features.float(), dim=-1) @ self.head
            return logits[:, self.twin]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> ZeroShotModule:
        # half() and to(bfloat16) move the head along with the tower, but leave its values as they are.
        head = self.head
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.head = head.to(self.head.device)
        return self


def build_head(
    model: nn.Module,
    tokenizer: Callable[[list[str]], Tensor],
    classnames: Sequence[str],
    templates: Sequence[str],
    *,
    precision: Precision = "fp32",
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """The head of ``model``, float32 (embed_dim, classes), on the CPU, each column of length 1.

    ``model``: of open_clip, in float32; it runs on ``device``, under autocast if ``precision`` is
    bf16 or fp16, and comes back as it was. ``templates`` have one ``{}`` each. ``progress`` is told
    (prompts done, prompts in all).

    Raises:
        ClassifierError: without names or templates, or for an embedding that is not finite.
    """
    if not classnames or not templates:
        raise ClassifierError(f"a head needs names and templates: got {len(classnames)} and {len(templates)}")
    device = torch.device(device)
    names = list(dict.fromkeys(classnames))  # two pairs of ImageNet's classes share a name
    total, done = len(names) * len(templates), 0
    sums: Tensor | None = None
    with _at_work(model, device), torch.inference_mode():
        encode, size = _encoder(model, tokenizer, names, templates, device)
        with _autocast(device, precision):
            for template in templates:
                tokens = tokenizer([fill(template, name) for name in names])
                for start in range(0, len(names), size):
                    embedded = F.normalize(encode(tokens[start : start + size].to(device)).float(), dim=-1)
                    if sums is None:
                        sums = torch.zeros(len(names), embedded.shape[1])
                    sums[start : start + size] += embedded.cpu()
                    done += len(embedded)
                    if progress:
                        progress(done, total)
    assert sums is not None
    position = {name: i for i, name in enumerate(names)}
    head = F.normalize(sums.clone(), dim=-1)[[position[name] for name in classnames]].T.contiguous()
    finite = torch.isfinite(head).all(dim=0)
    if not finite.all():
        name = classnames[int((~finite).int().argmax())]
        raise ClassifierError(
            f"the text embedding of {name!r} is NaN or infinite in {precision}: "
            "try --precision fp32, and check the weights"
        )
    return head


def _encoder(
    model: Any,
    tokenizer: Callable[[list[str]], Tensor],
    names: Sequence[str],
    templates: Sequence[str],
    device: torch.device,
) -> tuple[Encode, int]:
    """How to embed prompts, and how many at a time: the short way where it is exact, else the model's."""
    budget = BATCH_TOKENS.get(device.type, BATCH_TOKENS["cpu"])

    def full(tokens: Tensor) -> Tensor:
        embedded: Tensor = model.encode_text(tokens)
        return embedded

    # Two prompts of each of four templates: what the short way must agree on before it is trusted.
    chosen = templates[:: max(1, len(templates) // 4)][:4]
    by_length = sorted(names, key=len)
    samples = [tokenizer([fill(t, by_length[0]), fill(t, by_length[-1])]).to(device) for t in chosen]
    size = max(1, budget // samples[0].shape[1])
    tower = causal_tower(model)
    if tower is None:
        log.info("text tower %s: prompts run at full length", type(model).__name__)
        return full, size
    difference = max(_difference(tower, full, tokens, budget) for tokens in samples)
    if not difference <= TOLERANCE:
        log.warning("the short text forward differs by %.1e: prompts run at full length", difference)
        return full, size
    return lambda tokens: tower.encode(tokens, budget), len(names)


def _difference(tower: CausalTower, full: Encode, tokens: Tensor, budget: int) -> float:
    """Largest difference of the normalised embeddings, the short way against the model's own."""
    short, long = tower.encode(tokens, budget), full(tokens)
    return float((F.normalize(short.float(), dim=-1) - F.normalize(long.float(), dim=-1)).abs().max())


def _autocast(device: torch.device, precision: Precision) -> AbstractContextManager[Any]:
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if precision == "bf16" else torch.float16)


@contextmanager
def _at_work(model: nn.Module, device: torch.device) -> Iterator[None]:
    """The model on ``device`` in eval mode; afterwards where and as it was."""
    home, training = next(model.parameters()).device, model.training
    try:
        model.to(device).eval()
        yield
    finally:
        model.to(home).train(training)
