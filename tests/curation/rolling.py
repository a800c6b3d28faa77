"""Versions of a small set on disk: images, a recipe a version, real tiny networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from imagenet_hard.curation.build.lineage import Lineage
from imagenet_hard.curation.build.run import BuildReport, build
from imagenet_hard.curation.parent import read_parent
from imagenet_hard.curation.recipe import Recipe, load_recipe
from imagenet_hard.curation.records import Decision, OpenSource, ScoreSummary
from imagenet_hard.curation.refresh import Before, refresh
from imagenet_hard.curation.score.classifiers import ZoomClassifier
from imagenet_hard.curation.score.run import score
from imagenet_hard.curation.sources import open_sources
from imagenet_hard.curation.store import FILE, CurationStore
from tests.curation.small import SETTINGS, Made, net

SOURCE = {"variant": "imagenet", "path": "val", "labels": "truth.csv"}


@dataclass
class Rolling:
    """A folder in which versions of one set are made: images in ``val``, their labels in ``truth.csv``."""

    root: Path

    def lay_out(self, images: Made, n: int) -> None:
        """The first ``n`` images as files ``NUMBER.jpg``."""
        (self.root / "val").mkdir(exist_ok=True)
        for i in range(n):
            (self.root / "val" / f"{i}.jpg").write_bytes(images.data[i])
        self.label({i: images.labels[i][0] for i in range(n)})

    def label(self, labels: dict[int, int]) -> None:
        """Number of the image -> class, of all."""
        lines = ["file,label", *(f"{i}.jpg,{label}" for i, label in labels.items())]
        (self.root / "truth.csv").write_text("\n".join(lines) + "\n")

    def recipe(self, version: str, seeds: Sequence[int], **more: object) -> Recipe:
        """Of the networks ``seeds``, in ``VERSION.yaml``."""
        said = {
            "name": f"v{version[0]}",
            "version": version,
            "sources": [SOURCE],
            "classifiers": [{"model": f"net{seed}", "size": 32} for seed in seeds],
            "scales": [140, 224, 336],  # GRID's, for crops of 224
            "output": {"name": "small-hard"},
            **more,
        }
        path = self.path(version)
        path.write_text(yaml.safe_dump(said))
        return load_recipe(path)

    def path(self, version: str) -> Path:
        return self.root / f"{version}.yaml"

    def work(self, version: str) -> Path:
        return self.root / "work" / version

    def out(self, version: str) -> Path:
        return self.root / "built" / version

    def opened(self, recipe: Recipe) -> list[OpenSource]:
        return open_sources(recipe, self.root)

    def score(
        self, recipe: Recipe, seeds: Sequence[int], work: Path | None = None, **how: object
    ) -> ScoreSummary:
        """From the start."""
        return score(
            recipe,
            self.opened(recipe),
            work or self.work(recipe.version),
            SETTINGS,
            classifiers=committee(seeds),
            **how,
        )

    def before(self, version: str) -> Before:
        return Before(self.path(version), self.work(version), self.out(version))

    def refresh(self, recipe: Recipe, seeds: Sequence[int], parent: str, **how: object) -> ScoreSummary:
        """From the version ``parent``."""
        return refresh(
            recipe,
            self.opened(recipe),
            self.work(recipe.version),
            SETTINGS,
            self.before(parent),
            classifiers=committee(seeds),
            **how,
        )

    def build(
        self,
        recipe: Recipe,
        work: Path | None = None,
        out: Path | None = None,
        decisions: dict[str, Decision] | None = None,
        **how: object,
    ) -> BuildReport:
        work = work or self.work(recipe.version)
        with CurationStore(work / FILE) as store:
            survivors, parent = store.survivors(), read_parent(work)
            return build(
                recipe,
                self.path(recipe.version),
                self.opened(recipe),
                survivors,
                store.summary(),
                decisions or {},
                out or self.out(recipe.version),
                lineage=None if parent is None else Lineage.read(parent, store, survivors),
                allow_undecided=True,
                **how,
            )

    def first(self, seeds: Sequence[int] = (0,), **more: object) -> BuildReport:
        """Version 1.0.0, scored and built."""
        recipe = self.recipe("1.0.0", seeds, **more)
        self.score(recipe, seeds)
        return self.build(recipe)


def committee(seeds: Sequence[int]) -> list[ZoomClassifier]:
    """The networks under the ids that they have in a recipe."""
    return [replace(net(seed), id=f"net{seed}/32") for seed in seeds]


def hard(work: Path) -> set[str]:
    """Ids of the survivors."""
    with CurationStore(work / FILE) as store:
        return {each.id for each in store.survivors()}
