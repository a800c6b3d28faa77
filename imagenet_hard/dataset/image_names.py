"""Images by the names that tables give them: whole paths, shorter ones, other letters, without endings."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.dataset.files import IMAGE_SUFFIXES

_PICTURES = IMAGE_SUFFIXES | {".jfif", ".avif", ".heic", ".heif", ".jxl", ".jpg_original"}


def match_names(ids: Iterable[str], names: Iterable[str], source: str, above: str = "") -> dict[str, str]:
    """Image id -> its name in the table ``source``, where it has one; ``above``: where the images' folder is.

    The exact name comes first, then the name in other letters (upper and lower case), then both without
    their endings. A name fits an image whose path ends in it (``NAME``, ``n01440764/NAME``,
    ``val/NAME`` where the folder is called val), and one whose whole id it ends in
    (``other/place/NAME`` where the image is ``NAME``).

    Raises:
        DatasetError: a name fits two images, or an image has two names.
    """
    found: dict[str, str] = {}
    left, unused = list(ids), set(names)
    for form in (str, str.casefold, _without_ending, lambda name: _without_ending(name).casefold()):
        if not left or not unused:
            break
        found |= _pass(left, unused, form, above, source)
        left = [id for id in left if id not in found]
        unused -= set(found.values())
    return found


def _pass(
    ids: Iterable[str], names: Iterable[str], form: Callable[[str], str], above: str, source: str
) -> dict[str, str]:
    """The matches between names in one form."""
    whole: dict[str, list[str]] = defaultdict(list)
    longer: dict[str, list[str]] = defaultdict(list)
    for name in names:
        whole[form(name)].append(name)
        for end in _ends(form(name)):
            longer[end].append(name)
    depth = max(key.count("/") for key in whole)
    found: dict[str, str] = {}
    used: dict[str, str] = {}
    for id in ids:
        path = form(f"{above}/{id}" if above else id)
        keys = ["/".join(path.rsplit("/", n + 1)[-n - 1 :]) for n in range(depth, -1, -1)]
        fitting = next((whole[key] for key in keys if key in whole), longer.get(form(id), []))
        if len(fitting) > 1:
            raise DatasetError(
                f"{source} has {len(fitting)} names that fit the image {id!r}: "
                f"{', '.join(map(repr, sorted(fitting)[:3]))}. Give whole paths"
            )
        for name in fitting:
            if (other := used.setdefault(name, id)) != id:
                raise DatasetError(
                    f"{source} names {name!r}, which fits {other!r} and {id!r}: give whole paths"
                )
            found[id] = name
    return found


def _ends(path: str) -> Iterator[str]:
    """ "a/b/c" -> "b/c", "c"."""
    while "/" in path:
        path = path.partition("/")[2]
        yield path


def _without_ending(name: str) -> str:
    stem, ending = os.path.splitext(name)  # noqa: PTH122 - 5x faster, 50,000 times
    return stem if ending.lower() in _PICTURES else name
