"""Parts of an open_clip model by its name: what to build, its weights file, the model itself, its tokenizer.

OpenAI's, MetaCLIP's and DFN's weights were trained with QuickGELU, which nothing in a state dict shows.
open_clip builds plain GELU for ``ViT-B-32`` with such a tag and only warns; here the tag decides.

open_clip does the rest in one call, but looks for weights only after it has built the model,
retries an unreachable Hub for minutes, and warns of random weights when it is asked for none.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagenet_hard.base.errors import ClassifierError, UnknownModelError, WeightsError
from imagenet_hard.classifiers.download import url_file
from imagenet_hard.classifiers.weights import check_finite
from imagenet_hard.hub.read import model_file

if TYPE_CHECKING:
    from torch import Tensor, nn

log = logging.getLogger(__name__)

CONFIG_FILE = "open_clip_config.json"
WEIGHT_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
TOKENIZER_FILES = ("tokenizer_config.json", "tokenizer.json", "spiece.model", "vocab.txt")


def published_file(source: Resolved, name: str, *, progress: bool = False) -> Path:
    """The weights file of a tag, from the Hub's cache or downloaded.

    Raises:
        WeightsError: if it cannot be had, naming the repository, the file and where to put it.
    """
    hub = str(source.pretrained.get("hf_hub") or "")
    if not hub:
        return url_file(str(source.pretrained["url"]), name=name, progress=progress)
    repo, _, file = hub.rpartition("/")
    if not file:
        return model_file(repo, WEIGHT_FILES)
    return model_file(repo, (file, str(Path(file).with_suffix(".safetensors"))))


def create(config: str, **options: Any) -> nn.Module:
    """An open_clip model with random weights, in eval mode, float32, on the CPU.

    ``config``: an architecture's name or ``local-dir:FOLDER``; ``options``: of ``create_model``.

    Raises:
        ClassifierError: if open_clip cannot build it.
    """
    import open_clip

    try:
        with _without_remarks():
            model: nn.Module = open_clip.create_model(
                config, load_weights=False, pretrained_hf=False, **options
            )
    except Exception as error:  # of open_clip, timm or transformers, of any kind
        raise ClassifierError(f"open_clip {open_clip.__version__} cannot build {config}: {error}") from error
    return model.eval()


def create_tokenizer(config: str) -> Callable[[list[str]], Tensor]:
    """The tokenizer of an architecture: a list of texts to int64 (n, context_length).

    Raises:
        WeightsError: for a tokenizer whose files are not here and cannot be had.
    """
    import open_clip

    try:
        with _without_remarks():
            tokenizer: Callable[[list[str]], Tensor] = open_clip.get_tokenizer(config)
    except Exception as error:  # of open_clip, transformers or the Hub's client
        raise WeightsError(f"the tokenizer of {config} cannot be loaded: {error}") from error
    return tokenizer


def check_text_parts(text_cfg: Mapping[str, Any], name: str) -> None:
    """Refuse early what a Hugging Face text tower or tokenizer needs and this machine lacks.

    Raises:
        ClassifierError: without transformers.
        WeightsError: for files that are neither cached nor to be had, naming them.
    """
    tower, tokenizer = text_cfg.get("hf_model_name"), text_cfg.get("hf_tokenizer_name")
    if not tower and not tokenizer:
        return
    if find_spec("transformers") is None:
        raise ClassifierError(
            f"{name} has a Hugging Face text tower or tokenizer, which needs transformers: "
            "pip install 'imagenet-hard[hf]'"
        )
    if tower and not Path(tower).is_dir():
        model_file(tower, ("config.json",), what="text tower's configuration")
    if tokenizer and not Path(tokenizer).is_dir():
        model_file(tokenizer, TOKENIZER_FILES, what="tokenizer")


def load_published_weights(model: nn.Module, file: Path, name: str) -> None:
    """Load a published checkpoint by open_clip's own rules, without running code from it.

    Raises:
        WeightsError: if it does not fit, or holds a NaN.
    """
    import open_clip

    try:
        with _without_remarks():
            open_clip.load_checkpoint(model, str(file), strict=True, weights_only=True)
    except Exception as error:  # torch, safetensors and pickle each have their own
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise WeightsError(
            f"the weights of {name} in {file} cannot be loaded ({first}): "
            "delete the file, so that it is downloaded again, or upgrade open_clip_torch"
        ) from error
    check_finite(model, file)


def remap(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Older or foreign key names to those of the model, as ``open_clip.load_checkpoint`` does it."""
    from open_clip.convert import convert_state_dict
    from open_clip.model import convert_to_custom_text_state_dict

    state = convert_state_dict(model, state)
    if "positional_embedding" in state and not hasattr(model, "positional_embedding"):
        state = convert_to_custom_text_state_dict(state)
    own = model.state_dict()
    # transformers kept this counter in the state dict up to 4.31.
    if "text.transformer.embeddings.position_ids" not in own:
        state.pop("text.transformer.embeddings.position_ids", None)
    return state


@contextmanager
def _without_remarks() -> Iterator[None]:
    """Keep open_clip from logging to the root logger (and from configuring it: ``logging.info`` does)."""
    root = logging.getLogger()

    def elsewhere(record: logging.LogRecord) -> bool:
        return record.name != "root"

    silent = logging.NullHandler()
    root.addHandler(silent)
    root.addFilter(elsewhere)
    try:
        yield
    finally:
        root.removeFilter(elsewhere)
        root.removeHandler(silent)


QUICK = "-quickgelu"


@dataclass(frozen=True)
class Resolved:
    """What to build: ``config`` is the name of open_clip's architecture file.

    ``pretrained``: open_clip's entry for the tag (hub id, URL, mean, std, ...), empty without one.
    """

    config: str
    tag: str | None
    pretrained: Mapping[str, Any]
    quick_gelu: bool


def resolve_model(arch: str, tag: str | None) -> Resolved:
    """Architecture and tag as open_clip knows them, with the GELU that the weights were trained with.

    ``ARCH-quickgelu`` works for every ARCH.

    Raises:
        UnknownModelError: for an unknown architecture or tag, or a tag that was trained with the
            other GELU than the ``-quickgelu`` of the name says; lists what there is.
    """
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    arch = arch.replace("/", "-")
    known = open_clip.list_models()
    config = arch if arch in known else arch.removesuffix(QUICK)
    if config not in known:
        from imagenet_hard.classifiers.listing import unknown_model

        raise UnknownModelError(unknown_model(arch, "open_clip"))
    own = bool(open_clip.get_model_config(config).get("quick_gelu")) or arch.endswith(QUICK)
    if tag is None:
        return Resolved(config, None, {}, own)
    pretrained = get_pretrained_cfg(arch, tag)
    if not pretrained:
        base = arch.removesuffix(QUICK)
        if base != arch and get_pretrained_cfg(base, tag):
            raise UnknownModelError(
                f"open_clip:{arch}/{tag}: these weights were trained without QuickGELU, "
                f"use open_clip:{base}/{tag}"
            )
        raise UnknownModelError(f"open_clip:{arch} has no weights {tag!r}: {tags_of(arch, near=tag)}")
    # A tag that says nothing leaves the architecture's own setting (roberta-ViT-B-32 is QuickGELU by itself).
    quick = own or bool(pretrained.get("quick_gelu"))
    if quick != own:
        log.info("open_clip:%s/%s was trained with QuickGELU, which is used", arch, tag)
    return Resolved(config, tag, pretrained, quick)


def tags_of(arch: str, near: str = "") -> str:
    """What to say about the tags of an architecture, the nearest to ``near`` first.

    >>> tags_of("RN50x64")
    'its tags are openai'
    """
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(arch)
    first = get_close_matches(near, tags, n=3, cutoff=0.5)
    listed = [*first, *(t for t in tags if t not in first)]
    return f"its tags are {', '.join(listed)}" if listed else "open_clip publishes none, pass --weights FILE"


def other_gelu_tags(source: Resolved) -> tuple[str, ...]:
    """Tags of the same architecture that need QuickGELU where ``source`` has none."""
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    if source.quick_gelu:
        return ()
    tags = open_clip.list_pretrained_tags_by_model(source.config)
    return tuple(t for t in tags if get_pretrained_cfg(source.config, t).get("quick_gelu"))
