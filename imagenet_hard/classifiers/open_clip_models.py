"""CLIP-like models of open_clip as zero-shot classifiers: a tag, a file, a Hub repository, one's own."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagenet_hard.base.errors import ClassifierError, UsageError, WeightsError
from imagenet_hard.base.files import MAX_JSON_BYTES, read_bounded
from imagenet_hard.classifiers import open_clip_build as build
from imagenet_hard.classifiers.backends import Backend, LoadOptions
from imagenet_hard.classifiers.base import Classifier
from imagenet_hard.classifiers.normalisation import Normalisation, normalised
from imagenet_hard.classifiers.open_clip_build import QUICK, other_gelu_tags, resolve_model, tags_of
from imagenet_hard.classifiers.transform import CallableTransform, ImageTransform, Transform
from imagenet_hard.classifiers.weights import describe, load_into
from imagenet_hard.classifiers.weights_file import find
from imagenet_hard.classifiers.zero_shot.head import HeadOptions, head_of
from imagenet_hard.hub.read import commit_of_file, model_file

if TYPE_CHECKING:
    from torch import Tensor, nn

log = logging.getLogger(__name__)


def load_open_clip(arch: str, tag: str | None, options: LoadOptions) -> Classifier:
    """The open_clip model ``arch`` with the published weights ``tag``, or with those of ``options.file``.

    A ``tag`` beside a file says which activation and preprocessing the file was trained with.

    Raises:
        UnknownModelError: for an unknown architecture or tag.
        UsageError: without a tag or a file, and for templates or names that cannot be used.
        WeightsError: for weights or tokenizer files that are missing, unsafe or of another model.
        ClassifierError: for a model that open_clip cannot build here.
    """
    import open_clip

    source, name = resolve_model(arch, tag), f"open_clip:{arch}"
    weights = options.file
    if tag is None and weights is None:
        raise UsageError(f"{name} needs weights, as {name}/TAG or --weights FILE: {tags_of(arch)}")
    head = head_options(options)  # before anything large: a slip in a file of templates shows at once
    build.check_text_parts(open_clip.get_model_config(source.config)["text_cfg"], name)
    file = None if weights else build.published_file(source, f"{name}/{tag}", progress=options.progress)
    model = build.create(
        source.config, quick_gelu=source.quick_gelu, force_preprocess_cfg=dict(source.pretrained)
    )
    tokenizer = build.create_tokenizer(source.config)
    if file is not None:
        build.load_published_weights(model, file, f"{name}/{tag}")
        return from_model(model, tokenizer, name=arch, tag=tag, head=head)
    assert weights is not None
    if tag is None and (other := other_gelu_tags(source)):
        log.warning(
            "%s runs with plain GELU, which open_clip:%s has by itself; were these weights trained with "
            "QuickGELU, as %s were, then load them as open_clip:%s%s",
            weights, arch, ", ".join(other), arch, QUICK,
        )  # fmt: skip
    own = load_into(model, weights, architecture=name, remap=build.remap)
    tag = find(weights)[0].name
    return from_model(model, tokenizer, name=arch, tag=tag, head=head, own=own)


def load_hub(repo: str, options: LoadOptions) -> Classifier:
    """The open_clip model of the Hub repository ``ORG/NAME[@REVISION]``.

    Its ``open_clip_config.json`` gives the architecture, the activation and the preprocessing;
    ``options.file``: weights to use in place of the repository's. The commit becomes part of the tag.

    Raises:
        WeightsError: for a repository, weights or a tokenizer that cannot be had or do not fit.
        ClassifierError: for a configuration that open_clip cannot build here.
    """
    weights = options.file
    repo_id, _, revision = repo.partition("@")
    head = head_options(options)
    config = model_file(repo_id, (build.CONFIG_FILE,), revision=revision or None, what="configuration")
    commit = commit_of_file(config)
    text_cfg = _text_cfg(config, repo)
    build.check_text_parts(text_cfg, f"hf-hub:{repo}")
    file = None if weights else model_file(repo_id, build.WEIGHT_FILES, revision=commit or revision or None)
    folder = f"local-dir:{config.parent}"
    model = build.create(folder)
    # A Hugging Face tokenizer has a repository of its own; open_clip would look for it in the folder.
    tokenizer = build.create_tokenizer(f"hf-hub:{repo_id}" if text_cfg.get("hf_tokenizer_name") else folder)
    own: Normalisation | None = None
    if file is not None:
        build.load_published_weights(model, file, f"hf-hub:{repo}")
        tag = f"hf-hub:{repo_id}" + (f"@{commit}" if commit else "")
    else:
        assert weights is not None
        own = load_into(model, weights, architecture=f"hf-hub:{repo}", remap=build.remap)
        tag = find(weights)[0].name
    name = repo_id.rpartition("/")[2]
    return from_model(model, tokenizer, name=name, tag=tag, head=head, own=own)


def from_model(
    model: nn.Module,
    tokenizer: Callable[[list[str]], Tensor],
    *,
    name: str,
    tag: str | None = None,
    head: HeadOptions | None = None,
    own: Normalisation | None = None,
) -> Classifier:
    """A classifier of an open_clip model that is already there, and its tokenizer.

    The image tower of ``model`` becomes part of the classifier; nothing is copied. Its transform is the
    model's own, with images made RGB first. ``own``: the normalisation that came with its weights.

    Raises:
        UsageError: for templates or class names that cannot be used.
        ClassifierError: for a text embedding that is not finite.
    """
    from imagenet_hard.classifiers.zero_shot.module import ZeroShotModule

    model = model.eval()
    visual: Any = model.visual
    config: Mapping[str, Any] = visual.preprocess_cfg
    native = normalised(transform_of(config), own, f"open_clip:{name}")
    spec = describe(model, native, backend="open_clip", name=name, tag=tag, input_size=size_of(config))
    assert spec.weights_sha256 is not None
    matrix, facts = head_of(model, tokenizer, spec.weights_sha256, head or HeadOptions())
    spec = spec.model_copy(update={"head": facts})
    return Classifier(spec, ZeroShotModule(visual, matrix).eval(), native)


def head_options(options: LoadOptions) -> HeadOptions:
    """The head that was asked for, its texts read.

    Raises:
        UsageError: for templates or class names that cannot be used.
    """
    return HeadOptions(options.templates, options.classnames, options.device, options.progress).read()


def _text_cfg(config: Path, repo: str) -> Mapping[str, Any]:
    try:
        data = json.loads(read_bounded(config, MAX_JSON_BYTES, error=WeightsError))
        return dict(data["model_cfg"]["text_cfg"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ClassifierError(
            f"{build.CONFIG_FILE} of hf-hub:{repo} is not open_clip's: expected JSON with model_cfg.text_cfg"
        ) from error


def transform_of(config: Mapping[str, Any]) -> ImageTransform:
    """The transform of a ``preprocess_cfg``: size, mean, std, interpolation, resize_mode, fill_color.

    Bit for bit that of ``open_clip.image_transform_v2(cfg, is_train=False)`` on an RGB image. Others are
    made RGB first; open_clip does that last, as the paper did (``--transform paper``).
    """
    height, width = size_of(config)
    # Anything but "bilinear" is bicubic there, "random" as well.
    interpolation = "bilinear" if config.get("interpolation") == "bilinear" else "bicubic"
    mean, std = _triple(config["mean"]), _triple(config["std"])
    mode = config.get("resize_mode") or "shortest"
    if mode == "squash":
        return Transform((height, width), None, interpolation, mean, std)
    if mode == "shortest" and height == width:
        return Transform(height, (height, width), interpolation, mean, std)
    # Padding with a fill colour and a shorter side that fits a rectangle: open_clip's own code does these.
    from open_clip.transform import PreprocessCfg, image_transform_v2

    described = {"function": "open_clip.image_transform_v2", **config, "size": [height, width]}
    described |= {"mean": list(mean), "std": list(std)}
    return CallableTransform(image_transform_v2(PreprocessCfg(**config), is_train=False), described)


def size_of(config: Mapping[str, Any]) -> tuple[int, int]:
    """Height and width in pixels."""
    size = config["size"]
    return (int(size), int(size)) if isinstance(size, int) else (int(size[0]), int(size[1]))


def _triple(value: Any) -> tuple[float, float, float]:
    values = value if isinstance(value, list | tuple) else (value,) * 3
    return float(values[0]), float(values[1]), float(values[2])


def names() -> list[tuple[str, tuple[str, ...], tuple[int, int]]]:
    """Every architecture with published weights: its name, their tags, its input size."""
    import open_clip

    found = []
    for arch in open_clip.list_models():
        if tags := tuple(open_clip.list_pretrained_tags_by_model(arch)):
            size = ((open_clip.get_model_config(arch) or {}).get("vision_cfg") or {}).get("image_size", 224)
            found.append((arch, tags, (size, size) if isinstance(size, int) else (size[0], size[1])))
    return found


def tags(name: str) -> list[str] | None:
    """The weights tags of ARCH[/TAG], or None where open_clip has no such architecture."""
    import open_clip

    arch = name.partition("/")[0]
    known = arch in open_clip.list_models() or arch.removesuffix(build.QUICK) in open_clip.list_models()
    return list(open_clip.list_pretrained_tags_by_model(arch)) if known else None


def _load(name: str, options: LoadOptions) -> Classifier:
    arch, slash, own = name.partition("/")
    if slash and options.tag and options.tag != own:
        raise UsageError(
            f"open_clip:{name} names the weights {own!r}, but {options.tag!r} was asked for as well: drop one"
        )
    return load_open_clip(arch, own or options.tag, options)


BACKEND = Backend(
    _load,
    form="ARCH/TAG",
    takes_tag=True,
    names=names,
    tags=tags,
    separator="/",
    needs_tag=True,
    published=True,
    packages=("open_clip_torch",),
    libraries=("open_clip",),
)
