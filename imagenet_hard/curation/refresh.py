"""Score a recipe from what the scores of an earlier one know: the committee grew, or the sources did.

What a classifier of both recipes found out of an image stays true while image and labels are the same. So an
image that one of them solved stays solved, and an unsolved one goes on where it was left: only the new
classifiers are tried on it. All else is scored as if nothing were known, so that the images that survive are
those of a scoring from the start.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imagenet_hard.base.errors import DatasetError, ResultError, UsageError
from imagenet_hard.base.text import shorten_list
from imagenet_hard.curation.parent import Parent, adopt
from imagenet_hard.curation.recipe import Recipe
from imagenet_hard.curation.records import FilterProgress, OpenSource, ScoreSummary
from imagenet_hard.curation.review.decisions import read_decisions, write_decisions
from imagenet_hard.curation.review.merge import decision_files
from imagenet_hard.curation.score.classifiers import ZoomClassifier, load_classifiers
from imagenet_hard.curation.score.run import Mode, score
from imagenet_hard.curation.store import FILE, CurationStore, ImageRecord, listing
from imagenet_hard.curation.successor import SELECTING, check_successor
from imagenet_hard.engine.engine import Engine, LocalEngine
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.imagenet.zoom import Zoom


@dataclass(frozen=True)
class Before:
    """Where the set that is refreshed is: its recipe's file, its work folder, its build."""

    recipe: Path
    work: Path
    build: Path


def refresh(
    recipe: Recipe,
    sources: Sequence[OpenSource],
    work: Path,
    settings: RunSettings,
    before: Before,
    *,
    mode: Mode = "early-exit",
    classifiers: Sequence[ZoomClassifier] | None = None,
    order: Sequence[Zoom] = (),
    engine: Engine = LocalEngine(),  # noqa: B008 (it holds nothing)
    on_progress: Callable[[FilterProgress], None] = lambda progress: None,
) -> ScoreSummary:
    """``score``, from what ``before`` knows; which images survive does not depend on that.

    ``work`` keeps a copy of all that is needed of it, goes on after ``kill -9``, and gets the reviewers'
    decisions about images that are as they were.

    Raises:
        UsageError: the recipes do not describe two versions of one set, or there is nothing at ``before``.
        ResultError, DatasetError, ClassifierError, ClusterError: as ``score``; or images of a source
            are gone.
    """
    if mode == "exhaustive":
        raise UsageError("a refresh leaves out what is known: score the recipe itself in the mode exhaustive")
    if work.resolve() == before.work.resolve():
        raise UsageError(f"{work} is the work folder of the set that is refreshed: give another --work")
    parent = adopt(work, before.recipe, before.work / FILE, before.build)
    check_successor(recipe, parent)
    loaded = list(
        load_classifiers(recipe, engine.loading_device(settings.device))
        if classifiers is None
        else classifiers
    )
    _check_new(loaded, {each.id for each in parent.recipe.classifiers})
    begin(recipe, parent, sources, work, mode)
    how: dict[str, Any] = {"order": order, "engine": engine, "on_progress": on_progress}
    summary = score(recipe, sources, work, settings, mode=mode, classifiers=loaded, **how)
    carry_decisions(before.work, work, parent)
    return summary


def _check_new(classifiers: Sequence[ZoomClassifier], old: Collection[str]) -> None:
    """No new classifier is one of the committee under another name."""
    who: dict[tuple[object, ...], str] = {}
    for each in sorted(classifiers, key=lambda c: c.id not in old):
        spec = each.model.spec
        key = (spec.weights_sha256, spec.transform_sha256, json.dumps(spec.head, default=dict), each.grid)
        if spec.weights_sha256 and key in who and each.id not in old:
            raise UsageError(
                f"{each.id} is in the committee already, as {who[key]}: it has the same weights and input"
            )
        who[key] = each.id


def begin(recipe: Recipe, parent: Parent, sources: Sequence[OpenSource], work: Path, mode: Mode) -> None:
    """Put into the store of ``work`` what the parent's scores know, all or nothing; once.

    Raises:
        ResultError: the store was begun with something else.
        DatasetError: images of a source that is the same are gone.
    """
    with CurationStore(parent.scores) as old, CurationStore(work / FILE, create=True) as new:
        if (began := new.fact("parent")) == parent.digest:
            return
        if began is not None or new.fact("recipe_sha256") is not None:
            raise ResultError(f"{new.path} was begun without this parent: give another --work folder")
        _check_complete(parent, sources, old)
        kept = _kept(recipe, parent, sources, old)
        fresh = {each.id for each in recipe.classifiers} - kept
        facts = {
            "parent": parent.digest,
            "recipe_sha256": recipe.scoring_sha256(),
            "recipe_name": recipe.name,
        }
        facts |= {"mode": mode, **_facts(old, kept, sources)}
        rates = {key: counts for key, counts in old.rates().items() if key[0] in kept}
        new.write(carried_records(old, sources, kept, bool(fresh)), rates, facts)


def _check_complete(parent: Parent, sources: Sequence[OpenSource], old: CurationStore) -> None:
    """A source that chooses as it did has all the images that it had."""
    specs = {each.id: each for each in parent.recipe.sources}
    for source in sources:
        spec, listed = specs.get(source.spec.id), set(source.images.ids)
        if spec is None or any(getattr(spec, key) != getattr(source.spec, key) for key in SELECTING):
            continue
        if gone := [each.id for each in old.images(source=spec.id) if each.id not in listed]:
            raise DatasetError(
                f"{len(gone)} images of the source {spec.id} are gone ({shorten_list(gone, 5)}): restore "
                "them. An image leaves the set by an exclusion, or with its source or a limit in the recipe"
            )


def _kept(recipe: Recipe, parent: Parent, sources: Sequence[OpenSource], old: CurationStore) -> set[str]:
    """Classifiers of both recipes whose verdicts hold; ``score`` compares their weights.

    Code of one's own is known by what it says of certain images: where these are others, it is tried anew.
    """
    both = {each.id for each in parent.recipe.classifiers} & {each.id for each in recipe.classifiers}
    same = [each.id for each in recipe.sources] == [each.id for each in parent.recipe.sources] and all(
        old.fact(f"listing:{each.spec.id}") == listing(each.images.ids, each.images.labels)
        for each in sources
    )
    return both if same else both - json.loads(old.fact("witnesses") or "{}").keys()


def _facts(old: CurationStore, kept: Collection[str], sources: Sequence[OpenSource]) -> dict[str, str]:
    """What a run of these classifiers on these sources would have left behind so far.

    The state of the files is the earlier one, so that files that were touched since are hashed again.
    """
    facts = {}
    for name in ("classifiers", "witnesses"):
        known = json.loads(old.fact(name) or "{}")
        facts[name] = json.dumps({id: value for id, value in known.items() if id in kept})
    for id in kept:
        if (tolerance := old.fact(f"tolerance:{id}")) is not None:
            facts[f"tolerance:{id}"] = tolerance
    for source in sources:
        if (state := old.fact(f"state:{source.spec.id}")) is not None:
            facts[f"state:{source.spec.id}"] = state
            facts[f"listing:{source.spec.id}"] = listing(source.images.ids, source.images.labels)
    return facts


def carried_records(
    old: CurationStore, sources: Sequence[OpenSource], kept: Collection[str], more: bool
) -> Iterator[ImageRecord]:
    """Where each image that was scored stands; ``more``: there are classifiers that it has not seen."""
    now = {
        id: labels
        for source in sources
        for id, labels in zip(source.images.ids, source.images.labels, strict=True)
    }
    for record in old.images():
        if record.id not in now or record.state == "failed":
            continue
        known = ImageRecord(record.id, record.source, now[record.id], record.sha256)
        if record.labels != known.labels:
            yield known
        elif record.state == "solved" and record.classifier in kept:
            yield replace(known, state="solved", classifier=record.classifier, zoom=record.zoom)
        else:
            known.views = {name: v for name, v in old.views(record.id).items() if name in kept}
            if record.state == "hard" and not more:
                known.state = "hard"
            yield _solved_by_another(known)


def _solved_by_another(record: ImageRecord) -> ImageRecord:
    """An exhaustive scoring knows all zooms that solve an image."""
    for name, views in sorted(record.views.items()):
        right = (views.deficit < 0) & ~views.screened
        if right.any():
            return replace(record, state="solved", classifier=name, zoom=int(right.argmax()))
    return record


def carry_decisions(before: Path, work: Path, parent: Parent) -> None:
    """Reviewers' decisions of an earlier work folder about survivors that are as they were.

    A file that is there already is left alone.

    Raises:
        ResultError: a file cannot be read or written.
    """
    with CurationStore(parent.scores) as old, CurationStore(work / FILE) as new:
        was = {each.id: (each.labels, each.sha256) for each in old.images(state="hard")}
        same = {
            each.id for each in new.images(state="hard") if was.get(each.id) == (each.labels, each.sha256)
        }
    for path in decision_files(before):
        target = work / "decisions" / path.name
        rows = [row for row in read_decisions(path) if row.id in same]
        if rows and not target.exists():
            write_decisions(target, rows)
