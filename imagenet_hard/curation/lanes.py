"""The lanes of a run: an exact one for each classifier, and a bfloat16 one for those that are screened."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from imagenet_hard.curation.curators import Curator
from imagenet_hard.curation.lane import Lane
from imagenet_hard.engine.forward import Forward
from imagenet_hard.engine.settings import RunSettings, resolve_device


class Lanes:
    """``curators``: cheapest first. ``screened``: ids of those that bfloat16 screens. Serves many runs."""

    def __init__(
        self, curators: Sequence[Curator], settings: RunSettings, screened: Collection[str] = ()
    ) -> None:
        self.device = resolve_device(settings.device)
        self.grids = {curator.id: curator.grid for curator in curators}
        self.exact = {c.id: self._lane(c, settings) for c in curators}
        half = replace(settings, precision="bf16")
        self.screens = {c.id: self._lane(c, half) for c in curators if c.id in screened}

    def __iter__(self) -> Iterator[Lane]:
        # float32 first: what it solves needs no screening.
        yield from self.exact.values()
        yield from self.screens.values()

    @property
    def batch_size(self) -> int:
        """The largest of the classifiers'."""
        return max(lane.forward.batch_size for lane in self.exact.values())

    @property
    def n_crops(self) -> int:
        """Crops that went through any of them."""
        return sum(lane.n_crops for lane in self)

    @property
    def n_waiting(self) -> int:
        """Crops that wait for their batch."""
        return sum(len(lane.queue) for lane in self)

    def _lane(self, curator: Curator, settings: RunSettings) -> Lane:
        forward = Forward(curator.classifier, settings, self.device)
        return Lane(curator.id, forward, curator.grid, exact=settings.precision == "fp32")
