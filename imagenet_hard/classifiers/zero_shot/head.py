"""Which zero-shot head a model gets, and the head: from the cache, or built and put there.

A head depends on text alone, so it is built once for each model. A file of the cache is named after
everything that the head follows from. One that is damaged is built again, and a folder that cannot be
written costs time but never a run.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.runtime import cache_dir
from imagenet_hard.classifiers.zero_shot.prompts import TextSet, load_classnames, load_templates

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeadOptions:
    """Which zero-shot head, and how it is made.

    ``templates`` (None: openai-80) and ``classnames`` (None: open_clip's): a name, a file, see
    ``prompts``, or the texts. The head is built on ``device`` unless the cache has it; ``progress`` shows a
    bar on stderr.
    """

    templates: str | Path | TextSet | None = None
    classnames: str | Path | TextSet | None = None
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

    from imagenet_hard.classifiers.zero_shot.module import LOGIT_SCALE, build_head

    templates, names = options.texts()
    words = names.texts, templates.texts

    def build() -> Tensor:
        with tqdm(desc="zero-shot head", unit=" prompts", disable=not options.progress, leave=False) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            return build_head(model, tokenizer, *words, device=options.device, progress=show)

    head = cached_head(head_key(model, tokenizer, *words, weights_sha256=weights_sha256), build)
    return head, {
        "templates": templates.name,
        "n_templates": len(templates),
        "templates_sha256": templates.sha256,
        "classnames": names.name,
        "classnames_sha256": names.sha256,
        "precision": PRECISION,
        "logit_scale": LOGIT_SCALE,
        "model_logit_scale": model.logit_scale.detach().exp().item(),  # type: ignore[operator]
        "quick_gelu": any(type(m).__name__ == "QuickGELU" for m in model.modules()),
        "head_sha256": head_sha256(head),
    }


PRECISION = "fp32"
"""Arithmetic in which every head is built."""

FORMAT = 1
"""Raised when the way a head is built changes its values."""


def head_key(
    model: nn.Module,
    tokenizer: Callable[[list[str]], Tensor],
    classnames: Sequence[str],
    templates: Sequence[str],
    *,
    weights_sha256: str,
) -> str:
    """sha256 of all that a head follows from.

    The tokenizer counts by what it does to these names and templates, the architecture by the
    settings of its modules: an activation or a number of heads leaves no trace in the weights.
    """
    tokens = tokenizer([*dict.fromkeys(classnames), *templates])
    parts = {
        "format": FORMAT,
        "weights": weights_sha256,
        "architecture": _settings(model),
        "tokens": [list(tokens.shape), hashlib.sha256(tokens.cpu().numpy().tobytes()).hexdigest()],
        "classnames": list(classnames),
        "templates": list(templates),
        "precision": PRECISION,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def cached_head(key: str, build: Callable[[], Tensor]) -> Tensor:
    """The head with this key, float32 (embed_dim, classes): from the disk, or built and put there."""
    path = cache_dir() / "heads" / f"{key}.safetensors"
    head = _read(path)
    if head is None:
        head = build()
        _write(path, head)
    return head


def head_sha256(head: Tensor) -> str:
    """sha256 over the shape and the float32 values."""
    digest = hashlib.sha256(repr(tuple(head.shape)).encode())
    digest.update(head.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _settings(model: nn.Module) -> list[Any]:
    """Name, type, plain attributes and buffers of every module that takes part in ``encode_text``."""
    found = []
    for name, module in model.named_modules():
        if name.split(".")[0] in ("visual", "text_decoder"):
            continue
        plain: Mapping[str, Any] = {
            k: v
            for k, v in vars(module).items()
            if isinstance(v, str | int | float) and not k.startswith("_") and k != "training"
        }
        present = [k for k, buffer in module.named_buffers(recurse=False) if buffer is not None]
        found.append([name, type(module).__qualname__, plain, present])
    return found


def _read(path: Path) -> Tensor | None:
    from safetensors import SafetensorError, safe_open
    from torch import Tensor

    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata, head = file.metadata() or {}, file.get_tensor("head")
    except (OSError, SafetensorError) as error:
        log.warning("the cached head %s cannot be read and is built again: %s", path, error)
        return None
    if not isinstance(head, Tensor) or metadata.get("sha256") != head_sha256(head):
        log.warning("the cached head %s is damaged (its sha256 differs) and is built again", path)
        return None
    return head


def _write(path: Path, head: Tensor) -> None:
    from safetensors.torch import save

    try:
        write_atomically(path, save({"head": head.contiguous()}, {"sha256": head_sha256(head)}))
    except ResultError as error:
        log.warning("the head is not cached, so the next run builds it again: %s", error)
