"""One's own classifier: ``module:function`` or ``./file.py:function``, any module or callable in Python."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagenet_hard.base.errors import ClassifierError, UsageError
from imagenet_hard.base.text import reason
from imagenet_hard.base.types import ModelSpec
from imagenet_hard.classifiers import file_module
from imagenet_hard.classifiers.base import Classifier, in_eval_mode
from imagenet_hard.classifiers.normalisation import normalised
from imagenet_hard.classifiers.own_code import holds_own_code
from imagenet_hard.classifiers.transform import CallableTransform, ImageTransform, Transform
from imagenet_hard.classifiers.transform_policy import explicit_transform
from imagenet_hard.classifiers.weights import load_into, weights_sha256
from imagenet_hard.classifiers.weights_file import find

if TYPE_CHECKING:
    from torch import nn

log = logging.getLogger(__name__)

DEFAULT_TRANSFORM = Transform(256, (224, 224), "bilinear")
"""For a model that says nothing: shorter side to 256, centre 224, bilinear, ImageNet's mean and std."""


def load_custom(name: str, *, file: str | None = None, drop_class: int | None = None) -> Classifier:
    """``package.module:attribute``, found from the current folder as well, or ``./file.py:attribute``.

    The attribute is a ``torch.nn.Module``, a ``Classifier``, or a function without arguments that
    returns one of these or ``(module, transform)``. ``file``: weights to load into it. ``drop_class``: as
    in ``from_module``.

    Raises:
        ClassifierError: if it can't be imported or called, or gives something else.
        WeightsError: as ``load_into``.
    """
    import torch

    value = _import(name)
    if in_file := file_module.split(name):
        name = f"{Path(in_file[0]).name}:{in_file[1]}"  # a result says no path of this machine
    if not isinstance(value, (torch.nn.Module, Classifier)):
        if not callable(value):
            raise ClassifierError(
                f"{name} is {type(value).__name__}: expected a function that returns a model"
            )
        try:
            value = value()
        except (Exception, SystemExit) as error:  # a script may end the process, by its argparse for instance
            raise ClassifierError(f"{name}() failed: {reason(error)}") from error
    return classifier_of(value, f"{name}()", name, file=file, drop_class=drop_class)


def classifier_of(
    value: Any, said: str, name: str, *, file: str | None = None, drop_class: int | None = None
) -> Classifier:
    """What a function of one's own gave, a module, ``(module, transform)`` or a ``Classifier``, examined.

    ``said``: what gave it, for messages. ``file``: weights to load into it.

    Raises:
        ClassifierError: it is something else, or cannot be a classifier.
        WeightsError: as ``load_into``.
    """
    import torch

    transform = None
    if isinstance(value, tuple) and len(value) == 2:
        value, transform = value
    if isinstance(value, Classifier):
        from imagenet_hard.classifiers.examine import examine

        if file is None:
            return examine(value, drop_class)
        value, transform = value.module, value.transform
    if not isinstance(value, torch.nn.Module):
        raise ClassifierError(
            f"{said} returned {type(value).__name__}: expected a torch.nn.Module, "
            "(module, transform) or a Classifier"
        )
    if file is None:
        return from_module(value, transform, name, drop_class=drop_class)
    own = load_into(value, file, architecture=name)
    found = from_module(value, transform, name, tag=find(file)[0].name, drop_class=drop_class)
    changed = normalised(found.transform, own, name, given=transform is not None)
    return found if changed is found.transform else found.with_transform(changed)


def from_module(
    model: nn.Module | Callable[[Any], Any],
    transform: ImageTransform | Mapping[str, Any] | Callable[[Any], Any] | None = None,
    name: str | None = None,
    *,
    tag: str | None = None,
    drop_class: int | None = None,
) -> Classifier:
    """A classifier of any module or callable: float32 (n, 3, H, W) -> logits (n, 1000).

    Probabilities and log probabilities are recognised and read as logits (``outputs``). An output with
    ``.logits`` (transformers) or a tuple that starts with the logits is taken as well. ``drop_class``: the
    background class of a model with 1001 outputs, 0 or 1000.
    A module is put into eval mode. ``transform``: an ``ImageTransform``, a function from a PIL image
    to a tensor (3, H, W) such as torchvision's ``Compose``, or ``{"resize": 256, "crop": 224, ...}``.
    Without it a timm module gets its own, and any other 256/224 bilinear with ImageNet's mean and std.

    Raises:
        ClassifierError: if it fails on test images, or gives something else than (1, 1000) logits.
        UsageError: for a transform that is none of these.
    """
    import torch

    from imagenet_hard.classifiers.examine import examine
    from imagenet_hard.classifiers.module_state import random_numbers_kept
    from imagenet_hard.classifiers.outputs import LogitsOf
    from imagenet_hard.classifiers.trial import probe

    if not callable(model):
        raise UsageError(f"got {type(model).__name__}: expected a torch.nn.Module or a function of a batch")
    name = name or _name(model)
    found = _transform(model, transform, name)
    module = in_eval_mode(model) if isinstance(model, torch.nn.Module) else LogitsOf(model)
    with random_numbers_kept():
        if not isinstance(module, LogitsOf) and not isinstance(probe(module, found, name), torch.Tensor):
            module = LogitsOf(module)
        size = found.crop or found.resize if isinstance(found, Transform) else None
        size = size if isinstance(size, tuple) else None
        # The weights of a bare function can't be seen, so they are not said to be none.
        weights = model if isinstance(model, torch.nn.Module) else None
        spec = ModelSpec(
            backend="custom",
            name=name,
            tag=tag,
            weights_sha256=None if weights is None else weights_sha256(weights),
            parameters=None if weights is None else sum(p.numel() for p in weights.parameters()),
            head=None,
            input_size=size,
            transform=found.describe(),
            transform_sha256=_hash(found),
        )
        return examine(Classifier(spec, module, found), drop_class)


def _hash(transform: ImageTransform) -> str | None:
    """None for one of one's own that cannot take the fixed images."""
    try:
        return transform.sha256()
    except Exception:
        log.debug("the transform has no hash", exc_info=True)
        return None


def _import(name: str) -> Any:
    if in_file := file_module.split(name):
        return _attribute(file_module.import_file(in_file[0]), *in_file)
    module_name, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # and it stays: a factory may import its own files later
    importlib.invalidate_caches()
    try:
        value: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise ClassifierError(
                f"there is no module {error.name!r} to take {name} from, neither installed nor in {here}"
            ) from error
        raise ClassifierError(f"importing {module_name} failed: {error}") from error
    except (Exception, SystemExit) as error:
        raise ClassifierError(f"importing {module_name} failed: {reason(error)}") from error
    return _attribute(value, module_name, attribute)


def _attribute(value: Any, module_name: str, attribute: str) -> Any:
    for part in attribute.split("."):
        if not hasattr(value, part):
            near = get_close_matches(part, dir(value), 3)
            hint = f": did you mean {', '.join(near)}?" if near else ""
            raise ClassifierError(f"{module_name} has no {attribute!r}{hint}")
        value = getattr(value, part)
    return value


def _transform(model: Any, transform: Any, name: str) -> ImageTransform:
    if transform is None:
        if (own := _timm_transform(model)) is not None:
            return own
        log.warning(
            "%s came without a transform: resize 256, crop 224, bilinear, ImageNet mean and std", name
        )
        return DEFAULT_TRANSFORM
    if isinstance(transform, Mapping):
        known = _timm_transform(model)
        known = known if isinstance(known, Transform) else DEFAULT_TRANSFORM
        return explicit_transform(transform, known.mean, known.std)
    if hasattr(transform, "pixels") and hasattr(transform, "batch"):
        theirs: ImageTransform = transform
        return theirs
    if type(transform).__name__ == "ImageClassification" and type(transform).__module__.startswith(
        "torchvision."
    ):
        from imagenet_hard.classifiers.torchvision_models import from_preset

        return from_preset(transform)
    if callable(transform):
        described = {"name": _name(transform), "steps": _steps(transform)}
        return CallableTransform(transform, described, own=True, alone=holds_own_code(transform))
    raise UsageError(
        f"the transform of {name} is {type(transform).__name__}: expected a function of a PIL image"
    )


def _timm_transform(model: Any) -> ImageTransform | None:
    """That of the configuration which a timm module brings."""
    config = getattr(model, "pretrained_cfg", None)
    if not isinstance(config, Mapping) or "input_size" not in config:
        return None
    from imagenet_hard.classifiers.timm_models import transform_of

    return transform_of(config)


def _name(value: Any) -> str:
    """A name that is the same in every process, so no memory address."""
    config = getattr(value, "pretrained_cfg", None)
    if isinstance(config, Mapping) and config.get("architecture"):
        return str(config["architecture"])
    return str(getattr(value, "__qualname__", type(value).__name__))


def _steps(transform: Any) -> list[str]:
    """The steps of a ``Compose`` as they print, without memory addresses."""
    steps = getattr(transform, "transforms", None) or [transform]
    return [_name(s) if " at 0x" in repr(s) else repr(s) for s in steps]
