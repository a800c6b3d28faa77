"""Score a recipe: its classifiers against its sources, into a work folder that a later run goes on with."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.base.types import Witness
from imagenet_hard.classifiers.module_state import as_it_was
from imagenet_hard.curation.recipe import Recipe
from imagenet_hard.curation.records import FilterProgress, OpenSource, ScoreSummary
from imagenet_hard.curation.score.classifiers import Arrangement, ZoomClassifier, arrange, load_classifiers
from imagenet_hard.curation.score.hardness import HardnessFilter
from imagenet_hard.curation.score.ray_filter import FilterTask, RayFilter
from imagenet_hard.curation.score.verdicts import CropQueues
from imagenet_hard.curation.store import FILE, CurationStore
from imagenet_hard.engine.engine import Engine, LocalEngine
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.engine.witness import IMAGES, needs_witness, witness
from imagenet_hard.imagenet.zoom import Zoom

Mode = str
MODES: dict[Mode, str] = {
    "early-exit": "an image leaves at its first right zoom; float32",
    "screening": "the same, with bfloat16 sorting out what is far from right",
    "exhaustive": "every zoom of every image and classifier; float32",
}


def score(
    recipe: Recipe,
    sources: Sequence[OpenSource],
    work: Path,
    settings: RunSettings,
    *,
    mode: Mode = "early-exit",
    classifiers: Sequence[ZoomClassifier] | None = None,
    order: Sequence[Zoom] = (),
    engine: Engine = LocalEngine(),  # noqa: B008 (it holds nothing)
    on_progress: Callable[[FilterProgress], None] = lambda progress: None,
) -> ScoreSummary:
    """Find out which images of ``sources`` no zoom of the recipe's classifiers solves.

    What ``work`` holds already is not done again, also after ``kill -9``. ``classifiers``: as
    ``load_classifiers`` gives them, which is called otherwise. ``order``: zooms to try first, such as a
    study's cover; a resumed run may be given another. ``engine``: where the work is done, by default this
    process (``imagenet_hard.engine.engine.open_engine``); a run may go on on another.

    Raises:
        ClassifierError: a classifier that cannot be loaded or run.
        ResultError: ``work`` belongs to another recipe, mode or weights, or cannot be written.
        DatasetError: a source has changed since an earlier run.
        ClusterError: the engine's workers are lost; what they have decided is kept.
        UsageError: an unknown mode, a precision other than fp32, or an ``order`` outside the recipe's zooms.
    """
    if mode not in MODES:
        raise UsageError(f"scoring mode {mode!r}: expected {', '.join(MODES)}")
    if settings.precision != "fp32":
        raise UsageError(
            f"hardness is decided in fp32, not in {settings.precision}: for speed, let bfloat16 screen"
        )
    given = [classifier.model.module for classifier in classifiers or ()]
    with as_it_was(*given), CurationStore(work / FILE, create=True) as store:
        claim(store, recipe, mode)
        loaded = list(
            load_classifiers(recipe, engine.loading_device(settings.device))
            if classifiers is None
            else classifiers
        )
        _same_classifiers(store, loaded)
        here = replace(settings, device=engine.loading_device(settings.device))
        witnesses = _witnesses(store, loaded, sources, here, exif=recipe.exif)
        store.remember(
            classifiers=json.dumps({c.id: c.model.spec.model_dump(mode="json") for c in loaded}),
            witnesses=json.dumps(witnesses),
            standard=json.dumps({c.id: c.grid.standard for c in loaded if c.grid.has_standard}),
            finished="no",
        )
        screening, exhaustive = mode == "screening", mode == "exhaustive"
        if (workers := engine.workers) is not None:
            made = workers.call(partial(_arranged, loaded, settings, workers.capacity.device, screening))
            task = FilterTask(made.of(loaded), settings, made.screened, recipe.exif, exhaustive, order)
            RayFilter(sources, store, workers, task, on_progress).run()
        else:
            made = arrange(loaded, settings, screening=screening)
            ordered = made.of(loaded)
            HardnessFilter(
                sources,
                CropQueues(ordered, settings, made.screened),
                store,
                settings,
                exif=recipe.exif,
                exhaustive=exhaustive,
                order=order,
                on_progress=on_progress,
            ).run()
        return store.summary()


def _arranged(
    classifiers: Sequence[ZoomClassifier], settings: RunSettings, device: str, screening: bool
) -> Arrangement:
    return arrange(classifiers, replace(settings, device=device), screening=screening)


def claim(store: CurationStore, recipe: Recipe, mode: Mode) -> None:
    """Make the store this recipe's, or check that it is.

    Raises:
        ResultError: it was begun by another recipe or in another mode.
    """
    mine = {"recipe_sha256": recipe.scoring_sha256(), "mode": mode}
    for name, value in mine.items():
        before = store.fact(name)
        if before not in (None, value):
            limited = any(source.limit for source in recipe.sources)
            then = "as it was then, or while a limit took the first images" if limited else "as it was then"
            what = (
                f"the recipe {store.fact('recipe_name')!r} {then} ({before[:12]}...)"
                if name == "recipe_sha256"
                else f"the mode {before}"
            )
            now = f"{recipe.name!r} ({value[:12]}...)" if name == "recipe_sha256" else value
            raise ResultError(
                f"{store.path} was begun with {what}, and cannot go on with {now}: scores of two kinds do "
                "not belong together. Give another --work folder, or what was given then"
            )
    store.remember(**mine, recipe_name=recipe.name)


def _same_classifiers(store: CurationStore, classifiers: Sequence[ZoomClassifier]) -> None:
    """The weights are those that scored the first part."""
    before = json.loads(store.fact("classifiers") or "{}")
    for classifier in classifiers:
        spec = classifier.model.spec.model_dump(mode="json")
        old = before.get(classifier.id, spec)
        for key in ("weights_sha256", "transform_sha256", "head"):
            if old[key] != spec[key]:
                raise ResultError(
                    f"{classifier.id} is not the classifier that {store.path} was begun with: {key} was "
                    f"{old[key]}, now it is {spec[key]}. Restore it, or give another --work folder"
                )


def _witnesses(
    store: CurationStore,
    classifiers: Sequence[ZoomClassifier],
    sources: Sequence[OpenSource],
    settings: RunSettings,
    *,
    exif: bool,
) -> dict[str, dict[str, object]]:
    """Of the classifiers that bring code of one's own, by id.

    Raises:
        ResultError: the first part was scored by other code, or it is not known by which.
    """
    before = json.loads(store.fact("witnesses") or "{}")
    known = json.loads(store.fact("classifiers") or "{}")
    begun = next(store.images(), None) is not None
    each_source = -(-IMAGES // max(1, len(sources)))
    tasks = [task for source in sources for task in source.images.tasks_of_some(each_source)]
    found = {}
    for classifier in classifiers:
        if not needs_witness(classifier.model):
            continue
        mine = witness(classifier.model, tasks, settings, exif=exif)
        old = before.get(classifier.id)
        why = (
            "it is not known which code that was"
            if begun and classifier.id in known and old is None
            else None
        )
        if old is not None:
            why = mine.against(Witness.model_validate(old))
        if why:
            raise ResultError(
                f"{classifier.id} brings code of your own, and may not be the classifier that {store.path} "
                f"was begun with: {why}. Restore it, or give another --work folder"
            )
        found[classifier.id] = mine.model_dump()
    return found
