"""Whether a recipe makes the next version of a set: what may change in it, and what may not."""

from __future__ import annotations

from typing import Any

from imagenet_hard.base.errors import UsageError
from imagenet_hard.curation.parent import Parent
from imagenet_hard.curation.recipe import Recipe, SourceSpec

SELECTING = ("limit", "corruptions", "severities")
"""Keys of a source that choose among its images and change none."""

ELSEWHERE = ("path", "labels", "original_labels", "licence", "url")
"""Keys that say where a source lies; the store knows the images by their hashes."""


def check_successor(recipe: Recipe, parent: Parent) -> None:
    """The recipe makes another version of the parent's set, of the same kind of zooms and sources.

    Raises:
        UsageError: it does not.
    """
    old, name = parent.recipe, parent.chain.name
    if recipe.output.name != name:
        raise UsageError(
            f"the recipe {recipe.name} makes {recipe.output.name}, not {name}: a refresh keeps the name"
        )
    if recipe.version in (known := [each.version for each in parent.chain.versions]):
        raise UsageError(
            f"{name} has had the version {recipe.version} (there are {', '.join(known)}): raise it in "
            f"{recipe.name}"
        )
    for key in ("scales", "exif"):
        if getattr(recipe, key) != getattr(old, key):
            raise UsageError(
                f"{key} is {getattr(recipe, key)} in the recipe {recipe.name}, and {getattr(old, key)} in "
                "the parent's: no score of other zooms holds; score the recipe anew as a set of its own"
            )
    specs = {each.id: each for each in old.sources}
    if not any(each.id in specs for each in recipe.sources):
        raise UsageError(f"the recipe {recipe.name} has none of the parent's sources ({', '.join(specs)})")
    for source in recipe.sources:
        if source.id in specs and _images_of(source) != _images_of(specs[source.id]):
            raise UsageError(
                f"the source {source.id} is not the parent's: it has other images or another mask. Give it "
                "another `name`, or leave it as it was"
            )


def _images_of(source: SourceSpec) -> dict[str, Any]:
    """What decides which images there are to choose from, and how they are judged."""
    return source.model_dump(exclude={*SELECTING, *ELSEWHERE, "mask"}) | {"mask": source.mask_name}
