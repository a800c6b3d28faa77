"""What was seen where a benchmark was read and is not scored: the kinds, and their words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from imagenet_hard.dataset.files import File, by_ending

_TEXTS = {
    "images_without_label": "{} images have no label",
    "labels_without_image": "{} labels have no image",
    "excluded": "{} images are excluded by an empty label list",
    "system_images": "{} images are hidden, or lie in system folders (thumbnails, trash)",
}
_NOT_IMAGES = "not_images"


def not_images(files: Iterable[File]) -> Counter[str]:
    """Labelled files that hold no image, by ending: ``not_images.heic``, and ``not_images`` without one."""
    return Counter({f"{_NOT_IMAGES}{ending}": n for ending, n in by_ending(files).items()})


def told(counts: Mapping[str, int]) -> list[str]:
    """Each kind in words."""
    said = [text.format(f"{counts[kind]:,}") for kind, text in _TEXTS.items() if counts.get(kind)]
    unread = {kind.removeprefix(_NOT_IMAGES): n for kind, n in counts.items() if kind.startswith(_NOT_IMAGES)}
    if unread:
        said.append(
            f"{sum(unread.values()):,} labelled files are no image that can be read ({endings_text(unread)})"
        )
    return said


def endings_text(endings: Mapping[str, int]) -> str:
    """ "2 .heic, 1 without an ending"."""
    return ", ".join(f"{n:,} {ending or 'without an ending'}" for ending, n in endings.items())
