"""Classes that a zero-shot model can never put first, since an earlier class has the same name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imagenet_hard.base.text import shorten_list
from imagenet_hard.base.types import N_CLASSES

if TYPE_CHECKING:
    from imagenet_hard.classifiers.base import Classifier

MOST = 5
"""Classes that are named; more are counted."""


def earlier_class_of(classifier: Classifier) -> dict[int, int]:
    """Class -> the earlier class with the same head column, whose logit is therefore the same.

    Among the classes that compete: a mask that leaves out the earlier one lets the later one win.
    """
    from imagenet_hard.classifiers.outputs import bare
    from imagenet_hard.classifiers.zero_shot.module import ZeroShotModule

    module = bare(classifier.module)
    if not isinstance(module, ZeroShotModule):
        return {}
    first: dict[int, int] = {}
    columns = module.twin.tolist()
    earliest = {index: first.setdefault(columns[index], index) for index in _competing(classifier)}
    return {index: earlier for index, earlier in earliest.items() if index != earlier}


def duplicate_names_warning(classifier: Classifier, labels: Sequence[Sequence[int]]) -> list[str]:
    """What a result says of images that ``classifier`` cannot solve for that reason, if there are any.

    On equal logits the lower index comes first, so an image all of whose ``labels`` (those that compete)
    have an earlier twin is wrong whatever the model sees.
    """
    twins = earlier_class_of(classifier)
    if not twins:
        return []
    competing = frozenset(_competing(classifier))
    there = [competing.intersection(each) for each in labels]
    lost = [each for each in there if each and each <= twins.keys()]
    if not lost:
        return []
    classes = sorted({label for each in lost for label in each})
    told = shorten_list([f"{index} (of {twins[index]})" for index in classes], MOST)
    return [
        f"{len(lost)} of {len(labels)} images cannot be top-1 right: all of their classes have the name of "
        f"an earlier class, which comes first on equal logits: {told}. "
        "--classnames distinct tells such classes apart"
    ]


def _competing(classifier: Classifier) -> Sequence[int]:
    classes = classifier.outputs.classes
    return range(N_CLASSES) if classes is None else classes.indices
