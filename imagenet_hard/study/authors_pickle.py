"""The authors' ``correctness.pkl`` as a correctness matrix, without running anything in it.

The file holds ``[data set][model]`` -> a pandas ``DataFrame`` of booleans, a row for each zoom
(``LOC:1_1_Size:256``: row, column, scale), a column for each image, by its number (the notebooks in
``src/analysis`` of github.com/taesiri/ZoomIsAllYouNeed read it so).

A pickle is a program. Of this one nothing is called: each name in it stands for an inert record of what it
was given, only names that such a file needs are known, and arrays are made here, from bytes and a type that
is checked. No code of pandas is used.
"""

from __future__ import annotations

import pickle
import pickletools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.text import shorten, shorten_list
from imagenet_hard.base.types import ModelSpec
from imagenet_hard.imagenet.zoom import ANCHORS, PAPER_SCALES, Zoom, ZoomGrid
from imagenet_hard.study.matrix import Images, Matrix, MatrixInfo

SETS: Mapping[str, str] = {
    "imagenet_1k": "imagenet",
    "imagenet_1k_real": "imagenet-real",
    "imagenet_IN_plus_real": "imagenet-real+original",
    "imagenet_r": "imagenet-r",
    "imagenet_a": "imagenet-a",
    "imagenet_sketch": "imagenet-sketch",
    "objectnet": "objectnet",
}
"""The authors' names -> ours, as the published figures have them."""

MODELS: Mapping[str, tuple[str, str, str]] = {
    "alexnet": ("torchvision", "alexnet", "IMAGENET1K_V1"),
    "vgg16": ("torchvision", "vgg16", "IMAGENET1K_V1"),
    "resnet18": ("torchvision", "resnet18", "IMAGENET1K_V1"),
    "resnet50": ("torchvision", "resnet50", "IMAGENET1K_V1"),
    "vit32": ("torchvision", "vit_b_32", "IMAGENET1K_V1"),
    "clip_vit_l_14": ("open_clip", "ViT-L-14", "openai"),
}
"""The authors' names -> backend, name and weights tag."""

MAX_BYTES = 2 * 2**30
"""Of the file; the authors' has 503 MB."""

MAX_IMAGES = 10**6

_ZOOM = re.compile(r"LOC:([0-2])_([0-2])_Size:(\d{1,4})")

_NUMPY = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")
_KNOWN: Mapping[str, str] = {
    **{f"{module}.{name}": name for module in _NUMPY for name in ("_reconstruct", "ndarray", "dtype")},
    **{f"numpy{core}.numeric._frombuffer": "_frombuffer" for core in (".core", "._core")},
    **{f"{module}.DataFrame": "DataFrame" for module in ("pandas", "pandas.core.frame")},
    "pandas.core.internals.managers.BlockManager": "BlockManager",
    "pandas._libs.internals._unpickle_block": "_unpickle_block",
    "pandas.core.indexes.base._new_Index": "_new_Index",
    **{f"{module}.Index": "Index" for module in ("pandas", "pandas.core.indexes.base")},
    **{f"{module}.RangeIndex": "RangeIndex" for module in ("pandas", "pandas.core.indexes.range")},
    **{f"{m}.{name}": name for m in ("builtins", "__builtin__") for name in ("slice", "dict")},
}
"""Full name in the file -> what it is here."""

_REFUSED = {"PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER", "INST", "OBJ"}
"""Instructions that no file of data needs: they reach outside of it, or make objects in other ways."""


_MISFITS = (
    pickle.UnpicklingError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RecursionError,
)
"""What comes of instructions and records that are not as they should be."""


def read_authors_pickle(path: Path) -> Matrix:
    """The matrix of the file; ids are ``SET/NUMBER``, hashes of images are unknown.

    Raises:
        ResultError: missing, too large, damaged, with a name or instruction that such a file does not need,
            or not of the form above; the message says where.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ResultError(f"{path} has {size:,} bytes: expected at most {MAX_BYTES:,}")
        with path.open("rb") as file:
            _look_through(file, size)
            file.seek(0)
            found = _Reader(file).load()
        return _matrix(found)
    except ResultError as error:
        raise error if str(path) in str(error) else ResultError(f"{path}: {error}") from None
    except _MISFITS as error:
        raise ResultError(
            f"{path} is not a correctness.pkl of the paper's authors: {shorten(str(error), 200)}"
        ) from None
    except (OSError, EOFError, MemoryError, OverflowError) as error:
        raise ResultError(f"cannot read {path}: {shorten(str(error) or type(error).__name__, 200)}") from None


def _look_through(file: IO[bytes], size: int) -> None:
    """Refuse what no such file needs, before a single instruction is followed.

    Memory that an instruction claims is bounded by what the file has of it: a memo of as many places as
    there are instructions, strings as long as their bytes.
    """
    count = most = 0
    for opcode, argument, _ in pickletools.genops(file):
        count += 1
        if opcode.name in _REFUSED:
            raise ResultError(f"it has the instruction {opcode.name}, which no file of data needs")
        if opcode.name in ("PUT", "LONG_BINPUT", "BINPUT"):
            most = max(most, int(argument or 0))
    if most > count:
        raise ResultError(f"it claims {most:,} places of memory for {count:,} instructions")
    if file.tell() != size:
        raise ResultError("there are more bytes after its end")


class _Inert:
    """What stands for an object of the file: its ``args`` and ``state``."""

    args: tuple[Any, ...] = ()
    state: Any = None

    def __new__(cls, *args: Any) -> _Inert:
        made = super().__new__(cls)
        made.args = args
        return made

    def __init__(self, *args: Any) -> None:
        """Nothing more."""

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Tables(dict[Any, Any]):
    """What stands for a ``defaultdict``: its factory is not called."""

    def __init__(self, *_: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        raise ResultError("a table of tables has a state, which none of data has")


_CLASSES = {name: type(name, (_Inert,), {}) for name in set(_KNOWN.values())}


class _Reader(pickle.Unpickler):
    """Follows the instructions of the file, with nothing but inert records to call."""

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full == "collections.defaultdict":
            return _Tables
        if full not in _KNOWN:
            raise ResultError(f"it calls {shorten(full)}, which no table of booleans needs: it is not read")
        return _CLASSES[_KNOWN[full]]


def _matrix(found: Any) -> Matrix:
    if not isinstance(found, dict) or not found:
        raise ResultError(f"it holds {type(found).__name__}, not tables by data set and model")
    if unknown := [_said(name) for name in found if name not in SETS]:
        raise ResultError(f"unknown data sets {shorten_list(unknown)}: expected some of {', '.join(SETS)}")
    models = [name for name in MODELS if name in next(iter(found.values()))]
    grid, sources, bits = ZoomGrid(PAPER_SCALES), list[Images](), list[NDArray[np.uint8]]()
    for theirs, mine in SETS.items():
        if theirs not in found:
            continue
        tables = found[theirs]
        if not isinstance(tables, dict) or set(tables) != set(models) or not models:
            got = shorten_list([*map(_said, tables)]) if isinstance(tables, dict) else _said(tables)
            raise ResultError(
                f"{theirs} has tables of {got}: expected the same models in every data set, of "
                f"{', '.join(MODELS)}"
            )
        numbers: tuple[int, ...] | None = None
        rows = []
        for model in models:
            where = f"{theirs}, {model}"
            own, correct = _table(tables[model], grid, where)
            if numbers is not None and own != numbers:
                raise ResultError(f"{where}: other images than those of {models[0]}")
            numbers = own
            rows.append(np.packbits(correct, axis=1))
        assert numbers is not None
        sources.append(
            Images(
                source=mine,
                variant=mine,
                ids=tuple(f"{mine}/{number}" for number in numbers),
                sha256=("unknown",) * len(numbers),
            )
        )
        bits.append(np.stack(rows))
    info = MatrixInfo(
        recipe="correctness.pkl of the paper's authors",
        recipe_sha256="unknown",
        scales=PAPER_SCALES,
        classifiers={
            name: ModelSpec(backend=backend, name=arch, tag=tag, transform={})
            for name, (backend, arch, tag) in MODELS.items()
            if name in models
        },
        images=tuple(sources),
        left_out={},
    )
    return Matrix(info, np.concatenate(bits, axis=1))


def _table(frame: Any, grid: ZoomGrid, where: str) -> tuple[tuple[int, ...], NDArray[np.bool_]]:
    """The images' numbers, rising, and bool (images, zooms) in the grid's order."""
    columns, index, values = _frame(frame, where)
    zooms = [_zoom(each, where) for each in index]
    places = {zoom: i for i, zoom in enumerate(grid)}
    if sorted(map(places.__getitem__, zooms)) != list(range(len(grid))):
        raise ResultError(f"{where}: {len(zooms)} zooms, expected each of the {len(grid)} once")
    numbers = [int(each) for each in columns]
    if len(set(numbers)) < len(numbers) or min(numbers) < 0:
        raise ResultError(f"{where}: an image's number appears twice, or is below 0")
    order = np.argsort(numbers, kind="stable")
    correct = np.empty((len(numbers), len(grid)), np.bool_)
    correct[:, [places[zoom] for zoom in zooms]] = values[order]
    return tuple(sorted(numbers)), correct


def _zoom(name: Any, where: str) -> Zoom:
    found = _ZOOM.fullmatch(name) if isinstance(name, str) else None
    if found is None or int(found[3]) not in PAPER_SCALES:
        raise ResultError(
            f"{where}: the row {_said(name)}: expected LOC:ROW_COLUMN_Size:SCALE with one of the paper's "
            "scales"
        )
    return Zoom(int(found[3]), int(found[1]), int(found[2]))


def _frame(frame: Any, where: str) -> tuple[Sequence[Any], Sequence[Any], NDArray[np.bool_]]:
    """Columns, index and bool (columns, rows) of a DataFrame as pandas since 1.3 pickles it."""
    if not _is(frame, "DataFrame") or not isinstance(frame.state, dict):
        raise ResultError(f"{where}: {type(frame).__name__}, expected a DataFrame of booleans")
    manager = frame.state.get("_mgr")
    if not _is(manager, "BlockManager") or len(manager.args) != 2:
        raise ResultError(f"{where}: a DataFrame without blocks: expected one as pandas 1.3 to 3 writes it")
    blocks, axes = manager.args
    columns, index = (_axis(each, where) for each in axes)
    if not 0 < len(columns) <= MAX_IMAGES or len(index) != len(PAPER_SCALES) * len(ANCHORS):
        raise ResultError(
            f"{where}: {len(columns):,} images, {len(index):,} zooms: expected 1 to {MAX_IMAGES:,}, and "
            f"{len(PAPER_SCALES) * len(ANCHORS)}"
        )
    values = np.zeros((len(columns), len(index)), np.bool_)
    filled = np.zeros(len(columns), np.intp)
    for each in blocks:
        if not _is(each, "_unpickle_block"):
            raise ResultError(f"{where}: a block of {type(each).__name__}")
        block, placement, *_ = each.args
        rows = _rows(placement, len(columns), where)
        own = _array(block, where)
        if own.dtype != np.bool_ or own.shape != (len(rows), len(index)):
            raise ResultError(
                f"{where}: a block of {own.dtype} {own.shape}, expected bool {(len(rows), len(index))}"
            )
        values[rows] = own
        filled[rows] += 1
    if not (filled == 1).all():
        raise ResultError(f"{where}: blocks that do not fill the table")
    return columns, index, values


def _axis(axis: Any, where: str) -> Sequence[Any]:
    """The labels of an index."""
    if not _is(axis, "_new_Index"):
        raise ResultError(f"{where}: an axis of {type(axis).__name__}, expected an index")
    kind, data = axis.args
    if kind is _CLASSES["RangeIndex"]:
        labels = range(data["start"], data["stop"], data["step"])
        if len(labels) > MAX_IMAGES:
            raise ResultError(f"{where}: an axis of {len(labels):,} labels, expected at most {MAX_IMAGES:,}")
        return labels
    values = data["data"]
    return _objects(values, where) if _has_objects(values) else _array(values, where).tolist()


def _rows(placement: Any, n: int, where: str) -> NDArray[np.intp]:
    """The columns of a block."""
    if _is(placement, "slice"):
        return np.arange(n)[slice(*placement.args)]
    if isinstance(placement, _Inert):
        return _array(placement, where).astype(np.intp)
    raise ResultError(f"{where}: a block at {type(placement).__name__}")


_TYPES = re.compile(r"[<>|=]?(?:b1|i[1248]|u[1248])")


def _array(array: Any, where: str) -> NDArray[Any]:
    """A NumPy array of booleans or integers, from its bytes."""
    shape, dtype, fortran, data = _array_parts(array, where)
    if not isinstance(dtype, str) or not _TYPES.fullmatch(dtype):
        raise ResultError(f"{where}: an array of {_said(dtype)}, expected booleans or integers")
    if not isinstance(data, bytes | bytearray):
        raise ResultError(f"{where}: an array without its bytes")
    sides = [int(side) for side in shape]
    if min(sides, default=1) < 0:
        raise ResultError(f"{where}: an array of the shape {sides}")
    flat = np.frombuffer(data, np.dtype(dtype))
    if dtype.endswith("b1") and np.frombuffer(data, np.uint8).max(initial=0) > 1:
        raise ResultError(f"{where}: booleans that are neither 0 nor 1")
    return flat.reshape(sides, order="F" if fortran else "C")


def _objects(array: Any, where: str) -> list[Any]:
    """The elements of an array of strings or numbers of Python's."""
    shape, _, _, data = _array_parts(array, where)
    if not isinstance(data, list) or len(shape) != 1 or not all(isinstance(each, str | int) for each in data):
        raise ResultError(f"{where}: an axis of other things than names and numbers")
    return data


def _has_objects(array: Any) -> bool:
    return _is(array, "_reconstruct") and isinstance(array.state, tuple) and isinstance(array.state[-1], list)


def _array_parts(array: Any, where: str) -> tuple[Sequence[Any], Any, bool, Any]:
    """Shape, type as a string with its byte order, whether columns come first, bytes or list."""
    if _is(array, "_reconstruct"):
        _, shape, dtype, fortran, data = array.state
    elif _is(array, "_frombuffer"):
        data, dtype, shape, order = array.args
        fortran = order == "F"
    else:
        raise ResultError(f"{where}: {type(array).__name__}, expected an array")
    if not _is(dtype, "dtype"):
        raise ResultError(f"{where}: an array without a type")
    order = dtype.state[1] if isinstance(dtype.state, tuple) and dtype.state[1] in ("<", ">") else ""
    return shape, f"{order}{dtype.args[0]}", bool(fortran), data


def _is(value: Any, name: str) -> TypeGuard[_Inert]:
    return isinstance(value, _CLASSES[name])


def _said(value: Any) -> str:
    """For a message: a name, or the type of anything else, whose text may be without end."""
    return shorten(value) if isinstance(value, str) else type(value).__name__
