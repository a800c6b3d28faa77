"""What a result says of classes that a zero-shot model can never put first."""

from __future__ import annotations

import torch
from torch import nn

from imagenet_hard.base.types import ModelSpec
from imagenet_hard.classifiers.base import Classifier
from imagenet_hard.classifiers.outputs import with_classes
from imagenet_hard.classifiers.transform import Transform
from imagenet_hard.classifiers.zero_shot.module import ZeroShotModule
from imagenet_hard.evaluation.duplicate_names import duplicate_names_warning, earlier_class_of
from imagenet_hard.imagenet.mask import class_mask

HEAD = torch.nn.functional.normalize(torch.randn(8, 1000, generator=torch.Generator().manual_seed(0)), dim=0)
HEAD[:, 744], HEAD[:, 837] = HEAD[:, 657], HEAD[:, 836]


def classifier(module: nn.Module) -> Classifier:
    spec = ModelSpec(backend="open_clip", name="small", transform={})
    return Classifier(spec, module, Transform(None, (8, 8)))


def zero_shot(head: torch.Tensor) -> Classifier:
    return classifier(ZeroShotModule(nn.Identity(), head))


def test_images_that_no_prediction_solves_are_counted() -> None:
    """Those all of whose labels have an earlier twin: no image at all is predicted so."""
    model = zero_shot(HEAD)
    assert earlier_class_of(model) == {744: 657, 837: 836}
    images = torch.nn.functional.normalize(torch.cat([HEAD.T, torch.randn(500, 8)]), dim=1)
    predicted = set(model.module(images).argmax(dim=1).tolist())
    labels = [(744,), (744, 837), (1, 744), (657,), (837,), (5,), (657, 744)]
    lost = [each for each in labels if not predicted & set(each) and set(each) <= {744, 837}]
    (said,) = duplicate_names_warning(model, labels)
    assert said.startswith(f"{len(lost)} of 7 images cannot be top-1 right")
    assert "744 (of 657), 837 (of 836). --classnames distinct" in said
    assert len(lost) == 3


def test_nothing_is_said_where_nothing_is_lost() -> None:
    """Other images, other names, other models."""
    assert duplicate_names_warning(zero_shot(HEAD), [(1,), (657, 744)]) == []
    other = torch.linspace(0, 3, 1000)
    assert duplicate_names_warning(zero_shot(torch.stack([other.cos(), other.sin()])), [(744,)]) == []
    assert duplicate_names_warning(classifier(nn.Linear(2, 2)), [(744,)]) == []


def test_a_mask_may_let_the_later_class_win() -> None:
    """Where the earlier class does not compete; images outside the mask are told of elsewhere."""
    model = with_classes(zero_shot(HEAD), class_mask([744, 836, 837, 1, 2, 3]))
    assert earlier_class_of(model) == {837: 836}
    (said,) = duplicate_names_warning(model, [(744,), (837,), (657, 837), (5,), (836, 837)])
    images = torch.nn.functional.normalize(HEAD.T, dim=1)
    assert set(model.module(images).argmax(dim=1).tolist()) == {744, 836, 1, 2, 3}
    assert said.startswith("2 of 5 images cannot be top-1 right")


def test_many_classes_are_counted_rather_than_listed() -> None:
    """Names of one's own may repeat a lot."""
    same = torch.ones(1, 1000)
    (said,) = duplicate_names_warning(zero_shot(same), [(i,) for i in range(1000)])
    assert said.startswith("999 of 1000 images")
    assert "1 (of 0), 2 (of 0), 3 (of 0), 4 (of 0), 5 (of 0) and 994 more" in said
