"""From a name to a classifier: which backend has it, and what may be said beside it."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from imagenet_hard.base.errors import ClassifierError, UnknownModelError, UsageError
from imagenet_hard.base.text import reason
from imagenet_hard.base.types import N_CLASSES
from imagenet_hard.classifiers import backends
from imagenet_hard.classifiers.backends import LoadOptions
from imagenet_hard.classifiers.base import Classifier
from imagenet_hard.classifiers.file_module import split
from imagenet_hard.classifiers.listing import unknown_model
from imagenet_hard.classifiers.weights_file import find, is_file_name
from imagenet_hard.classifiers.without_compiler import without_compiler

log = logging.getLogger(__name__)


def load_classifier(
    name: str,
    *,
    weights: str | None = None,
    pretrained: str | None = None,
    transform: str | Mapping[str, Any] = "native",
    templates: str | None = None,
    classnames: str | None = None,
    device: str = "cpu",
    progress: bool = False,
    drop_class: int | None = None,
) -> Classifier:
    """The classifier called ``name``, in eval mode, on the CPU, in float32.

    ``name``: ``vit_b_32`` (torchvision, then timm), ``torchvision:NAME``, ``timm:NAME[.TAG]``,
    ``hf-hub:ORG/NAME[@REVISION]``, ``transformers:ORG/NAME[#REVISION]`` or ``transformers:FOLDER``,
    ``open_clip:ARCH/TAG``, ``clip:ViT-L/14@336px``, ``bundled:efficientnet_lite0``,
    or ``package.module:function`` or ``./file.py:function`` for one's own; installed packages may bring more
    prefixes (``backends``).
    ``weights``: a tag, or a checkpoint file; ``pretrained``: a tag. With a file the tag says which
    architecture options and transform go with it. ``transform``: see ``with_policy``.
    ``templates``, ``classnames``: the head of zero-shot models, which is built on ``device``.
    ``progress``: show a bar while weights are downloaded. ``drop_class``: the background class of a model
    of one's own with 1001 outputs, 0 or 1000.

    Raises:
        UnknownModelError: if no backend has ``name``; the message lists the nearest.
        WeightsError: for weights that are missing, unsafe, or of another architecture.
        ClassifierError: for a model that does not have the 1000 classes, or does not run.
        UsageError: for arguments that contradict each other.
    """
    tag, file = _tag_and_file(weights, pretrained)
    options = LoadOptions(tag, file, templates, classnames, device, progress, drop_class)
    classifier = _load(name, options)
    if drop_class is not None and classifier.outputs.drop_class != drop_class:
        raise UsageError(
            f"{name} is a {classifier.spec.backend} model with {N_CLASSES} outputs: --drop-class is for "
            f"models of your own with {N_CLASSES + 1}"
        )
    if (templates or classnames) and classifier.spec.head is None:
        raise UsageError(
            f"{name} is a {classifier.spec.backend} model with a head of its own: templates and class names "
            "belong to zero-shot models"
        )
    from imagenet_hard.classifiers.transform_policy import with_policy

    return with_policy(classifier, transform)


def _load(name: str, options: LoadOptions) -> Classifier:
    if not name or name != name.strip():
        raise UnknownModelError(
            f"{name!r} is not a model name: expected for instance vit_b_32 or timm:resnet50"
        )
    if split(name):
        return _load_own(name, options)
    if re.search(r"\.py:?$", name):
        raise UnknownModelError(
            f"{name!r} names a file and nothing in it: write {name.rstrip(':')}:FUNCTION, a function without "
            "arguments that returns a model"
        )
    prefix, colon, rest = name.partition(":")
    if not colon:
        with without_compiler():
            prefix, rest = _prefix_of(name, options), name
    if prefix == backends.ENDPOINT:
        raise UnknownModelError(
            f"{name!r} answers in words, and has no scores for classes: imagenet-hard-eval can ask it, and "
            "nothing else can use it"
        )
    if prefix in backends.OWN or prefix in backends.installed():
        if not rest:
            raise UnknownModelError(f"{name!r} names no model: expected {prefix}:NAME")
        return _load_with(prefix, rest, options)
    if re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", name):
        return _load_own(name, options)
    raise UnknownModelError(unknown_model(name))


def _load_with(prefix: str, name: str, options: LoadOptions) -> Classifier:
    """The model ``name`` of a backend; what an installed package gives is treated as code of one's own."""
    backend = backends.find(prefix)
    assert backend is not None
    if options.tag is not None and not backend.takes_tag:
        raise UsageError(
            f"{prefix}:{name} has one set of weights and no tag {options.tag!r}, and no file of that name "
            f"exists: such models are named {prefix}:{backend.form}"
        )
    if prefix in backends.OWN:
        with without_compiler():
            classifier: Classifier = backend.load(name, options)
        return classifier
    from imagenet_hard.classifiers.custom import classifier_of

    extension = backends.installed()[prefix]
    try:
        given = backend.load(name, options)
    except (ClassifierError, UsageError):
        raise
    except (Exception, SystemExit) as error:  # whatever a foreign loader throws
        raise ClassifierError(
            f"{prefix}:{name} could not be loaded by the installed package {extension.origin}: "
            f"{reason(error)}"
        ) from error
    found = classifier_of(given, f"{prefix}:{name}", name, file=options.file, drop_class=options.drop_class)
    # Whatever it calls itself, it is no model of this package's own backends.
    said: dict[str, str | None] = {"backend": prefix, "name": name, "package": extension.origin}
    if found.spec.tag is None:
        said |= {"tag": options.tag}
    return replace(found, spec=found.spec.model_copy(update=said))


def _tag_and_file(weights: str | None, pretrained: str | None) -> tuple[str | None, str | None]:
    if weights is None:
        return pretrained, None
    if is_file_name(weights):
        find(weights)
        return pretrained, weights
    if pretrained is not None and pretrained != weights:
        raise UsageError(f"weights {weights!r} and pretrained {pretrained!r} are two tags: give one")
    return weights, None


def _prefix_of(name: str, options: LoadOptions) -> str:
    """Of a bare name: the first backend that has it with the tag that was asked for, else the first.

    Raises:
        UnknownModelError: none has it.
    """
    wanted = name.partition("/")[2] or options.tag or ""
    tags: dict[str, list[str]] = {}
    for prefix, backend in backends.own().items():
        if backend.tags is None or (found := backend.tags(name)) is None:
            continue
        tags[prefix] = list(found)
        if wanted in found:
            break
    if not tags:
        raise UnknownModelError(unknown_model(name))
    chosen = next((prefix for prefix, known in tags.items() if wanted in known), next(iter(tags)))
    others = [f"{prefix}:{name}" for prefix in tags if prefix != chosen]
    if others and wanted not in tags[chosen]:
        log.warning("%s is %s's; with other weights there is %s", name, chosen, " and ".join(others))
    return chosen


def _load_own(name: str, options: LoadOptions) -> Classifier:
    """Code of one's own, ``module:function`` or ``file.py:function``."""
    from imagenet_hard.classifiers.custom import load_custom

    if options.tag is not None:
        raise UsageError(
            f"{name} is your own model: there is no tag {options.tag!r} and no file of that name"
        )
    try:
        return load_custom(name, file=options.file, drop_class=options.drop_class)
    except ClassifierError as error:
        # torchvison:resnet50 looks like a module of one's own, but is more likely a slip.
        if (
            isinstance(error.__cause__, ModuleNotFoundError)
            and not split(name)
            and find_spec(name.partition(".")[0].partition(":")[0]) is None
        ):
            raise UnknownModelError(f"{error}. {unknown_model(name)}") from error
        raise
