"""The files of a transformers model, from the Hub or a folder: what they are, and read without running code.

They come into one folder first, and transformers reads them from there: it asks nothing of the Hub itself,
and weights are safetensors or what PyTorch's safe reader takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from imagenet_hard.base.errors import (
    ClassifierError,
    ImageNetHardError,
    UnknownModelError,
    UsageError,
    WeightsError,
)
from imagenet_hard.base.files import MAX_JSON_BYTES, read_bounded
from imagenet_hard.base.text import reason, shorten
from imagenet_hard.classifiers.backends import LoadOptions
from imagenet_hard.classifiers.normalisation import Normalisation
from imagenet_hard.classifiers.weights import check_finite, load_into
from imagenet_hard.hub.read import commit_of_file, model_file, model_files

if TYPE_CHECKING:
    from torch import nn

    from imagenet_hard.classifiers.processor_transform import Patches
    from imagenet_hard.classifiers.transform import ImageTransform

FORM = "ORG/NAME[#REVISION]"

CONFIG = "config.json"
WEIGHT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_SHARD = re.compile(r"[\w.-]+\.(safetensors|bin)", re.ASCII)

Kind = Literal["classifier", "two towers"]

TWO_TOWERS: Mapping[str, str] = {
    "clip": "CLIPModel",
    "siglip": "SiglipModel",
    "siglip2": "Siglip2Model",
    "align": "AlignModel",
    "altclip": "AltCLIPModel",
    "metaclip_2": "MetaClip2Model",
}
"""``model_type`` -> the class of the zero-shot model, which has both towers."""


@dataclass(frozen=True)
class ModelFiles:
    """Where a model's files are: ``folder``, and of the Hub's the repository, to fetch more from.

    ``said``: as it was named, for messages. ``name``, ``tag``: what a result says, no path of this machine.
    """

    folder: Path
    said: str
    name: str
    tag: str | None = None
    repo: str | None = None
    revision: str | None = None

    def weights(self) -> Path:
        """The weights file, or the index of several, all of them in the folder.

        Raises:
            WeightsError: there is none, or one is missing.
        """
        if self.repo is not None:
            found = model_file(self.repo, WEIGHT_FILES, revision=self.revision)
        else:
            there = [self.folder / name for name in WEIGHT_FILES if (self.folder / name).is_file()]
            if not there:
                raise WeightsError(f"{self.said} has no weights: expected one of {', '.join(WEIGHT_FILES)}")
            found = there[0]
        for shard in self._shards(found) if found.suffix == ".json" else ():
            if self.repo is not None:
                model_file(self.repo, (shard,), revision=self.revision)
            elif not (self.folder / shard).is_file():
                raise WeightsError(f"{self.said} lacks {shard}, which {found.name} names")
        return found

    def _shards(self, index: Path) -> list[str]:
        listed = read_json(index, self.said).get("weight_map")
        shards = sorted(set(listed.values())) if isinstance(listed, dict) else []
        if not shards or not all(isinstance(name, str) and _SHARD.fullmatch(name) for name in shards):
            raise WeightsError(
                f"{index.name} of {self.said} is not an index: expected a weight_map of file names"
            )
        return shards

    def bring(self, names: tuple[str, ...]) -> None:
        """Those of ``names`` that the repository has."""
        if self.repo is not None:
            model_files(self.repo, names, revision=self.revision)


def locate(name: str) -> ModelFiles:
    """Where the files of a name are, the configuration among them.

    Raises:
        UnknownModelError: it is no folder and cannot be a repository.
        UsageError: a revision of a folder.
        WeightsError: the repository cannot be read.
    """
    repo, hash_sign, revision = name.partition("#")
    said, folder = f"transformers:{name}", Path(repo).expanduser()
    if folder.is_dir():
        if hash_sign:
            raise UsageError(f"{said}: {repo} is a folder here, which has no revision {revision!r}")
        if not (folder / CONFIG).is_file():
            raise UnknownModelError(
                f"{said}: the folder has no {CONFIG}, so it holds no model of transformers"
            )
        return ModelFiles(folder, said, folder.resolve().name)
    if not _REPO.fullmatch(repo) or (hash_sign and not revision):
        raise UnknownModelError(
            f"{shorten(said)} is not a model: expected transformers:{FORM}, or a folder with {CONFIG}, "
            + ("and a revision follows #" if "@" in repo else f"and there is no folder {shorten(repo)}")
        )
    return of_hub(repo, revision or None, said)


def of_hub(repo: str, revision: str | None, said: str) -> ModelFiles:
    config = model_file(repo, (CONFIG,), revision=revision, what="configuration")
    commit = commit_of_file(config)
    tag = f"hf-hub:{repo}" + (f"@{commit}" if commit else "")
    return ModelFiles(config.parent, said, repo.rpartition("/")[2], tag, repo, commit or revision)


def read_json(path: Path, said: str) -> dict[str, Any]:
    """An object from a file of JSON.

    Raises:
        ClassifierError: it is something else.
    """
    try:
        found = json.loads(read_bounded(path, MAX_JSON_BYTES, error=WeightsError))
    except (ValueError, RecursionError) as error:
        raise ClassifierError(f"{path.name} of {said} is not JSON: {reason(error)}") from error
    if not isinstance(found, dict):
        raise ClassifierError(f"{path.name} of {said} is {type(found).__name__}: expected a JSON object")
    return found


def kind_of(config: Mapping[str, Any], said: str) -> Kind:
    """What the model of a configuration is.

    Raises:
        ClassifierError: it cannot be scored, or not without running its own code.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES

    model_type, own = config.get("model_type"), config.get("architectures")
    architecture = str(own[0]) if isinstance(own, list) and own else None
    if model_type is None and "architecture" in config:
        raise ClassifierError(f"{said} is a model of timm: name it hf-hub:ORG/NAME")
    if model_type not in CONFIG_MAPPING_NAMES:
        if "auto_map" in config:
            raise ClassifierError(_REMOTE.format(said))
        raise ClassifierError(
            f"{said} has the model type {shorten(model_type)}, which transformers "
            f"{version('transformers')} does not have"
        )
    _check_attention(config, said)
    if architecture is None:
        if model_type in TWO_TOWERS:
            return "two towers"
        known = model_type in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES
        return "classifier" if known else _refuse(said, model_type)
    if "ForImageClassification" in architecture:
        return "classifier"
    return "two towers" if TWO_TOWERS.get(str(model_type)) == architecture else _refuse(said, architecture)


_REMOTE = (
    "{} needs code of its own from its repository (trust_remote_code), which is never run here: load it in a "
    "function of your own, when you have read that code, and name that, package.module:function"
)


def _refuse(said: str, what: Any) -> Any:
    raise ClassifierError(
        f"{said} is {shorten(what)}, which gives features and no classes: expected an image classifier "
        f"(...ForImageClassification), or a zero-shot model ({', '.join(TWO_TOWERS.values())}). Take one "
        "that was fine-tuned on ImageNet-1k, or put a head on it in a function of your own"
    )


def _check_attention(config: Mapping[str, Any], said: str) -> None:
    """Refuse what a configuration can name that is code: attention kernels come from the Hub as well."""
    for key, value in config.items():
        if key.endswith("attn_implementation") and value not in (None, "eager", "sdpa"):
            raise ClassifierError(f"{said} asks for the attention {shorten(value)}: expected eager or sdpa")
        if isinstance(value, Mapping):
            _check_attention(value, said)


@contextmanager
def reading(source: ModelFiles, what: str) -> Iterator[None]:
    """Turn whatever transformers raises into our errors, and keep its bars and remarks back.

    Raises:
        ClassifierError: it would need code from the repository, or a package that is not here.
        WeightsError: anything else.
    """
    from transformers.utils import logging

    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    except (ImageNetHardError, MemoryError):
        raise
    except Exception as error:
        if "trust_remote_code" in str(error):
            raise ClassifierError(_REMOTE.format(source.said)) from error
        told = f"the {what} of {source.said} cannot be loaded by transformers {version('transformers')}"
        if isinstance(error, ImportError):
            raise ClassifierError(f"{told}: a package is missing. {reason(error)}") from error
        raise WeightsError(f"{told}: {reason(error)}") from error
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()


def load_module(
    auto: Any, source: ModelFiles, options: LoadOptions
) -> tuple[nn.Module, Normalisation | None]:
    """The model by its class ``auto``, in eval mode and float32, and the normalisation beside own weights.

    Raises:
        WeightsError: for weights that are missing, in part too, unsafe, or hold a NaN.
        ClassifierError: for a model that cannot be built.
    """
    import torch
    from transformers import AutoConfig

    local = {"local_files_only": True, "trust_remote_code": False}
    if options.file is not None:
        with reading(source, "architecture"):
            config = AutoConfig.from_pretrained(source.folder, **local)
            model = auto.from_config(config, dtype=torch.float32, trust_remote_code=False)
        return model.eval(), load_into(model, options.file, architecture=source.said)
    safe = "safetensors" in source.weights().name
    with reading(source, "weights"):
        model, info = auto.from_pretrained(
            source.folder, dtype=torch.float32, use_safetensors=safe, weights_only=True,
            output_loading_info=True, **local,
        )  # fmt: skip
    if missing := sorted(map(str, info["missing_keys"])):
        raise WeightsError(
            f"the weights of {source.said} lack {len(missing)} of the model's tensors, for instance "
            f"{missing[0]!r}, and random ones would take their place: was it saved without its head?"
        )
    check_finite(model, source.said)
    return model.eval(), None


def load_transform(source: ModelFiles) -> tuple[ImageTransform, tuple[int, int], Patches | None]:
    """What the model's processor does to an image, the size that it gives, and patches in place of an image.

    Raises:
        WeightsError: it has no processor.
        ClassifierError: the processor fails on an image.
    """
    from transformers import AutoImageProcessor

    from imagenet_hard.classifiers.processor_transform import input_size, patches_of, transform_of

    source.bring(PROCESSOR_FILES)
    for path in (source.folder / name for name in PROCESSOR_FILES):
        _check_processor(read_json(path, source.said) if path.is_file() else {}, source.said)
    with reading(source, "image processor"):
        processor = AutoImageProcessor.from_pretrained(
            source.folder, local_files_only=True, trust_remote_code=False
        )
        transform = transform_of(processor)
        return transform, input_size(transform), patches_of(processor)


def _check_processor(settings: Mapping[str, Any], said: str) -> None:
    """Refuse a processor that is code: transformers would take its model type's in its place."""
    import transformers

    own = settings.get("image_processor", settings)
    if not isinstance(own, dict) or "AutoImageProcessor" not in (own.get("auto_map") or {}):
        return
    if not hasattr(transformers, str(own.get("image_processor_type"))):
        raise ClassifierError(_REMOTE.format(said))
