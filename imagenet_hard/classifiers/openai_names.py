"""OpenAI's names for its CLIP models, ``clip:ViT-L/14@336px``: open_clip's with the weights ``openai``."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from imagenet_hard.base.errors import UnknownModelError, UsageError
from imagenet_hard.classifiers.backends import Backend, LoadOptions
from imagenet_hard.classifiers.base import Classifier
from imagenet_hard.classifiers.open_clip_models import load_open_clip

CLIP_ALIASES: Mapping[str, str] = {
    "RN50": "RN50",
    "RN101": "RN101",
    "RN50x4": "RN50x4",
    "RN50x16": "RN50x16",
    "RN50x64": "RN50x64",
    "ViT-B/32": "ViT-B-32",
    "ViT-B/16": "ViT-B-16",
    "ViT-L/14": "ViT-L-14",
    "ViT-L/14@336px": "ViT-L-14-336",
}
"""OpenAI's names for its models -> open_clip's."""


def parse_clip_alias(name: str) -> tuple[str, str]:
    """OpenAI's name of a model to open_clip's architecture and tag.

    >>> parse_clip_alias("ViT-L/14@336px")
    ('ViT-L-14-336', 'openai')

    Raises:
        UnknownModelError: for a name that OpenAI's ``clip`` does not have.
    """
    alias = name.removeprefix("clip:")
    if alias not in CLIP_ALIASES:
        near = get_close_matches(alias, CLIP_ALIASES, n=1, cutoff=0.5)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise UnknownModelError(
            f"unknown model 'clip:{alias}'{hint}: OpenAI's are {', '.join(f'clip:{n}' for n in CLIP_ALIASES)}"
        )
    return CLIP_ALIASES[alias], "openai"


def load_clip(name: str, options: LoadOptions) -> Classifier:
    """The model that OpenAI calls ``name``.

    Raises:
        UnknownModelError: OpenAI has none of that name.
        UsageError: other weights than OpenAI's were asked for.
        ClassifierError: as ``load_open_clip``.
    """
    arch, tag = parse_clip_alias(name)
    if options.tag not in (None, tag):
        raise UsageError(f"clip:{name} has OpenAI's weights, not {options.tag!r}: use open_clip:{arch}")
    return load_open_clip(arch, tag, options)


BACKEND = Backend(load_clip, takes_tag=True)
