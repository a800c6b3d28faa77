"""The survivors' images, read again from their sources, and their zooms as the classifiers saw them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.base.text import shorten_list
from imagenet_hard.base.web import data_url
from imagenet_hard.curation.recipe import Recipe
from imagenet_hard.curation.records import OpenSource, Survivor
from imagenet_hard.dataset.benchmark import Benchmark
from imagenet_hard.dataset.decode import decode

DISPLAY_SIDE = 1280
"""Longest side on the page in pixels; larger images are scaled down, for display only."""


@dataclass(frozen=True)
class Picture:
    """What the page shows of one image; every picture is a ``data:`` address of a JPEG.

    ``size``: (width, height) of the image itself in pixels. ``views``: (classifier, zoom) -> its crop.
    """

    whole: str
    size: tuple[int, int]
    views: dict[tuple[str, int], str]


class Pictures:
    """Finds, checks and cuts the survivors' images; ``side``: longest side of a whole one in pixels.

    ``sources``: those of a recipe, or benchmarks by themselves, of whose images no zooms are shown.

    Raises:
        DatasetError: the sources or the recipe lack an image or a classifier that the scores name.
    """

    def __init__(
        self,
        sources: Sequence[OpenSource | Benchmark],
        recipe: Recipe | None,
        survivors: Collection[Survivor],
        *,
        side: int = DISPLAY_SIDE,
    ) -> None:
        benchmarks = [each.images if isinstance(each, OpenSource) else each for each in sources]
        self._exif = recipe.exif if recipe else any(each.exif for each in benchmarks)
        self._side = side
        self._grids = {each.id: recipe.grid(each.size) for each in recipe.classifiers} if recipe else {}
        self._places: dict[str, tuple[Benchmark, int]] = {
            id: (images, row) for images in benchmarks for row, id in enumerate(images.ids)
        }
        missing = [each.id for each in survivors if each.id not in self._places]
        if missing:
            shown = shorten_list([repr(each) for each in missing], 5)
            raise DatasetError(
                f"{len(missing)} of {len(survivors)} survivors are in none of the recipe's sources: {shown}. "
                "Give the --recipe and the --data that were scored."
            )
        known = {view.classifier for each in survivors for view in (*each.standard, *each.closest)}
        if unknown := sorted(known - self._grids.keys()):
            raise DatasetError(
                f"the scores are of {', '.join(unknown)}, which the recipe {recipe.name if recipe else ''} "
                f"lacks: it has {', '.join(self._grids)}. Give the --recipe that was scored."
            )

    def check(self, survivor: Survivor) -> bytes:
        """The image's bytes, if they are still those that were scored.

        Raises:
            ImageError: they cannot be read.
            DatasetError: they have changed.
        """
        images, row = self._places[survivor.id]
        data = images[row].image
        found = hashlib.sha256(data).hexdigest()
        if found != survivor.image_sha256:
            raise DatasetError(
                f"image {survivor.id!r} has changed since it was scored: its sha256 is {found[:12]}..., "
                f"expected {survivor.image_sha256[:12]}.... Put the old file back, or score again."
            )
        return data

    def picture(self, survivor: Survivor) -> Picture:
        """The image and the zooms of all its views.

        Raises:
            ImageError, DatasetError: as ``check``, or the image cannot be decoded.
        """
        image = decode(self.check(survivor), id=survivor.id, exif=self._exif).convert("RGB")
        wanted = defaultdict[str, set[int]](set)
        for view in (*survivor.standard, *survivor.closest):
            wanted[view.classifier].add(view.zoom)
        views = {
            (classifier, zoom): _address(Image.fromarray(crop), quality=85)
            for classifier, zooms in wanted.items()
            for zoom, crop in self._grids[classifier].crops(image, zooms)
        }
        whole = image.copy()
        whole.thumbnail((self._side, self._side), Image.Resampling.LANCZOS)
        return Picture(_address(whole, quality=92), image.size, views)

    def zoom(self, classifier: str, zoom: int) -> str:
        """A zoom in words: ``scale 256, anchor (1, 1)``."""
        return str(self._grids[classifier][zoom])


def _address(image: Image.Image, quality: int) -> str:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return data_url("image/jpeg", buffer.getvalue())
