"""Columns over the sorted ids, packed into JSON: one bit or one code per image, as base64.

A Result carries who was right and where each image came from, so that two results can be
compared image by image without the images or their labels (11,000 images: 2 kB and 15 kB).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def pack_bits(flags: NDArray[np.bool_]) -> str:
    """bool (n,) -> base64; image ``i`` is bit ``7 - i % 8`` of byte ``i // 8``, the rest is 0.

    >>> pack_bits(np.array([True, False, True]))
    'oA=='
    """
    return base64.b64encode(np.packbits(flags).tobytes()).decode("ascii")


def unpack_bits(text: str, n: int) -> NDArray[np.bool_]:
    """The inverse: bool (n,).

    Raises:
        ValueError: not base64, not ``n`` bits long, or bits set behind the last image.
    """
    data = np.frombuffer(_decode(text, (n + 7) // 8, f"{n} bits"), dtype=np.uint8)
    bits = np.unpackbits(data)
    if bits[n:].any():
        raise ValueError(f"bits are set after the last of {n} images")
    return bits[:n].astype(np.bool_)


def pack_names(values: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Strings (n) -> their sorted distinct names, and base64 of one code per image.

    A code is one byte, or two (little endian) beyond 256 names; with a single name there is
    nothing to tell and the text is empty.

    Raises:
        ValueError: more than 65,536 distinct names.
    """
    names = tuple(sorted(set(values)))
    if len(names) == 1:
        return names, ""
    if len(names) > 1 << 16:
        raise ValueError(f"{len(names)} distinct names: at most {1 << 16} can be coded")
    code = {name: i for i, name in enumerate(names)}
    codes = np.fromiter((code[value] for value in values), dtype=_code_dtype(names), count=len(values))
    return names, base64.b64encode(codes.tobytes()).decode("ascii")


def unpack_names(names: Sequence[str], text: str, n: int) -> NDArray[np.intp]:
    """Index into ``names`` of each image: intp (n,).

    Raises:
        ValueError: not base64, not ``n`` codes long, or a code without a name.
    """
    if not names or tuple(names) != tuple(sorted(set(names))):
        raise ValueError("the names are not sorted and distinct")
    dtype = _code_dtype(names)
    data = _decode(text, 0 if len(names) == 1 else n * dtype.itemsize, f"{n} codes")
    codes = np.frombuffer(data, dtype=dtype) if len(names) > 1 else np.zeros(n, dtype=dtype)
    if codes.size and codes.max() >= len(names):
        raise ValueError(f"code {codes.max()} has no name: there are {len(names)}")
    return codes.astype(np.intp)


def _code_dtype(names: Sequence[str]) -> np.dtype[np.unsignedinteger]:
    return np.dtype("u1" if len(names) <= 256 else "<u2")


def _decode(text: str, n_bytes: int, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"not base64 ({error})") from None
    if len(data) != n_bytes:
        raise ValueError(f"{len(data)} bytes, expected {n_bytes} for {what}")
    return data
