"""Which output of a model is which class, by the names that it gives its outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.base.text import shorten_list
from imagenet_hard.base.types import N_CLASSES, DropClass
from imagenet_hard.imagenet.classes import wnids
from imagenet_hard.imagenet.names import Found, by_elimination, meanings, one_case

LARGER = 5000
"""Of more outputs than this ImageNet-21k or a part of it is meant."""

SHOWN = 3
"""Labels that a message lists."""


@dataclass(frozen=True)
class LabelOrder:
    """``outputs``: class -> the output that is it. ``background``: where that of 1001 is, first or last."""

    outputs: tuple[int, ...]
    background: DropClass | None = None

    @property
    def places(self) -> tuple[int, ...] | None:
        """All outputs in the order of the classes, the background where it is; None: they are already."""
        order = list(self.outputs)
        if self.background is not None:
            order.insert(self.background, self.background)
        return None if order == list(range(len(order))) else tuple(order)


def label_order(labels: Sequence[str], said: str) -> LabelOrder:
    """The order of the outputs that are called ``labels``; ``said``: the model, for messages.

    A label with two meanings ("crane") is understood where the others leave one of them, or where all labels
    stand in the order of the classes; there, one in a hundred may be unknown.

    Raises:
        ClassifierError: for another number of labels than the 1000, or 1001 with a background class, and for
            labels that are not understood.
    """
    if len(labels) not in (N_CLASSES, N_CLASSES + 1):
        raise ClassifierError(_other_classes(len(labels), said))
    background = _background(labels, said) if len(labels) == N_CLASSES + 1 else None
    kept = [label for place, label in enumerate(labels) if place != background]
    folded = one_case(kept)
    meant = [meanings(label, folded=folded) for label in kept]
    fits = all(index in found for index, found in enumerate(meant) if found)
    if fits and sum(not found for found in meant) <= N_CLASSES // 100:
        order = list(range(N_CLASSES))
    else:
        order = _elsewhere(kept, meant, said)
    after = 1 if background == 0 else 0
    return LabelOrder(tuple(place + after for place in order), background)


def _elsewhere(labels: Sequence[str], meant: Sequence[Found], said: str) -> list[int]:
    """Class -> place of its label, where that is not the class itself for all of them."""
    if unknown := [label for label, found in zip(labels, meant, strict=True) if not found]:
        generic = all(label.startswith("LABEL_") for label in unknown)
        raise ClassifierError(
            f"{said}: {len(unknown):,} of the {len(labels):,} labels in the id2label of its config.json are "
            f"not understood: {shorten_list([repr(each) for each in unknown], SHOWN)}. Expected the names of "
            "ImageNet's classes, their wnids or class indices, in any order; "
            + ("these say nothing of the order of its outputs, which is not guessed. " if generic else "")
            + "Write them into the config.json of a local copy, and name its folder"
        )
    found = by_elimination(meant)
    places: dict[int, int] = {}
    for place, (label, classes) in enumerate(zip(labels, found, strict=True)):
        if len(classes) != 1:
            told = ", ".join(f"{index} {wnids()[index]}" for index in sorted(meant[place]))
            raise ClassifierError(
                f"{said} has the label {label!r}, which may be {told}: name its classes by wnid in the "
                "id2label of a local copy's config.json"
            )
        (index,) = classes
        if (first := places.setdefault(index, place)) != place:
            raise ClassifierError(
                f"{said} has two labels of one class: {labels[first]!r} and {label!r} are both {index} "
                f"{wnids()[index]}, so its {len(labels):,} outputs are not the {N_CLASSES} classes"
            )
    return [places[index] for index in range(N_CLASSES)]


def _background(labels: Sequence[str], said: str) -> DropClass:
    places = [place for place, label in enumerate(labels) if "background" in label.lower()]
    if places == [0]:
        return 0
    if places == [N_CLASSES]:
        return 1000
    told = f"at {', '.join(map(str, places))}" if places else "nowhere"
    raise ClassifierError(
        f"{said} has {N_CLASSES + 1} outputs: expected the first or the last of their labels to be called "
        f"'background', found that {told}; its first label is {labels[0]!r}, its last {labels[-1]!r}"
    )


def _other_classes(n: int, said: str) -> str:
    if n > LARGER:
        return (
            f"{said} has {n:,} outputs, classes of ImageNet-21k or another large set: what it gives one of "
            f"the {N_CLASSES} would be taken from classes that mean the same or more (a dog of every breed). "
            "Take weights that were fine-tuned on ImageNet-1k"
        )
    return (
        f"{said} has {n:,} outputs: expected the {N_CLASSES} classes of ImageNet-1k, or {N_CLASSES + 1} with "
        "a background class"
    )
