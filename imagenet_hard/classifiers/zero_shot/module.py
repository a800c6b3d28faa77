"""The zero-shot head: class names and templates to a linear classifier on image features.

Paper, evaluation: embed every name in every template, normalise each embedding, take the mean over
the templates, normalise; logits = 100 x image features @ head. The head equals that of
``open_clip.build_zero_shot_classifier`` to 1e-5 and is built some twenty times faster on a CPU.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.classifiers.zero_shot.prompts import fill
from imagenet_hard.classifiers.zero_shot.text_tower import causal_tower

log = logging.getLogger(__name__)

LOGIT_SCALE = 100.0
"""Of every zero-shot model, as in the paper; OpenAI's models have learnt this very value."""

TOLERANCE = 1e-5
"""Largest difference of a normalised embedding at which the short text forward is used."""

BATCH_TOKENS = {"cpu": 1024, "cuda": 32768}
"""Tokens of one forward pass; on a CPU the activations of more fall out of the caches."""

TOKENISED = 20_000
"""Prompts that are held as tokens at a time (12 MB at 77 tokens)."""

Encode = Callable[[Tensor, Tensor], Iterator[tuple[Tensor, Tensor]]]
"""Tokens int64 (n, context_length) and each row's template (n,), to batches of (rows, embeddings)."""


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
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """The head of ``model``, float32 (embed_dim, classes), on the CPU, each column of length 1.

    ``model``: of open_clip, in float32; it runs on ``device`` and comes back as it was. ``templates`` have
    one ``{}`` each. ``progress`` is told (prompts done, prompts in all).

    Raises:
        ClassifierError: without names or templates, or for an embedding that is not finite.
    """
    if not classnames or not templates:
        raise ClassifierError(f"a head needs names and templates: got {len(classnames)} and {len(templates)}")
    device = torch.device(device)
    names = list(dict.fromkeys(classnames))  # two pairs of ImageNet's classes share a name
    total, done = len(names) * len(templates), 0
    some = min(100, max(1, TOKENISED // len(names)))
    sums: Tensor | None = None
    with _at_work(model, device), torch.inference_mode():
        encode = _encoder(model, tokenizer, names, templates, device)
        for i in range(0, len(templates), some):
            tokens, group = _tokens(tokenizer, names, templates[i : i + some], device)
            for rows, embedded in encode(tokens, group):
                unit = F.normalize(embedded.float(), dim=-1).cpu()
                if sums is None:
                    sums = torch.zeros(len(names), unit.shape[1])
                sums.index_add_(0, rows.cpu() % len(names), unit)
                done += len(rows)
                if progress:
                    progress(done, total)
    assert sums is not None
    position = {name: i for i, name in enumerate(names)}
    head = F.normalize(sums.clone(), dim=-1)[[position[name] for name in classnames]].T.contiguous()
    finite = torch.isfinite(head).all(dim=0)
    if not finite.all():
        name = classnames[int((~finite).int().argmax())]
        raise ClassifierError(f"the text embedding of {name!r} is NaN or infinite: check the weights")
    return head


def _tokens(
    tokenizer: Callable[[list[str]], Tensor],
    names: Sequence[str],
    templates: Sequence[str],
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Prompts of one template after the other: tokens (n, context_length), number of the template (n,)."""
    tokens = tokenizer([fill(template, name) for template in templates for name in names])
    group = torch.arange(len(templates)).repeat_interleave(len(names))
    return tokens.to(device), group.to(device)


def _encoder(
    model: Any,
    tokenizer: Callable[[list[str]], Tensor],
    names: Sequence[str],
    templates: Sequence[str],
    device: torch.device,
) -> Encode:
    """How to embed prompts: the short way where it is exact, else the model's."""
    budget = BATCH_TOKENS.get(device.type, BATCH_TOKENS["cpu"])

    def full(tokens: Tensor, group: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in torch.split(torch.arange(len(tokens), device=device), max(1, budget // tokens.shape[1])):
            yield rows, model.encode_text(tokens[rows])

    tower = causal_tower(model)
    if tower is None:
        log.info("%s: prompts run at full length", type(model).__name__)
        return full
    # The shortest and the longest name in four templates: what must agree before the short way is trusted.
    by_length = sorted(names, key=len)
    sample = _tokens(
        tokenizer, [by_length[0], by_length[-1]], templates[:: max(1, len(templates) // 4)][:4], device
    )
    difference = _difference(tower.encode(*sample, budget), full(*sample))
    if not difference <= TOLERANCE:
        log.warning("the short text forward differs by %.1e: prompts run at full length", difference)
        return full
    return lambda tokens, group: tower.encode(tokens, group, budget)


def _difference(*ways: Iterator[tuple[Tensor, Tensor]]) -> float:
    """Largest difference of the normalised embeddings that two ways give for the same rows."""
    found = []
    for way in ways:
        rows, embedded = (torch.cat(parts) for parts in zip(*way, strict=True))
        found.append(F.normalize(embedded.float(), dim=-1)[torch.argsort(rows)])
    return float((found[0] - found[1]).abs().max())


@contextmanager
def _at_work(model: nn.Module, device: torch.device) -> Iterator[None]:
    """The model on ``device`` in eval mode; afterwards where and as it was."""
    home, training = next(model.parameters()).device, model.training
    try:
        model.to(device).eval()
        yield
    finally:
        model.to(home).train(training)
