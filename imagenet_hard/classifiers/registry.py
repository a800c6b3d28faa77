"""From a name to a classifier: one mapping from prefix to a loader that imports its backend when called."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from imagenet_hard.base.errors import ClassifierError, UnknownModelError, UsageError, WeightsError
from imagenet_hard.base.types import N_CLASSES
from imagenet_hard.classifiers.base import Classifier
from imagenet_hard.classifiers.file_module import split
from imagenet_hard.classifiers.listing import unknown_model
from imagenet_hard.classifiers.transform_policy import with_policy
from imagenet_hard.classifiers.weights_file import find, is_file_name

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller may say beside the name; what follows ``transform`` is for zero-shot models."""

    tag: str | None = None
    file: str | None = None
    transform: str | Mapping[str, Any] = "native"
    templates: str | None = None
    classnames: str | None = None
    head_cache: bool = True
    device: str = "cpu"
    progress: bool = False
    drop_class: int | None = None


Loader = Callable[[str, Options], Classifier]

LOADERS: dict[str, Loader] = {}
"""Prefix -> loader of what follows it."""


def load_classifier(
    name: str,
    *,
    weights: str | None = None,
    pretrained: str | None = None,
    transform: str | Mapping[str, Any] = "native",
    templates: str | None = None,
    classnames: str | None = None,
    head_cache: bool = True,
    device: str = "cpu",
    progress: bool = False,
    drop_class: int | None = None,
) -> Classifier:
    """The classifier called ``name``, in eval mode, on the CPU, in float32.

    ``name``: ``vit_b_32`` (torchvision, then timm), ``torchvision:NAME``, ``timm:NAME[.TAG]``,
    ``hf-hub:ORG/NAME[@REVISION]``, ``open_clip:ARCH/TAG``, ``clip:ViT-L/14@336px``,
    ``bundled:efficientnet_lite0``, or ``package.module:function`` or ``./file.py:function`` for one's own.
    ``weights``: a tag, or a checkpoint file; ``pretrained``: a tag. With a file the tag says which
    architecture options and transform go with it. ``transform``: see ``with_policy``.
    ``templates``, ``classnames``, ``head_cache``: the zero-shot head of open_clip models, which is
    built on ``device``. ``progress``: show a bar while weights are downloaded. ``drop_class``: the
    background class of a model of one's own with 1001 outputs, 0 or 1000.

    Raises:
        UnknownModelError: if no backend has ``name``; the message lists the nearest.
        WeightsError: for weights that are missing, unsafe, or of another architecture.
        ClassifierError: for a model that does not have the 1000 classes, or does not run.
        UsageError: for arguments that contradict each other.
    """
    tag, file = _tag_and_file(weights, pretrained)
    options = Options(tag, file, transform, templates, classnames, head_cache, device, progress, drop_class)
    classifier = _loader(name)(name, options)
    if classifier.outputs.drop_class != drop_class:
        raise UsageError(
            f"{name} is a {classifier.spec.backend} model with {N_CLASSES} outputs: --drop-class is for "
            f"models of your own with {N_CLASSES + 1}"
        )
    if classifier.spec.backend == "open_clip":
        return classifier  # its loader knows the policy: "paper" is the model's own there
    if templates or classnames:
        raise UsageError(
            f"{name} is a {classifier.spec.backend} model with a head of its own: templates and class names "
            "belong to open_clip models"
        )
    return with_policy(classifier, transform)


def register(prefix: str, loader: Loader) -> None:
    """Let ``prefix:REST`` be loaded by ``loader(REST, options)``.

    Raises:
        ValueError: if the prefix is taken.
    """
    if prefix in LOADERS:
        raise ValueError(f"the model prefix {prefix!r} is registered already")
    LOADERS[prefix] = loader


def _loader(name: str) -> Loader:
    if not name or name != name.strip():
        raise UnknownModelError(
            f"{name!r} is not a model name: expected for instance vit_b_32 or timm:resnet50"
        )
    if split(name):
        return _custom
    if re.search(r"\.py:?$", name):
        raise UnknownModelError(
            f"{name!r} names a file and nothing in it: write {name.rstrip(':')}:FUNCTION, a function without "
            "arguments that returns a model"
        )
    prefix, colon, rest = name.partition(":")
    if not colon:
        return _bare
    if prefix in LOADERS:
        if not rest:
            raise UnknownModelError(f"{name!r} names no model: expected {prefix}:NAME")
        return lambda _, options: LOADERS[prefix](rest, options)
    if re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", name):
        return _custom
    raise UnknownModelError(unknown_model(name))


def _tag_and_file(weights: str | None, pretrained: str | None) -> tuple[str | None, str | None]:
    if weights is None:
        return pretrained, None
    if is_file_name(weights):
        find(weights)
        return pretrained, weights
    if pretrained is not None and pretrained != weights:
        raise UsageError(f"weights {weights!r} and pretrained {pretrained!r} are two tags: give one")
    return weights, None


def _bare(name: str, options: Options) -> Classifier:
    """A name without a prefix: the first backend that has it, and has the tag that was asked for."""
    from imagenet_hard.classifiers.bundled import MODELS

    if name in MODELS:
        return _bundled(name, options)
    from imagenet_hard.classifiers import timm_models, torchvision_models

    tags: dict[str, list[str]] = {}
    if (found := torchvision_models.tags(name)) is not None:
        tags["torchvision"] = found
    if (found := timm_models.tags(name)) is not None:
        tags["timm"] = found
    arch, slash, own = name.partition("/")
    if (found := _open_clip_tags(arch)) is not None:
        tags["open_clip"] = found
    if not tags:
        raise UnknownModelError(unknown_model(name))
    wanted = (own if slash else options.tag) or ""
    chosen = next((b for b, known in tags.items() if wanted in known), next(iter(tags)))
    others = [f"{b}:{name}" for b in tags if b != chosen]
    if others and wanted not in tags[chosen]:
        log.warning("%s is %s's; with other weights there is %s", name, chosen, " and ".join(others))
    return LOADERS[chosen](name, options)


def _torchvision(name: str, options: Options) -> Classifier:
    from imagenet_hard.classifiers import torchvision_models

    return torchvision_models.load(name, tag=options.tag, file=options.file, progress=options.progress)


def _timm(name: str, options: Options) -> Classifier:
    from imagenet_hard.classifiers import timm_models

    return timm_models.load(name, tag=options.tag, file=options.file, progress=options.progress)


def _bundled(name: str, options: Options) -> Classifier:
    from imagenet_hard.classifiers import bundled

    if options.tag is not None:
        raise WeightsError(
            f"{name} has one set of weights and no tag {options.tag!r}; a file of that name is not there"
        )
    return bundled.load(name, file=options.file)


def _custom(name: str, options: Options) -> Classifier:
    from importlib.util import find_spec

    from imagenet_hard.classifiers import custom

    if options.tag is not None:
        raise UsageError(
            f"{name} is your own model: there is no tag {options.tag!r} and no file of that name"
        )
    try:
        return custom.load(name, file=options.file, drop_class=options.drop_class)
    except ClassifierError as error:
        # torchvison:resnet50 looks like a module of one's own, but is more likely a slip.
        if (
            isinstance(error.__cause__, ModuleNotFoundError)
            and not split(name)
            and find_spec(name.partition(".")[0].partition(":")[0]) is None
        ):
            raise UnknownModelError(f"{error}. {unknown_model(name)}") from error
        raise


def _open_clip(name: str, options: Options) -> Classifier:
    arch, slash, own = name.partition("/")
    if slash and options.tag and options.tag != own:
        raise UsageError(
            f"open_clip:{name} names the weights {own!r}, but {options.tag!r} was asked for as well: drop one"
        )
    return _load_open_clip(arch, own or options.tag, options)


def _clip(name: str, options: Options) -> Classifier:
    from imagenet_hard.classifiers.open_clip_build import parse_clip_alias

    arch, tag = parse_clip_alias(name)
    if options.tag not in (None, tag):
        raise UsageError(f"clip:{name} has OpenAI's weights, not {options.tag!r}: use open_clip:{arch}")
    return _load_open_clip(arch, tag, options)


def _hub(repo: str, options: Options) -> Classifier:
    from imagenet_hard.classifiers import hub_models

    if options.tag is not None:
        raise UsageError(
            f"hf-hub:{repo} has one set of weights; a revision is written hf-hub:{repo}@REVISION"
        )
    kind, path = hub_models.kind_of(repo)
    if kind == "open_clip":
        return _load_open_clip(f"hf-hub:{repo}", None, options)
    return hub_models.load_timm(repo, path, file=options.file)


def _open_clip_tags(arch: str) -> list[str] | None:
    import open_clip

    known = arch in open_clip.list_models() or arch.removesuffix("-quickgelu") in open_clip.list_models()
    return list(open_clip.list_pretrained_tags_by_model(arch)) if known else None


def _load_open_clip(arch: str, tag: str | None, options: Options) -> Classifier:
    from imagenet_hard.classifiers import open_clip_models

    return open_clip_models.load(
        arch,
        tag,
        weights=options.file,
        templates=options.templates,
        classnames=options.classnames,
        head_cache=options.head_cache,
        transform=options.transform,
        device=options.device,
        progress=options.progress,
    )


register("torchvision", _torchvision)
register("timm", _timm)
register("bundled", _bundled)
register("open_clip", _open_clip)
register("clip", _clip)
register("hf-hub", _hub)
