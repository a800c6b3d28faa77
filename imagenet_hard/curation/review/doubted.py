"""Images of any benchmark to review in an order that is given, such as those whose labels are doubtful."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.base.text import shorten
from imagenet_hard.curation.records import Survivor
from imagenet_hard.dataset.benchmark import Benchmark


def doubted_images(benchmark: Benchmark, doubts: Iterable[tuple[str, int]]) -> list[Survivor]:
    """What the review goes through; ``doubts``: (image id, the class that is answered instead), in its order.

    Raises:
        DatasetError: the benchmark has no such image.
        ImageError: an image cannot be read.
    """
    places = {id: row for row, id in enumerate(benchmark.ids)}
    found = []
    for id, other in doubts:
        if id not in places:
            raise DatasetError(
                f"{benchmark.name} has no image {shorten(id)}: give the benchmark that the doubts are about"
            )
        each = benchmark[places[id]]
        sha256 = hashlib.sha256(each.image).hexdigest()
        found.append(Survivor(id, each.origin or benchmark.name, each.labels, sha256, answered=(other,)))
    return found
