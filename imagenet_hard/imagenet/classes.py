"""The 1000 classes: wnids, names, ObjectNet's mapping.

Index = place of the wnid in sorted order, as in every ImageNet-1k classifier. The names are the
ones that CLIP's authors chose and that open_clip ships; two pairs of classes share a name
("missile", "sunglasses"). Everything comes from checked files in ``data/``.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from imagenet_hard.base.errors import ImageNetHardError
from imagenet_hard.base.types import N_CLASSES

# sha256 of each file's text with "\n" line ends: a checkout with other line ends passes, an edit does not.
_SHA256 = {
    "devkit_ids.txt": "e85e4969a881deb8a8ba329357d033f7a664de8f1e099f593ad723bcf79bbfe5",
    "distinct_names.csv": "953b741f64099830c19ce4fe579f49923afb2a48d36d3c5cee5002b631b6aa61",
    "imagenet1k.csv": "a2bd20a64f98b4cf106423c2e9da7c242d4237c47d20c68e0a81f0561dac9b1a",
    "objectnet.csv": "4027bb6beb0aa9beda4de0f6e6d758bdbfc4f0ce6f6f620584ee0c872b60758d",
    "wordnet.csv": "093bcd69c419c0465eaa10bc37c76c1ea6903984bfb37afada9ecfed121d5e64",
    "wordnet_alike.txt": "ce74b137ea250161d23fdb86236a69c936f8224352deb814905cf928f34b3032",
    "wordnet_others.txt": "b0a51cc893a16320bf2108469b6d9eb78e6adacb65bc514759205de567e90ce7",
}
_WNID = re.compile(r"n\d{8}")


@dataclass(frozen=True, slots=True)
class ObjectNetClass:
    """One of the 113 ObjectNet classes that ImageNet knows.

    ``id``: ObjectNet's own class number in 0..312; ``folder``: its folder in the release;
    ``indices``: the ImageNet classes it is mapped to, sorted; nine classes have two or three.
    """

    id: int
    folder: str
    name: str
    indices: tuple[int, ...]


@cache
def wnids() -> tuple[str, ...]:
    """The 1000 WordNet ids, sorted: place = class index."""
    return tuple(wnid for wnid, _ in _classes())


@cache
def names() -> tuple[str, ...]:
    """The 1000 English names in index order, 998 of them different."""
    return tuple(name for _, name in _classes())


@cache
def distinct_names() -> tuple[str, ...]:
    """The names with WordNet's own word for the second missile (744) and the first sunglasses (836): 1000."""
    own = {row["wnid"]: row["name"] for row in csv.DictReader(checked_lines("distinct_names.csv"))}
    return tuple(own.get(wnid, name) for wnid, name in _classes())


@cache
def wnid_to_index() -> Mapping[str, int]:
    """wnid -> class index in 0..999."""
    return MappingProxyType({wnid: index for index, wnid in enumerate(wnids())})


@cache
def devkit_order() -> tuple[int, ...]:
    """The 1000 class indices in the order of the ILSVRC2012 development kit: its id ``i`` is place ``i - 1``.

    The kit's order is not that of the wnids: its id 1 is n02119789 (kit fox), index 278.

    >>> devkit_order()[490 - 1]
    65
    """
    index = wnid_to_index()
    return tuple(index[wnid] for wnid in checked_lines("devkit_ids.txt"))


@cache
def objectnet_classes() -> tuple[ObjectNetClass, ...]:
    """The 113 ObjectNet classes with an ImageNet counterpart, by ObjectNet id."""
    index = wnid_to_index()
    rows = csv.DictReader(checked_lines("objectnet.csv"))
    return tuple(
        ObjectNetClass(
            int(row["objectnet_id"]),
            row["folder"],
            row["name"],
            tuple(sorted(index[wnid] for wnid in row["wnids"].split())),
        )
        for row in rows
    )


@cache
def imagenet_to_objectnet() -> Mapping[int, int]:
    """The 125 mapped class indices -> ObjectNet id."""
    return MappingProxyType({index: c.id for c in objectnet_classes() for index in c.indices})


def listed_classes(file: str, sha256: str) -> tuple[int, ...]:
    """The class indices of a data file of wnids, one a line; ``sha256``: as of those in ``_SHA256``.

    Raises:
        ImageNetHardError: the file is not what it was when it was checked.
    """
    index = wnid_to_index()
    return tuple(index[wnid] for wnid in checked_lines(file, sha256))


@cache
def _classes() -> tuple[tuple[str, str], ...]:
    rows = tuple((row["wnid"], row["name"]) for row in csv.DictReader(checked_lines("imagenet1k.csv")))
    ids = [wnid for wnid, _ in rows]
    if len(set(ids)) != N_CLASSES or ids != sorted(ids) or not all(map(_WNID.fullmatch, ids)):
        raise _damaged(
            "imagenet1k.csv", f"{len(set(ids))} wnids, or out of order", f"{N_CLASSES} sorted wnids"
        )
    return rows


def checked_lines(file: str, sha256: str | None = None) -> list[str]:
    """The lines of a data file whose content is what it was when it was checked.

    Raises:
        ImageNetHardError: it is not.
    """
    try:
        lines = files("imagenet_hard.imagenet").joinpath("data", file).read_text("utf-8").splitlines()
    except OSError as error:
        raise _damaged(file, f"it cannot be read ({error.strerror})", "a readable file") from error
    got = hashlib.sha256("".join(line + "\n" for line in lines).encode()).hexdigest()
    if got != (expected := sha256 or _SHA256[file]):
        raise _damaged(file, f"sha256 {got[:12]}...", f"{expected[:12]}...")
    return lines


def _damaged(file: str, got: str, expected: str) -> ImageNetHardError:
    return ImageNetHardError(
        f"imagenet_hard/imagenet/data/{file} is damaged: got {got}, expected {expected}. "
        "Install the package again."
    )
