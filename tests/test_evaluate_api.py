"""`imagenet_hard.evaluate` with one's own modules and callables."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import imagenet_hard
from imagenet_hard.base.errors import ClassifierError, ImageNetHardError, UsageError
from imagenet_hard.classifiers.custom import from_module

pytest.importorskip("foolbox", reason="needs the extra: pip install '.[demo]'")


class Constant(nn.Module):
    """Always the class ``k``."""

    def __init__(self, k: int, classes: int = 1000) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.arange(classes, dtype=torch.float32).eq(k).float() * 9)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(x), -1)


class FailsOnMany(nn.Module):
    """Runs on one image, as it is tried with, and on no batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > 1:
            raise ValueError("too many")
        return x


def test_any_module_in_three_lines():
    """A module that always says k is right on the images of class k."""
    benchmark = imagenet_hard.load_dataset("sample")
    k = benchmark.labels[0][0]
    result = imagenet_hard.evaluate(Constant(k), benchmark, device="cpu")
    assert result.metrics.n_correct == sum(k in labels for labels in benchmark.labels)
    assert result.metrics.n_total == 20
    assert result.model.backend == "custom"


def test_a_plain_callable_with_its_own_transform():
    """No nn.Module is needed, and the transform is recorded as one's own."""
    from torchvision.transforms import Compose, Resize, ToTensor

    def predict(x: torch.Tensor) -> torch.Tensor:
        assert x.shape[1:] == (3, 32, 32)
        return torch.zeros(len(x), 1000)

    transform = Compose([Resize((32, 32)), ToTensor()])
    result = imagenet_hard.evaluate(predict, "sample", transform=transform, device="cpu", limit=3)
    assert result.metrics.n_total == 3
    assert result.protocol.transform == "custom"
    assert result.metrics.near_ties.n == 3


def test_images_that_a_zero_shot_model_cannot_solve_are_in_the_result():
    """Where a class has the name of an earlier one, and so its head: the images with no other label."""
    from imagenet_hard.classifiers.zero_shot.module import ZeroShotModule

    benchmark = imagenet_hard.load_dataset("sample")
    head = torch.nn.functional.normalize(torch.randn(12, 1000), dim=0)
    k = benchmark.labels[0][0]
    head[:, k] = head[:, 0]
    visual = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
    result = imagenet_hard.evaluate(ZeroShotModule(visual, head), benchmark, device="cpu")
    n = sum(set(labels) == {k} for labels in benchmark.labels)
    (said,) = [each for each in result.protocol.warnings if "cannot be top-1 right" in each]
    assert said.startswith(f"{n} of 20 images")
    assert f"{k} (of 0)" in said


def test_wrong_number_of_classes():
    """A module of ten classes is refused with both numbers."""
    with pytest.raises(ClassifierError, match="1000"):
        imagenet_hard.evaluate(Constant(1, classes=10), "sample", device="cpu")


def test_no_gpu_here():
    """A GPU that was asked for and isn't there is an error at once."""
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ImageNetHardError, match="sees 0 CUDA devices"):
        imagenet_hard.evaluate(Constant(1), "sample", device="cuda")


def test_the_fingerprint_is_the_benchmarks_own():
    """What the run saw is what the benchmark is: no image was lost or read twice."""
    benchmark = imagenet_hard.load_dataset("sample")
    result = imagenet_hard.evaluate(Constant(1), benchmark, device="cpu")
    assert result.benchmark.fingerprint == benchmark.fingerprint()


def test_a_classifier_is_scored_under_the_transform_that_is_recorded():
    """What the result says of the transform is what was done."""
    classifier = imagenet_hard.load_classifier("efficientnet_lite0")
    native = imagenet_hard.evaluate(classifier, "sample", device="cpu", limit=1)
    paper = imagenet_hard.evaluate(classifier, "sample", device="cpu", limit=1, transform="paper")
    assert paper.model.transform["interpolation"] == "bilinear"
    assert paper.model.transform_sha256 != native.model.transform_sha256
    module = imagenet_hard.evaluate(Constant(1), "sample", device="cpu", limit=1, transform="paper")
    assert (module.protocol.transform, module.model.transform["rgb"]) == ("paper", "last")


def test_two_functions_of_one_name_never_share_a_result(tmp_path):
    """The weights of a function can't be seen; what it answers can."""

    def make(k):
        def predict(x):
            logits = torch.zeros(len(x), 1000)
            logits[:, k] = 1
            return logits

        return predict

    first, second, again = (
        imagenet_hard.evaluate(make(k), "sample", device="cpu", out=tmp_path) for k in (609, 7, 609)
    )
    assert first.metrics.n_correct > second.metrics.n_correct
    assert again == first
    assert len(list(tmp_path.rglob("*.json"))) == 2


def test_the_callers_module_comes_back_as_it_was():
    """A model in the middle of its training stays in training mode, layer by layer."""
    model = nn.Sequential(nn.Dropout(), Constant(1))
    model.train()
    model[1].eval()
    imagenet_hard.evaluate(model, "sample", device="cpu", limit=3)
    assert [m.training for m in model.modules()] == [True, True, False]


@pytest.mark.parametrize("way", ["a module", "a classifier", "a failure"])
def test_weights_lie_in_memory_as_before(way):
    """Strides, objects and flags, also of a classifier's module that the caller holds, or after a failure."""
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1000))
    model[3].weight.requires_grad_(False)
    before = [(id(p), p.stride(), p.requires_grad, p.sum().item()) for p in model.parameters()]
    if way == "a failure":
        model.append(FailsOnMany())
        with pytest.raises(ClassifierError, match="too many"):
            imagenet_hard.evaluate(model, "sample", device="cpu", transform="paper")
    else:
        given = from_module(model) if way == "a classifier" else model
        imagenet_hard.evaluate(given, "sample", device="cpu", limit=3)
    assert [(id(p), p.stride(), p.requires_grad, p.sum().item()) for p in model.parameters()] == before
    torch.nn.utils.parameters_to_vector(model.parameters())  # it wants them contiguous


def test_a_module_of_a_fixed_size_with_a_mapping():
    """The transform that is given is the one that it is tried with."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 1000))
    result = imagenet_hard.evaluate(
        model, "sample", device="cpu", limit=3, transform={"resize": 40, "crop": 32}
    )
    assert result.model.input_size == (32, 32)


def test_arguments_that_would_be_ignored_are_refused():
    """Nothing that was asked for is dropped in silence."""
    benchmark = imagenet_hard.load_dataset("sample")
    with pytest.raises(UsageError, match="revision, exif: only with a data set's name"):
        imagenet_hard.evaluate(Constant(1), benchmark, revision="main", exif=True, device="cpu")
    with pytest.raises(UsageError, match="weights: only with a model's name"):
        imagenet_hard.evaluate(Constant(1), benchmark, weights="x.pth", device="cpu")


def test_data_sets_of_other_libraries_are_scored_as_they_are(tmp_path):
    """An ImageFolder numbers its two classes 0 and 1; the names say which they are. A list has no files."""
    from torchvision.datasets import ImageFolder

    from imagenet_hard.imagenet.classes import wnids

    sample = list(imagenet_hard.load_dataset("sample"))
    for example in sample[:6]:
        folder = tmp_path / "val" / wnids()[example.labels[0]]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / example.id).write_bytes(example.image)
    k = sample[3].labels[0]
    from_folder = imagenet_hard.evaluate(Constant(k), tmp_path / "val", device="cpu")
    from_object = imagenet_hard.evaluate(Constant(k), ImageFolder(str(tmp_path / "val")), device="cpu")
    assert from_object.benchmark == from_folder.benchmark
    assert from_object.metrics == from_folder.metrics
    from_list = imagenet_hard.evaluate(
        Constant(k), [(e.image, e.labels[0]) for e in sample[:6]], device="cpu"
    )
    assert from_list.metrics.n_correct == from_folder.metrics.n_correct >= 1
    assert from_list.benchmark.source == "object"
    with pytest.raises(UsageError, match="a NoneType cannot be scored: expected a data set's name"):
        imagenet_hard.evaluate(Constant(k), None, device="cpu")


def test_a_part_is_asked_for_by_ids_or_drawn():
    """The ids are the benchmark's own; the same seed draws the same images."""
    ids = list(imagenet_hard.load_dataset("sample").ids[:3])
    some = imagenet_hard.evaluate(Constant(1), "sample", ids=ids, device="cpu")
    assert (some.metrics.n_total, some.benchmark.selection.kind) == (3, "ids")
    drawn = [imagenet_hard.evaluate(Constant(1), "sample", sample=5, seed=2, device="cpu") for _ in range(2)]
    assert drawn[0].benchmark == drawn[1].benchmark
    assert drawn[0].benchmark.selection.seed == 2
