"""open_clip's names: architectures, weights tags, OpenAI's own spelling, and which GELU goes with what.

OpenAI's, MetaCLIP's and DFN's weights were trained with QuickGELU, which nothing in a state dict
shows. open_clip builds plain GELU for ``ViT-B-32`` with such a tag and only warns (pitfall 9 of the
notes); here the tag decides.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from imagenet_hard.base.errors import UnknownModelError

log = logging.getLogger(__name__)

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

QUICK = "-quickgelu"


@dataclass(frozen=True)
class Source:
    """What to build: ``config`` is the name of open_clip's architecture file.

    ``pretrained``: open_clip's entry for the tag (hub id, URL, mean, std, ...), empty without one.
    """

    config: str
    tag: str | None
    pretrained: Mapping[str, Any]
    quick_gelu: bool


def names() -> list[tuple[str, tuple[str, ...]]]:
    """Every architecture of the installed open_clip with its weights tags, sorted; some have none."""
    import open_clip

    return [(arch, tuple(open_clip.list_pretrained_tags_by_model(arch))) for arch in open_clip.list_models()]


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


def resolve(arch: str, tag: str | None) -> Source:
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
        return Source(config, None, {}, own)
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
    return Source(config, tag, pretrained, quick)


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


def other_gelu_tags(source: Source) -> tuple[str, ...]:
    """Tags of the same architecture that need QuickGELU where ``source`` has none."""
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    if source.quick_gelu:
        return ()
    tags = open_clip.list_pretrained_tags_by_model(source.config)
    return tuple(t for t in tags if get_pretrained_cfg(source.config, t).get("quick_gelu"))
