"""Which zero-shot head a model gets, and the head: from the cache, or built and put there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagenet_hard.base.types import Precision
from imagenet_hard.classifiers.prompts import TextSet, load_classnames, load_templates

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True)
class HeadOptions:
    """Which zero-shot head, and how it is made.

    ``templates`` (None: openai-80) and ``classnames`` (None: open_clip's): a name, a file, see
    ``prompts``, or the texts. The head is built on ``device`` in ``precision``, or taken from the ``cache``;
    ``progress`` shows a bar on stderr.
    """

    templates: str | Path | TextSet | None = None
    classnames: str | Path | TextSet | None = None
    cache: bool = True
    precision: Precision = "fp32"
    device: torch.device | str = "cpu"
    progress: bool = False

    def texts(self) -> tuple[TextSet, TextSet]:
        """Templates and class names.

        Raises:
            UsageError: for a name or a file that cannot be used.
        """
        templates, names = self.templates or "openai-80", self.classnames
        return (
            templates if isinstance(templates, TextSet) else load_templates(templates),
            names if isinstance(names, TextSet) else load_classnames(names),
        )

    def read(self) -> HeadOptions:
        """The same with the texts read, once: what is to be said of them is said once.

        Raises:
            UsageError: as ``texts``.
        """
        templates, names = self.texts()
        return replace(self, templates=templates, classnames=names)


def head_of(
    model: nn.Module,
    tokenizer: Callable[[list[str]], Tensor],
    weights_sha256: str,
    options: HeadOptions,
) -> tuple[Tensor, dict[str, Any]]:
    """The head of an open_clip model, float32 (embed_dim, 1000), and what a result says about it.

    ``weights_sha256``: of the whole model; it is part of the cache's key.

    Raises:
        UsageError: for templates or class names that cannot be used.
        ClassifierError: for a text embedding that is not finite.
    """
    from tqdm import tqdm

    from imagenet_hard.classifiers.head_cache import cached_head, head_key, head_sha256
    from imagenet_hard.classifiers.zero_shot import LOGIT_SCALE, build_head

    templates, names = options.texts()
    words = names.texts, templates.texts

    def build() -> Tensor:
        with tqdm(desc="zero-shot head", unit=" prompts", disable=not options.progress, leave=False) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            return build_head(
                model, tokenizer, *words, precision=options.precision, device=options.device, progress=show
            )

    if options.cache:
        key = head_key(model, tokenizer, *words, weights_sha256=weights_sha256, precision=options.precision)
        head = cached_head(key, build)
    else:
        head = build()
    return head, {
        "templates": templates.name,
        "n_templates": len(templates),
        "templates_sha256": templates.sha256,
        "classnames": names.name,
        "classnames_sha256": names.sha256,
        "precision": options.precision,
        "logit_scale": LOGIT_SCALE,
        "model_logit_scale": model.logit_scale.detach().exp().item(),  # type: ignore[operator]
        "quick_gelu": any(type(m).__name__ == "QuickGELU" for m in model.modules()),
        "head_sha256": head_sha256(head),
    }
