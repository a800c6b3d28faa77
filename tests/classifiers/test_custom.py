"""One's own models: by name from a file, and any module or callable in Python."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import timm
import torch
from torch import nn
from torchvision import transforms
from torchvision.models import ResNet50_Weights

import imagenet_hard
from imagenet_hard.base.errors import ClassifierError, UnknownModelError, UsageError, WeightsError
from imagenet_hard.classifiers.custom import DEFAULT_TRANSFORM, from_module
from imagenet_hard.classifiers.registry import load_classifier
from imagenet_hard.classifiers.timm_models import transform_of
from imagenet_hard.classifiers.transform import CallableTransform, Transform, fixed_images

SOURCE = """
import torch
from torch import nn
from imagenet_hard.classifiers.custom import from_module

def tiny(classes=1000):
    torch.manual_seed(0)
    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, classes))

def with_transform():
    return tiny(), {"resize": 40, "crop": 32}

def classifier():
    return from_module(tiny(), {"resize": 40, "crop": 32}, "mine")

def ten():
    return tiny(10)

def fails():
    raise RuntimeError("no licence for this model")

def nothing():
    return None

def wants_more(path):
    return tiny()

built = tiny()
number = 3
"""


@pytest.fixture
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with my_models.py in it, which is the current one."""
    (tmp_path / "my_models.py").write_text(SOURCE)
    (tmp_path / "broken.py").write_text("import not_installed_anywhere\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in ("my_models", "broken"):
        sys.modules.pop(name, None)


def tiny(classes: int = 1000) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, classes))


@pytest.mark.parametrize("name", ["tiny", "with_transform", "built", "classifier"])
def test_each_kind_of_factory_loads(name: str, own_models: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A module, (module, transform), a module that is there already, a Classifier."""
    found = load_classifier(f"my_models:{name}")
    assert found.spec.name == ("mine" if name == "classifier" else f"my_models:{name}")
    assert (found.spec.backend, found.spec.parameters) == ("custom", 13000)
    assert found.module(torch.zeros(2, 3, 32, 32)).shape == (2, 1000)
    if name in ("tiny", "built"):
        assert found.transform == DEFAULT_TRANSFORM
        assert "came without a transform: resize 256, crop 224, bilinear" in caplog.text
    else:
        assert found.transform == Transform(40, (32, 32))
        assert found.spec.input_size == (32, 32)


def test_weights_are_loaded_into_ones_own_module(own_models: Path) -> None:
    """``--weights FILE`` works for a factory as well; a tag does not."""
    module = tiny()
    nn.init.ones_(module[2].weight)  # type: ignore[index]
    torch.save({"model": module.state_dict()}, "ones.pth")
    found = load_classifier("my_models:tiny", weights="ones.pth")
    assert float(found.module.state_dict()["2.weight"].min()) == 1
    assert found.spec.tag == "ones.pth"
    torch.save(tiny(10).state_dict(), "ten.pth")
    with pytest.raises(WeightsError, match="has 10 classes"):
        load_classifier("my_models:tiny", weights="ten.pth")
    with pytest.raises(UsageError, match="is your own model: there is no tag 'V1'"):
        load_classifier("my_models:tiny", pretrained="V1")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_models:tinny", "my_models has no 'tinny': did you mean tiny"),
        ("my_models:fails", r"my_models:fails\(\) failed: RuntimeError: no licence for this model"),
        ("my_models:nothing", r"my_models:nothing\(\) returned NoneType: expected a torch.nn.Module"),
        ("my_models:wants_more", r"my_models:wants_more\(\) failed: TypeError: .*'path'"),
        ("my_models:number", "my_models:number is int: expected a function that returns a model"),
        (
            "my_models:ten",
            r"gave torch.float32 \(1, 10\) for one image, expected float \(1, 1000\): 10 outputs",
        ),
        ("broken:tiny", "importing broken failed: No module named 'not_installed_anywhere'"),
    ],
)
def test_what_is_wrong_with_a_factory_is_said(name: str, message: str, own_models: Path) -> None:
    """The failing step, its error, and what was expected."""
    with pytest.raises(ClassifierError, match=message):
        load_classifier(name)


def test_a_module_that_is_not_there_may_be_a_slip(own_models: Path) -> None:
    """``torchvison:resnet50`` looks like one's own module; the message thinks of both."""
    with pytest.raises(UnknownModelError) as caught:
        load_classifier("torchvison:resnet50")
    assert "there is no module 'torchvison'" in str(caught.value)
    assert "Nearest: torchvision:resnet50" in str(caught.value)


def test_any_callable_is_a_classifier() -> None:
    """A plain function, an output object with logits, and a tuple; the hash covers the module's weights."""
    module = tiny()
    outputs: list[Any] = [
        lambda x: module(x),
        lambda x: SimpleNamespace(logits=module(x)),
        lambda x: {"logits": module(x)},
        lambda x: (module(x), None),
    ]
    batch = torch.rand(2, 3, 8, 8)
    for function in outputs:
        found = from_module(function, name="f")
        assert torch.equal(found.module(batch), module(batch))
        assert (found.spec.weights_sha256, found.spec.parameters) == (None, None)
    wrapped = from_module(WithLogits(module))
    assert torch.equal(wrapped.module(batch), module(batch))
    assert wrapped.spec.name == "WithLogits"
    assert wrapped.spec.parameters == 13000


def test_an_exported_program_is_a_classifier() -> None:
    """It has no mode to be put into, bare or inside a module."""
    module = tiny().eval()
    n = torch.export.Dim("n", min=1)
    program = torch.export.export(module, (torch.rand(2, 3, 224, 224),), dynamic_shapes=({0: n},)).module()
    batch = torch.rand(3, 3, 224, 224)
    for given in (program, nn.Sequential(program, nn.Softmax(1))):
        found = from_module(given, DEFAULT_TRANSFORM)
        assert torch.allclose(found.module(batch).log_softmax(1), module(batch).log_softmax(1), atol=1e-5)
    small = imagenet_hard.load_dataset("sample").take(3)
    found, expected = (imagenet_hard.evaluate(each, small, device="cpu") for each in (program, module))
    assert found.metrics.correct().tolist() == expected.metrics.correct().tolist()


class WithLogits(nn.Module):
    """Gives an output object, as transformers do."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.inner(x))


def test_a_timm_module_brings_its_own_transform() -> None:
    """``pretrained_cfg`` is read; the name is the architecture's."""
    model = timm.create_model("test_vit", num_classes=1000)
    found = from_module(model)
    assert found.transform == transform_of(model.pretrained_cfg)
    assert (found.spec.name, found.spec.input_size) == ("test_vit", (160, 160))
    assert not model.training


def test_transforms_of_every_kind() -> None:
    """torchvision's preset becomes data, a Compose is called, its steps are recorded without addresses."""
    preset = ResNet50_Weights.IMAGENET1K_V2.transforms()
    assert from_module(tiny(), preset).transform == Transform(232, (224, 224))
    compose = transforms.Compose(
        [transforms.Resize((32, 32)), transforms.ToTensor(), transforms.Lambda(double)]
    )
    found = from_module(tiny(), compose)
    assert isinstance(found.transform, CallableTransform)
    image = fixed_images()[0]
    got = found.transform.batch([found.transform.pixels(image)], "cpu")[0]
    assert torch.equal(got, compose(image))
    assert found.spec.transform["steps"][:2] == [repr(compose.transforms[0]), "ToTensor()"]
    assert " at 0x" not in str(found.spec.transform)
    own = from_module(tiny(), double_image)
    assert own.spec.transform == {"kind": "callable", "name": "double_image", "steps": ["double_image"]}


def double(x: torch.Tensor) -> torch.Tensor:
    return 2 * x


def double_image(image: Any) -> torch.Tensor:
    return double(transforms.functional.to_tensor(image.resize((16, 16))))


@pytest.mark.parametrize(
    ("model", "transform", "message"),
    [
        (
            tiny(365),
            None,
            r"gave torch.float32 \(1, 365\) for one image.*365 outputs are not the 1000 classes",
        ),
        (lambda x: x.argmax(1), None, r"gave torch.int64 \(1, 224, 224\)"),
        (lambda x: "cat", None, "gave str: expected a tensor of logits"),
        (
            nn.Linear(7, 1000),
            None,
            r"Linear failed on a batch of shape \(1, 3, 224, 224\) \(one black image\)",
        ),
        ("resnet", None, "got str: expected a torch.nn.Module or a function of a batch"),
        (tiny(), 3, "the transform of Sequential is int: expected a function of a PIL image"),
        (tiny(), lambda im: im, r"the transform gave Image"),
    ],
)
def test_what_is_no_classifier_is_found_at_once(model: Any, transform: Any, message: str) -> None:
    """One black image shows it."""
    with pytest.raises((ClassifierError, UsageError), match=message):
        from_module(model, transform)
