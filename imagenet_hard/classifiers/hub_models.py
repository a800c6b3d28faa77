"""Models on the Hugging Face Hub, timm's, open_clip's or transformers', told apart by their configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from imagenet_hard.base.errors import ClassifierError, WeightsError
from imagenet_hard.base.types import N_CLASSES
from imagenet_hard.classifiers import open_clip_models, timm_models, transformers_models
from imagenet_hard.classifiers.backends import Backend, LoadOptions
from imagenet_hard.classifiers.base import Classifier
from imagenet_hard.classifiers.transformers_files import read_json
from imagenet_hard.classifiers.weights import check_finite, load_into
from imagenet_hard.classifiers.weights_file import find
from imagenet_hard.hub.read import commit_of_file, model_file

TIMM_CONFIG, OPEN_CLIP_CONFIG = "config.json", "open_clip_config.json"


def kind_of(repo: str) -> tuple[Literal["timm", "open_clip", "transformers"], Path]:
    """What ``ORG/NAME[@REVISION]`` holds, and its configuration file in the Hub's cache.

    A timm ``config.json`` with the 1000 classes is timm's, whatever lies beside it; else an
    ``open_clip_config.json`` is open_clip's (CLIP towers on the Hub often have both); else a ``config.json``
    with a ``model_type`` is transformers'.

    Raises:
        ClassifierError: for a timm model of other classes, and for what is neither.
        WeightsError: if the repository can't be read.
    """
    repo_id, _, revision = repo.partition("@")
    path = model_file(
        repo_id, (TIMM_CONFIG, OPEN_CLIP_CONFIG), revision=revision or None, what="configuration"
    )
    if path.name == OPEN_CLIP_CONFIG:
        return "open_clip", path
    config = read_json(path, f"hf-hub:{repo}")
    classes = _classes(config) if "architecture" in config else None
    if classes == N_CLASSES:
        return "timm", path
    try:
        at = commit_of_file(path) or revision or None
        return "open_clip", model_file(repo_id, (OPEN_CLIP_CONFIG,), revision=at, what="configuration")
    except WeightsError as error:
        if "model_type" in config:
            return "transformers", path
        if classes is not None:
            timm_models.check_classes(f"hf-hub:{repo}", classes, None)
        raise ClassifierError(
            f"hf-hub:{repo} is not a model of timm ({TIMM_CONFIG} with 'architecture'), of open_clip "
            f"({OPEN_CLIP_CONFIG}) or of transformers ({TIMM_CONFIG} with 'model_type'): load it in a "
            "function of your own, and give that function as --model package.module:function"
        ) from error


def load_timm_of_hub(repo: str, path: Path, *, file: str | None = None) -> Classifier:
    """The timm model of ``ORG/NAME[@REVISION]`` whose ``config.json`` is ``path``; ``file``: other weights.

    Raises:
        ClassifierError: for an architecture that this timm lacks, or a head of other classes.
        WeightsError: for weights that are missing, don't fit, or hold a NaN.
    """
    import timm
    from timm.models import PretrainedCfg

    repo_id, _, revision = repo.partition("@")
    config, commit = read_json(path, f"hf-hub:{repo}"), commit_of_file(path)
    arch = str(config["architecture"])
    # Older repositories keep everything on one level, and call the label names "labels".
    cfg = {**(config.get("pretrained_cfg") or config)}
    cfg.setdefault("label_names", cfg.get("labels"))
    cfg |= {k: config[k] for k in ("num_classes", "label_names", "label_descriptions") if k in config}
    timm_models.check_classes(f"hf-hub:{repo}", _classes(config), cfg.get("label_names"))
    if not timm.is_model(arch):
        raise ClassifierError(
            f"hf-hub:{repo} is the architecture {arch!r}, which timm {timm.__version__} does not have: "
            "upgrade timm (`pip install -U timm`)"
        )
    known = {f.name for f in dataclasses.fields(PretrainedCfg)}
    # The weights come from the file alone, wherever this configuration was copied from.
    cfg = {k: v for k, v in cfg.items() if k in known}
    cfg |= {"source": "", "hf_hub_id": None, "url": None, "custom_load": False}
    arguments = dict(config.get("model_args") or {})
    if file is not None:
        model = timm.create_model(arch, pretrained=False, pretrained_cfg=cfg, **arguments)
        own = load_into(model, file, architecture=f"timm:{arch}", remap=timm_models.key_filter(model))
        return timm_models.classifier(model, arch, find(file)[0].name, cfg, own)
    weights = model_file(repo_id, timm_models.WEIGHT_FILES, revision=commit or revision or None)
    cfg["file"] = str(weights)
    model = timm_models.create(arch, f"hf-hub:{repo}", pretrained=True, pretrained_cfg=cfg, **arguments)
    check_finite(model, f"hf-hub:{repo}")
    tag = f"hf-hub:{repo_id}" + (f"@{commit}" if commit else "")
    return timm_models.classifier(model, arch, tag, cfg)


def _classes(config: Mapping[str, Any]) -> int:
    inner = config.get("pretrained_cfg") or config
    return int(config.get("num_classes", inner.get("num_classes", N_CLASSES)))


def _load(repo: str, options: LoadOptions) -> Classifier:
    kind, path = kind_of(repo)
    if kind == "open_clip":
        return open_clip_models.load_hub(repo, options)
    if kind == "transformers":
        return transformers_models.load_of_hub(repo, options)
    return load_timm_of_hub(repo, path, file=options.file)


BACKEND = Backend(_load, form="ORG/NAME[@REVISION]")
