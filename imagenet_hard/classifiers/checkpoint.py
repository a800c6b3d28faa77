"""Weights files as people have them: read without running code, found in their wrapping, checked.

A training script saves ``{"model": ...}`` or ``{"state_dict": ...}``, with ``module.`` before each
key, with an EMA copy beside it. Where a file holds an EMA copy it is taken, as timm's
``load_checkpoint`` does, since it is what such a run evaluates; ``FILE#ENTRY`` takes another one.
"""

from __future__ import annotations

import argparse
import logging
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

from imagenet_hard.errors import WeightsError

if TYPE_CHECKING:
    import torch

    State = dict[str, torch.Tensor]

log = logging.getLogger(__name__)

EMA_ENTRIES = ("state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema", "params_ema")
ENTRIES = (
    *EMA_ENTRIES,
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "net",
    "network",
    "params",
    "weights",
)
"""Entries that hold a state dict, the preferred ones first."""

PREFIXES = ("module.", "model.", "_orig_mod.", "backbone.", "net.", "network.", "timm_model.", "ema_model.")
"""What wrappers put before every key: DDP, Lightning, torch.compile, one's own classes."""

SUFFIXES = (".pt", ".pth", ".bin", ".safetensors", ".ckpt", ".tar", ".pkl", ".th")

NOT_WEIGHTS = re.compile(r"(^|\.)(total_ops|total_params|n_averaged)$")
"""What thop and AveragedModel leave among the weights."""


def is_file_name(weights: str) -> bool:
    """Whether ``--weights`` means a file rather than a tag.

    >>> is_file_name("run/best.pth"), is_file_name("best.pt#model"), is_file_name("IMAGENET1K_V1")
    (True, True, False)
    """
    path, _, _ = weights.partition("#")
    return path.endswith(SUFFIXES) or "/" in path or "\\" in path or Path(weights).is_file()


def load_state_dict(path: str | Path, *, keys: Collection[str] | None = None) -> State:
    """The state dict in a checkpoint file, key -> tensor on the CPU, without its wrapping.

    ``path`` may end in ``#ENTRY`` to name the entry to take. ``keys`` are those of the module
    that the weights are for, where it is known: prefixes are then only removed if that fits.

    Raises:
        WeightsError: for a file that is missing, empty, no checkpoint, without weights, or
            whose pickle would run code.
    """
    file, entry = find(path)
    state = _unwrap(_read(file), file, entry)
    state = _keep_metadata({k.replace("_orig_mod.", ""): v for k, v in state.items()}, state)
    return _strip_prefixes(state, keys, file)


def find(path: str | Path) -> tuple[Path, str | None]:
    """The file that ``FILE`` or ``FILE#ENTRY`` means, and the entry.

    Raises:
        WeightsError: if there is none.
    """
    if Path(path).is_file():
        return Path(path), None
    name, _, entry = str(path).partition("#")
    file = Path(name).expanduser()
    if file.is_dir():
        raise WeightsError(f"{file} is a folder: pass the weights file inside it")
    if not file.exists():
        raise WeightsError(f"no such weights file: {file} (in the folder {Path.cwd()})")
    return file, entry or None


def _read(path: Path) -> Any:
    """The object in the file, built from tensors and plain containers only."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise WeightsError(f"cannot read the weights file {path}: {error.strerror}") from error
    if not start:
        raise WeightsError(
            f"the weights file {path} is empty: its download or copy did not finish; get it again"
        )
    if start.startswith(b"version https://git-lfs"):
        raise WeightsError(
            f"{path} is a Git LFS pointer, not the weights: run `git lfs pull`, or download the file"
        )
    if start.lstrip()[:1] == b"<":
        raise WeightsError(f"{path} is a web page, not weights: download the file itself")
    try:
        if path.suffix == ".safetensors" or start[8:10] == b'{"':
            return load_file(path)
        # argparse.Namespace and numpy scalars are what training scripts keep beside the weights.
        with torch.serialization.safe_globals([argparse.Namespace, *_numpy_scalars()]), catch_warnings():
            simplefilter("ignore")  # of a TorchScript archive, which is said below
            return torch.load(path, map_location="cpu", weights_only=True, mmap=_can_map(path))
    except pickle.UnpicklingError as error:
        raise WeightsError(_refused(path, start, str(error))) from error
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError, AttributeError, OSError) as error:
        if "TorchScript" in str(error):
            raise WeightsError(
                f"{path} is a TorchScript archive, which holds code: save its weights alone with "
                "`torch.save(torch.jit.load(FILE).state_dict(), NEW)`"
            ) from error
        raise WeightsError(
            f"{path} is not a checkpoint that PyTorch or safetensors can read, or it is cut short "
            f"({path.stat().st_size} bytes; {type(error).__name__}: {str(error).partition(chr(10))[0]})"
        ) from error


def _can_map(path: Path) -> bool:
    """Files since PyTorch 1.6 are zip archives, whose tensors need not be read twice."""
    return zipfile.is_zipfile(path)


def _numpy_scalars() -> list[Any]:
    """What a numpy number needs, such as a best accuracy kept in a checkpoint."""
    import numpy as np
    from numpy.dtypes import BoolDType, Float32DType, Float64DType, Int64DType

    reconstruct = np.float64(0).__reduce__()[0]
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    dtypes = [np.dtype, BoolDType, Float32DType, Float64DType, Int64DType]
    return [*((reconstruct, name) for name in names), *dtypes]


def _refused(path: Path, start: bytes, message: str) -> str:
    found = re.findall(r"(?:GLOBAL|class|function) ([\w.]+)", message)
    if not found and not start.startswith(b"\x80"):
        return f"{path} is not a checkpoint that PyTorch or safetensors can read"
    what = f"its pickle asks to run code ({found[0]})" if found else "it is a bare pickle and may hold code"
    return (
        f"{path} was refused: {what}, and opening it could do anything on this machine. "
        "Save the weights alone: `torch.save(model.state_dict(), FILE)`, or as safetensors"
    )


def _unwrap(checkpoint: Any, path: Path, entry: str | None) -> State:
    """Follow the known entries down to the mapping that holds the tensors."""
    import torch

    if entry is not None:
        names = list(checkpoint) if isinstance(checkpoint, Mapping) else []
        if entry not in names:
            raise WeightsError(
                f"{path} has no entry {entry!r}: it has {', '.join(map(str, names[:20])) or 'none'}"
            )
        checkpoint = checkpoint[entry]
    taken = [entry] if entry else []
    while isinstance(checkpoint, Mapping):
        found = [name for name in ENTRIES if isinstance(checkpoint.get(name), Mapping) and checkpoint[name]]
        if not found:
            state = {
                k: v for k, v in checkpoint.items() if isinstance(k, str) and isinstance(v, torch.Tensor)
            }
            if not state:
                break
            if taken:
                log.info("%s: took the entry %s", path.name, ".".join(taken))
            return _keep_metadata(state, checkpoint)
        if found[0] in EMA_ENTRIES and len(found) > 1:
            log.warning(
                "%s holds %s: the EMA weights %r are used (write FILE#%s for the other)",
                path.name, " and ".join(found), found[0], found[1],
            )  # fmt: skip
        taken.append(found[0])
        checkpoint = checkpoint[found[0]]
    what = f"entries {', '.join(map(str, list(checkpoint)[:8]))}" if isinstance(checkpoint, Mapping) else ""
    raise WeightsError(
        f"{path} holds no weights: expected a state dict (key -> tensor), alone or under one of "
        f"{', '.join(ENTRIES)}; got {what or type(checkpoint).__name__}"
    )


def _strip_prefixes(state: State, keys: Collection[str] | None, path: Path) -> State:
    """Remove what wrappers put before the keys, as long as it is not the module's own."""
    while not (keys and state.keys() & set(keys)):
        for prefix in PREFIXES:
            inside = {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
            # A Lightning file may hold a loss or metrics beside the model; the model is the larger part.
            if len(inside) == len(state) or (keys and 2 * len(inside) > len(state)):
                break
            if len(inside) == len([k for k in state if not NOT_WEIGHTS.search(k)]):
                break
        else:
            return state
        if left := len(state) - len(inside):
            log.info("%s: %d keys outside %r are left out", path.name, left, prefix)
        state = inside
    return state


def _keep_metadata(state: State, source: Any) -> State:
    """``state`` with the module versions that ``torch.save`` keeps beside a state dict."""
    if not hasattr(source, "_metadata"):
        return state
    kept = OrderedDict(state)
    kept._metadata = source._metadata  # type: ignore[attr-defined]
    return kept
