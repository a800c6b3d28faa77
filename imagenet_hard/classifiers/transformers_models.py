"""Models of transformers, from the Hub or a folder: image classifiers, and zero-shot models of two towers."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.classifiers.backends import Backend, LoadOptions
from imagenet_hard.classifiers.base import Classifier
from imagenet_hard.classifiers.label_order import LabelOrder, label_order
from imagenet_hard.classifiers.normalisation import normalised
from imagenet_hard.classifiers.transformers_files import (
    CONFIG,
    FORM,
    ModelFiles,
    kind_of,
    load_module,
    load_transform,
    locate,
    of_hub,
    read_json,
)
from imagenet_hard.classifiers.weights import describe
from imagenet_hard.classifiers.weights_file import find

OLDEST = (5, 18)
"""Version of transformers: older ones do not run with our version of the Hub's client."""


def load(name: str, options: LoadOptions) -> Classifier:
    """The model of ``ORG/NAME[#REVISION]`` or of a folder; ``options.file``: other weights for it.

    Raises:
        UnknownModelError: what is no such name and no folder.
        ClassifierError: for a model that is no classifier of the 1000 classes and cannot be made one.
        WeightsError: for files that cannot be had, are unsafe or do not fit.
        UsageError: for templates or class names that cannot be used.
    """
    return _load(locate(name), options)


def load_of_hub(repo: str, options: LoadOptions) -> Classifier:
    """As ``load``, for ``ORG/NAME[@REVISION]``."""
    repo_id, _, revision = repo.partition("@")
    return _load(of_hub(repo_id, revision or None, f"hf-hub:{repo}"), options)


def _load(source: ModelFiles, options: LoadOptions) -> Classifier:
    config = read_json(source.folder / CONFIG, source.said)
    _check_installed(source.said)
    if kind_of(config, source.said) == "two towers":
        from imagenet_hard.classifiers import transformers_zero_shot

        return transformers_zero_shot.load(source, str(config["model_type"]), options)
    return _image_classifier(source, config, options)


def _check_installed(said: str) -> None:
    found = version("transformers") if find_spec("transformers") else None
    if found is None or tuple(map(int, found.split(".")[:2])) < OLDEST:
        raise ClassifierError(
            f"{said} needs transformers {'.'.join(map(str, OLDEST))} or later, "
            + ("which is not installed" if found is None else f"and {found} is installed")
            + ": pip install -U 'imagenet-hard[hf]'"
        )


def _image_classifier(source: ModelFiles, config: Mapping[str, Any], options: LoadOptions) -> Classifier:
    from transformers import AutoModelForImageClassification

    from imagenet_hard.classifiers.outputs import check_shape, read_as
    from imagenet_hard.classifiers.transformers_modules import ClassifierLogits
    from imagenet_hard.classifiers.trial import probe

    order = _order(config, source.said)
    transform, size, patches = load_transform(source)
    model, own = load_module(AutoModelForImageClassification, source, options)
    transform = normalised(transform, own, source.said)
    tag = source.tag if options.file is None else find(options.file)[0].name
    spec = describe(model, transform, backend="transformers", name=source.name, tag=tag, input_size=size)
    module = ClassifierLogits(model, order.places, patches).eval()
    found = read_as(Classifier(spec, module, transform), "logits", order.background)
    check_shape(probe(found.module, transform, source.said), source.said)
    return found


def _order(config: Mapping[str, Any], said: str) -> LabelOrder:
    labels = config.get("id2label")
    if not isinstance(labels, dict):
        raise ClassifierError(f"{CONFIG} of {said} has no id2label: expected the names of its outputs")
    numbered = {int(key): value for key, value in labels.items() if str(key).isdecimal()}
    if sorted(numbered) != list(range(len(labels))) or not all(isinstance(v, str) for v in numbered.values()):
        raise ClassifierError(f"id2label in {CONFIG} of {said}: expected a name for each number from 0 on")
    return label_order([numbered[number] for number in range(len(labels))], said)


BACKEND = Backend(
    load, form=FORM, published_on_hub=True, packages=("transformers",), libraries=("transformers",)
)
