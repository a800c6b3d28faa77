"""Files of weights, read without running code: one file, or shards with an index.

What training scripts keep beside the weights is read by the names that a pickle gives it, and nothing of it
can be called with an effect. What Python or numpy would build from a stranger's bytes is built by stand-ins
instead: numpy's own ``__setstate__`` believes whatever the file says of a dtype.
"""

from __future__ import annotations

import argparse
import datetime
import json
import pickle
import re
import zipfile
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import WeightsError
from imagenet_hard.base.text import reason

if TYPE_CHECKING:
    import torch

INDEX = ".index.json"
"""End of the name of an index: ``model.safetensors.index.json``, ``pytorch_model.bin.index.json``."""

SUFFIXES = (".pt", ".pth", ".bin", ".safetensors", ".ckpt", ".tar", ".pkl", ".th", INDEX)

SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.\w+$")

MOST_INDEX_BYTES = 64 << 20


def is_file_name(weights: str) -> bool:
    """Whether ``--weights`` means a file rather than a tag.

    >>> is_file_name("run/best.pth"), is_file_name("best.pt#model"), is_file_name("IMAGENET1K_V1")
    (True, True, False)
    """
    path, _, _ = weights.partition("#")
    if path.endswith(SUFFIXES) or "/" in path or "\\" in path:
        return True
    return Path(weights).is_file() or bool(_indexes(Path(path)))


def find(path: str | Path) -> tuple[Path, str | None]:
    """The file that ``FILE`` or ``FILE#ENTRY`` means, and the entry. Of a folder of shards it is the index.

    Raises:
        WeightsError: if there is none.
    """
    name, _, entry = (str(path), "", "") if Path(path).is_file() else str(path).partition("#")
    file = Path(name).expanduser()
    if file.is_dir():
        if indexes := _indexes(file):
            return indexes[0], entry or None
        inside = sorted(each.name for each in file.iterdir() if each.name.endswith(SUFFIXES))
        raise WeightsError(
            f"{file} is a folder: pass the weights file inside it"
            + (f" ({', '.join(inside[:5])}{', ...' if len(inside) > 5 else ''})" if inside else "")
        )
    if not file.exists():
        folder = file.parent
        near = get_close_matches(file.name, [p.name for p in folder.iterdir()] if folder.is_dir() else [], 3)
        raise WeightsError(
            f"no such weights file: {file} (in the folder {Path.cwd()})"
            + (f": did you mean {', '.join(str(folder / each) for each in near)}?" if near else "")
        )
    if (shard := SHARD.search(file.name)) and int(shard[2]) > 1:
        index = next(iter(_indexes(file.parent)), Path(f"NAME{INDEX}"))
        raise WeightsError(
            f"{file} is file {int(shard[1])} of {int(shard[2])}: pass the index that names them all, {index}"
        )
    return file, entry or None


def read(path: Path) -> Any:
    """What the file holds, or all of the files that an index names: tensors on the CPU and plain containers.

    Raises:
        WeightsError: for a file that is empty, no checkpoint, cut short, or whose pickle would run code.
    """
    return _read_shards(path) if path.name.endswith(INDEX) else _read_file(path)


def _indexes(folder: Path) -> list[Path]:
    """Those of a folder, safetensors first; not those of TensorFlow's and Flax's files."""
    kinds = (".safetensors", ".bin")
    return [file for kind in kinds for file in sorted(folder.glob(f"*{kind}{INDEX}")) if folder.is_dir()]


def _read_shards(index: Path) -> dict[str, torch.Tensor]:
    """All tensors of the files beside ``index`` that it names, which may be anything."""
    try:
        if index.stat().st_size > MOST_INDEX_BYTES:
            raise WeightsError(f"{index} is larger than an index of weights files can be")
        content = json.loads(index.read_text(encoding="utf-8"))
        places = dict(content["weight_map"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise WeightsError(
            f"{index} is not an index of weights files: expected JSON with 'weight_map', a mapping from the "
            f"name of a tensor to its file ({reason(error)})"
        ) from error
    for name in places.values():
        # A plain name beside the index and nothing else: no folder, no drive, no index of its own.
        if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+\.(safetensors|bin|pt|pth)", name):
            raise WeightsError(
                f"{index} names the file {name!r}: expected the plain name of a .safetensors or .bin file in "
                "the same folder"
            )
    shards = sorted(set(places.values()))
    if missing := [name for name in shards if not (index.parent / name).is_file()]:
        raise WeightsError(
            f"{index} names {len(shards)} files, and {len(missing)} of them are not in the folder: "
            f"{', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}; get them as well"
        )
    found: dict[str, torch.Tensor] = {}
    for name in shards:
        inside = _read_file(index.parent / name)
        expected = {key for key, place in places.items() if place == name}
        if not isinstance(inside, dict) or inside.keys() != expected:
            held = inside.keys() if isinstance(inside, dict) else set()
            other = next(iter(sorted(map(str, held ^ expected))), "nothing")
            raise WeightsError(
                f"{index.parent / name} does not hold the tensors that {index.name} says ({other!r} is in "
                "one of the two only): they are of two saves, or the file is damaged; get all of them again"
            )
        found |= inside
    return found


def _read_file(path: Path) -> Any:
    import torch
    from safetensors.torch import load_file

    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise WeightsError(f"cannot read the weights file {path}: {error.strerror}") from error
    _check_start(path, start)
    try:
        if path.suffix == ".safetensors" or start[8:10] == b'{"':
            return load_file(path)
        with torch.serialization.safe_globals(list(allowed())), catch_warnings():
            simplefilter("ignore")  # of a TorchScript archive, which is said below
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise WeightsError(_refused(path, start, str(error))) from error
    except Exception as error:  # a stranger's file may fail anywhere
        if "TorchScript" in str(error):
            raise WeightsError(
                f"{path} is a TorchScript archive, which holds code: save its weights alone with "
                "`torch.save(torch.jit.load(FILE).state_dict(), NEW)`"
            ) from error
        raise WeightsError(
            f"{path} is not a checkpoint that PyTorch or safetensors can read, or it is cut short "
            f"({path.stat().st_size} bytes; {type(error).__name__}: {str(error).partition(chr(10))[0]})"
        ) from error


def _check_start(path: Path, start: bytes) -> None:
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


def _refused(path: Path, start: bytes, message: str) -> str:
    found = re.findall(r"(?:GLOBAL|class|function) ([\w.]+)", message)
    if "Unsupported operand" in message and start.startswith(b"PK"):
        return (
            f"{path} was saved with a newer pickle protocol than PyTorch's own, which cannot be read safely: "
            "save the weights alone without `pickle_protocol`, or as safetensors"
        )
    if not found and not start.startswith(b"\x80"):
        return f"{path} is not a checkpoint that PyTorch or safetensors can read"
    what = f"its pickle asks to run code ({found[0]})" if found else "it is a bare pickle and may hold code"
    return (
        f"{path} was refused: {what}, and opening it could do anything on this machine. "
        "Save the weights alone: `torch.save(model.state_dict(), FILE)`, or as safetensors"
    )


NUMBERS = frozenset("bhilqBHILQefd?")
"""Codes of the numpy types that are read; arrays of others (texts, objects) come back as None."""


class Nothing:
    """What is named but not needed, such as the factory of a ``defaultdict``."""

    def __init__(self, *args: object) -> None:
        pass


class DType:
    """``numpy.dtype`` as a pickle builds it: a code such as ``f8``, then its byte order."""

    def __init__(self, code: object, *_: object) -> None:
        self.code, self.order = str(code), "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1] if state[1] in ("<", ">") else "="

    def numbers(self, data: object) -> NDArray[Any] | None:
        """The bytes as numbers, or None where they are something else."""
        dtype = np.dtype(self.code)
        if dtype.char not in NUMBERS:
            return None
        raw = data.encode("latin1") if isinstance(data, str) else data
        return np.frombuffer(raw, dtype.newbyteorder(self.order)).copy()  # type: ignore[arg-type, call-overload, no-any-return]


class Array:
    """``numpy.ndarray``: ``values`` is set when its state arrives, None for what is no array of numbers."""

    values: NDArray[Any] | None = None

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, by_columns, data = state
        if isinstance(dtype, DType) and (flat := dtype.numbers(data)) is not None:
            self.values = flat.reshape(shape, order="F" if by_columns else "C")


def _array(*_: object) -> Array:
    return Array()


def _scalar(dtype: DType, data: object = b"") -> Any:
    found = dtype.numbers(data)
    return None if found is None else found[0].item()


def _mapping(*_: object) -> dict[Any, Any]:
    """A ``defaultdict`` without its factory: the pickle puts the entries in afterwards."""
    return {}


def _sequence(items: Iterable[Any] = (), *_: object) -> list[Any]:
    return list(items)


@cache
def allowed() -> tuple[tuple[Callable[..., Any], str], ...]:
    """Pairs for ``torch.serialization.safe_globals``: what is built, and the name in the pickle."""
    named: dict[str, Callable[..., Any]] = {
        "argparse.Namespace": argparse.Namespace,
        "collections.defaultdict": _mapping,
        "collections.deque": _sequence,
        "builtins.frozenset": frozenset,
        "numpy.dtype": DType,
        "numpy.ndarray": Array,
    }
    for factory in ("list", "dict", "tuple", "int", "float", "str", "bool"):
        named[f"builtins.{factory}"] = Nothing
    for core in ("numpy.core.multiarray", "numpy._core.multiarray"):  # before and since numpy 2
        named |= {f"{core}._reconstruct": _array, f"{core}.scalar": _scalar}
    for module in ("pathlib", "pathlib._local"):  # Python 3.13 says the second
        for kind in ("", "Pure"):
            named[f"{module}.{kind}PosixPath"] = PurePosixPath
            named[f"{module}.{kind}WindowsPath"] = PureWindowsPath  # and no WindowsPath, which Linux lacks
        named[f"{module}.PurePath"] = named[f"{module}.Path"] = PurePosixPath
    for kind in ("datetime", "date", "time", "timedelta", "timezone"):
        named[f"datetime.{kind}"] = getattr(datetime, kind)
    return tuple((built, name) for name, built in named.items())
