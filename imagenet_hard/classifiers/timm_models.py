"""timm's ImageNet classifiers: from its registry, from the Hub, or with one's own weights file.

The transform is that of timm's published numbers: ``test_input_size`` and ``test_crop_pct`` where a
model has them, as ``validate.py`` takes them unless told ``--use-train-size``.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from imagenet_hard.base.errors import ClassifierError, UnknownModelError, WeightsError
from imagenet_hard.base.types import N_CLASSES
from imagenet_hard.classifiers.backends import Backend
from imagenet_hard.classifiers.base import Classifier
from imagenet_hard.classifiers.download import url_file
from imagenet_hard.classifiers.normalisation import Normalisation, normalised
from imagenet_hard.classifiers.transform import CallableTransform, ImageTransform, Transform
from imagenet_hard.classifiers.weights import describe, load_into
from imagenet_hard.classifiers.weights_file import find
from imagenet_hard.classifiers.weights_source import WeightsSource
from imagenet_hard.hub.read import model_file

if TYPE_CHECKING:
    from torch import nn

log = logging.getLogger(__name__)

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")


def load_timm(
    name: str, *, tag: str | None = None, file: str | None = None, progress: bool = False
) -> Classifier:
    """The classifier ``NAME`` or ``NAME.TAG`` with its published weights, or with those of ``file``.

    Without a tag: the first one, in timm's order, that has the 1000 classes.

    Raises:
        UnknownModelError: if timm has no such architecture.
        WeightsError: for an unknown tag, and for weights that are missing or don't fit.
        ClassifierError: for a head with other classes than the 1000.
    """
    import timm

    arch, tag = _resolve(name, tag)
    tag = _choose(arch, tag, required=file is None)
    full = f"{arch}.{tag}" if tag else arch
    config = timm.get_pretrained_cfg(full)
    own: Normalisation | None = None
    if file is not None:
        model = timm.create_model(full, pretrained=False, num_classes=N_CLASSES)
        own = load_into(model, file, architecture=f"timm:{arch}", remap=key_filter(model))
        source = WeightsSource(kind="file", place=file)
    else:
        assert config is not None
        overlay: dict[str, Any] = {}
        if config.hf_hub_id:
            wanted = (config.hf_hub_filename,) if config.hf_hub_filename else WEIGHT_FILES
            overlay = {"file": str(model_file(config.hf_hub_id, wanted)), "custom_load": False}
            source = WeightsSource(kind="hub", place=config.hf_hub_id, names=wanted)
        else:
            overlay = {"file": str(url_file(config.url, name=f"timm:{full}", progress=progress))}
            source = WeightsSource(kind="url", place=config.url)
        model = create(full, overlay["file"], pretrained=True, pretrained_cfg_overlay=overlay)
    found = classifier(model, arch, find(file)[0].name if file else tag, model.pretrained_cfg, own)
    return replace(found, sources=(source,))


def names() -> list[tuple[str, list[str], tuple[int, int]]]:
    """Every architecture with weights for the 1000 classes: (name, tags, input size of the first tag)."""
    import timm

    return [
        (arch, found, input_size(timm.get_pretrained_cfg(f"{arch}.{found[0]}" if found[0] else arch)))
        for arch in timm.list_models()
        if (found := _tags(arch))
    ]


def tags(name: str) -> list[str] | None:
    """The tags of NAME[.TAG] that have the 1000 classes, or None where timm has no such architecture."""
    import timm

    return _tags(_current(name).partition(".")[0]) if timm.is_model(name) else None


def _tags(arch: str) -> list[str]:
    from timm.models import get_arch_pretrained_cfgs

    return [
        c.tag or ""
        for c in get_arch_pretrained_cfgs(arch).values()
        if c.has_weights and c.num_classes == N_CLASSES
    ]


def _current(name: str) -> str:
    """``name``, or what timm calls it today (a removed name stays as it is)."""
    from timm.models import get_deprecated_models

    return get_deprecated_models().get(name) or name


def _resolve(name: str, tag: str | None) -> tuple[str, str | None]:
    import timm

    current = _current(name)
    if current != name:
        log.warning("timm:%s is called timm:%s now", name, current)
    arch, _, own = current.partition(".")
    if not timm.is_model(arch):
        from imagenet_hard.classifiers.listing import unknown_model

        raise UnknownModelError(unknown_model(name, "timm"))
    if own and tag and own != tag:
        raise WeightsError(
            f"timm:{name} names the weights {own!r}, but {tag!r} was asked for as well: drop one"
        )
    return arch, own or tag


def _choose(arch: str, tag: str | None, *, required: bool) -> str | None:
    import timm
    from timm.models import get_arch_pretrained_cfgs

    known = _tags(arch)
    if tag is None:
        if not known and required:
            raise WeightsError(
                f"timm:{arch} has no published weights with the {N_CLASSES} ImageNet classes: "
                "pass --weights FILE"
            )
        if known:
            log.info("timm:%s: weights %s; others: %s", arch, known[0], ", ".join(known[1:]) or "none")
        return known[0] if known else None
    registered = {c.tag: c for c in get_arch_pretrained_cfgs(arch).values()}
    if tag not in registered:
        raise WeightsError(
            f"timm:{arch} has no weights {tag!r} in timm {timm.__version__}, and there is no file of "
            f"that name: it has {', '.join(known) or 'none'}"
        )
    if required:
        check_classes(f"timm:{arch}.{tag}", registered[tag].num_classes, registered[tag].label_names)
        if not registered[tag].has_weights:
            raise WeightsError(f"timm:{arch}.{tag} has no published weights: pass --weights FILE")
    return tag


def check_classes(what: str, classes: int, label_names: Any) -> None:
    """Refuse a head that is not the 1000 classes in their order, as far as its labels tell.

    Raises:
        ClassifierError: naming the number of outputs.
    """
    if classes != N_CLASSES:
        kind = "features and no classes" if classes == 0 else f"{classes} outputs"
        raise ClassifierError(
            f"{what} gives {kind}: expected the {N_CLASSES} classes of ImageNet-1k. Take weights that were "
            "fine-tuned on it (their tags contain in1k)"
        )
    if isinstance(label_names, (list, tuple)) and all(
        str(n)[:1] == "n" and str(n)[1:].isdigit() for n in label_names
    ):
        from timm.data import ImageNetInfo

        if list(label_names) != list(ImageNetInfo("imagenet-1k").label_names()):
            raise ClassifierError(
                f"{what} has {N_CLASSES} classes, but not those of ImageNet-1k in the order of their wnids"
            )


def create(name: str, source: str, **arguments: Any) -> nn.Module:
    """``timm.create_model`` with weights from ``source``, its failures turned into ours.

    Raises:
        WeightsError: if they do not fit.
    """
    import timm

    try:
        model: nn.Module = timm.create_model(name, **arguments)
    except (RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
        reason = str(error).splitlines()[-1].strip() if str(error) else type(error).__name__
        raise WeightsError(
            f"the weights in {source} could not be loaded into timm:{name}: {reason}"
        ) from error
    return model


def classifier(
    model: nn.Module,
    arch: str,
    tag: str | None,
    config: Mapping[str, Any],
    own: Normalisation | None = None,
) -> Classifier:
    """A loaded timm module with its own transform; ``own``: the normalisation that came with its weights."""
    transform = normalised(transform_of(config), own, f"timm:{arch}")
    check_classes(f"timm:{arch}", int(getattr(model, "num_classes", N_CLASSES)), None)
    spec = describe(
        model.eval(), transform, backend="timm", name=arch, tag=tag, input_size=input_size(config)
    )
    return Classifier(spec, model, transform)


def key_filter(model: nn.Module) -> Callable[..., Any] | None:
    """What timm itself applies to original checkpoints of this architecture, where it has it."""
    return getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)


def transform_of(config: Mapping[str, Any]) -> ImageTransform:
    """The evaluation transform of a ``pretrained_cfg``, bit for bit timm's ``create_transform``.

    Raises:
        ClassifierError: for a model that does not take RGB images.
    """
    from timm.data import create_transform, resolve_data_config

    data = resolve_data_config(pretrained_cfg=dict(config), use_test_size=True)
    channels, height, width = data["input_size"]
    if channels != 3:
        raise ClassifierError(f"the model takes {channels} channels: expected 3, for RGB images")
    scaled = math.floor(height / data["crop_pct"]), math.floor(width / data["crop_pct"])
    standard = {
        "interpolation": data["interpolation"],
        "mean": tuple(float(v) for v in data["mean"]),
        "std": tuple(float(v) for v in data["std"]),
    }
    if data["crop_mode"] == "squash":
        return Transform(scaled, (height, width), **standard)
    if data["crop_mode"] == "center" and scaled[0] == scaled[1]:
        return Transform(scaled[0], (height, width), **standard)
    description = {k: list(v) if isinstance(v, tuple) else v for k, v in data.items()}
    return CallableTransform(
        create_transform(**data, is_training=False), {"name": "timm.data.create_transform", **description}
    )


def input_size(config: Any) -> tuple[int, int]:
    """Height and width in pixels of what the model is evaluated on."""
    from timm.data import resolve_data_config

    as_dict = config if isinstance(config, dict) else config.to_dict()
    height, width = resolve_data_config(pretrained_cfg=as_dict, use_test_size=True)["input_size"][1:]
    return int(height), int(width)


BACKEND = Backend(
    lambda name, o: load_timm(name, tag=o.tag, file=o.file, progress=o.progress),
    form="NAME[.TAG]",
    takes_tag=True,
    names=names,
    tags=tags,
    separator=".",
    published=True,
    packages=("timm",),
    libraries=("timm",),
)
