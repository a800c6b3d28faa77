"""torchvision's classifiers: transforms bit for bit, weights as torchvision itself loads them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import get_model, get_model_weights, list_models

from imagenet_hard.base.errors import ClassifierError, UnknownModelError, WeightsError
from imagenet_hard.classifiers import torchvision_models
from imagenet_hard.classifiers.registry import load_classifier
from imagenet_hard.classifiers.torchvision_models import from_preset
from imagenet_hard.classifiers.transform import fixed_images


@pytest.fixture
def torch_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch.hub cache; its checkpoints folder."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def cached(name: str, folder: Path, tag: str = "IMAGENET1K_V1", **options: Any) -> Any:
    """Random weights where torch.hub keeps the published ones of ``name``; their enum member."""
    member = get_model_weights(name)[tag]
    torch.manual_seed(0)
    model = get_model(name, weights=None, **options)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d) and module.running_var is not None:
                module.running_var.uniform_(0.5, 2)
    state = model.state_dict()
    if name.startswith("densenet"):  # published before batch counters, in an older spelling
        state = {k: v for k, v in state.items() if "num_batches_tracked" not in k}
        for key in list(state):
            for old in ("norm1.", "conv1.", "norm2.", "conv2."):
                if f".{old}" in key and "denselayer" in key:
                    state[key.replace(old, f"{old[:4]}.{old[4:]}")] = state.pop(key)
    torch.save(state, folder / Path(member.url).name)
    return member


def all_presets() -> list[Any]:
    """One weights member for each different evaluation transform."""
    found: dict[str, Any] = {}
    for name in list_models():
        for member in torchvision_models._classifiers(name):
            found.setdefault(repr(member.transforms()), member)
    return list(found.values())


def test_every_preset_is_reproduced_bit_for_bit() -> None:
    """On large, small, narrow and one-pixel images, for each different preset of torchvision."""
    images = [*fixed_images(), Image.new("RGB", (1, 1), (9, 200, 30)), fixed_images()[0].resize((37, 600))]
    presets = all_presets()
    assert len(presets) > 15
    for member in presets:
        ours, theirs = from_preset(member.transforms()), member.transforms()
        for image in images:
            got = ours.batch([ours.pixels(image)], "cpu")[0]
            assert torch.equal(got, theirs(image)), (member, image.size)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("squeezenet1_1", {}),
        ("mnasnet0_5", {}),
        ("densenet121", {}),
        ("googlenet", {"init_weights": False, "aux_logits": True}),
    ],
)
def test_published_weights_load_as_torchvision_loads_them(name: str, options: Any, torch_home: Path) -> None:
    """Same logits as ``get_model(weights=...)`` on the same cached file, older key names included."""
    member = cached(name, torch_home, **options)
    ours = load_classifier(f"torchvision:{name}")
    theirs = get_model(name, weights=member).eval()
    batch = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(ours.module(batch), theirs(batch))
    assert not ours.module.training
    assert (ours.spec.backend, ours.spec.name, ours.spec.tag) == ("torchvision", name, "IMAGENET1K_V1")
    assert ours.spec.input_size == (224, 224)
    assert ours.spec.parameters == sum(p.numel() for p in theirs.parameters()) == member.meta["num_params"]
    assert ours.spec.transform == ours.transform.describe()


def test_a_file_and_its_safetensors_twin_are_one_model(tmp_path: Path) -> None:
    """The weights hash does not depend on the file's format."""
    # MNASNet reads its version from the file, and safetensors do not keep it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        state = get_model("mnasnet0_5", weights=None).state_dict()
    torch.save({"model": state}, tmp_path / "a.pth")
    save_file(state, tmp_path / "b.safetensors")
    specs = [
        load_classifier("mnasnet0_5", weights=str(tmp_path / f)).spec for f in ("a.pth", "b.safetensors")
    ]
    assert specs[0].weights_sha256 == specs[1].weights_sha256
    assert [s.tag for s in specs] == ["a.pth", "b.safetensors"]


def test_tags_choose_the_transform_and_default_is_the_papers() -> None:
    """resnet50: V1 (the paper's) by default, V2 by DEFAULT; a model without V1 gets its first."""
    members = torchvision_models._members("resnet50")
    choose = torchvision_models._choose
    assert choose("resnet50", members, None).name == "IMAGENET1K_V1"
    assert choose("resnet50", members, "DEFAULT").name == "IMAGENET1K_V2"
    assert choose("resnet50", members, "ResNet50_Weights.IMAGENET1K_V2").name == "IMAGENET1K_V2"
    assert choose("vit_h_14", torchvision_models._members("vit_h_14"), None).name == "IMAGENET1K_SWAG_E2E_V1"
    with pytest.raises(
        WeightsError, match="no weights 'V3': it has IMAGENET1K_V1, IMAGENET1K_V2 and DEFAULT"
    ):
        choose("resnet50", members, "V3")


def test_architecture_options_follow_the_weights() -> None:
    """SWAG end-to-end weights make a 384-pixel ViT, V1 a 224-pixel one."""
    members = {m.name: m for m in torchvision_models._members("vit_b_16")}
    for tag, size in (
        ("IMAGENET1K_V1", 224),
        ("IMAGENET1K_SWAG_LINEAR_V1", 224),
        ("IMAGENET1K_SWAG_E2E_V1", 384),
    ):
        with torch.device("meta"):
            assert torchvision_models._build("vit_b_16", members[tag]).image_size == size
    assert from_preset(members["IMAGENET1K_SWAG_E2E_V1"].transforms()).interpolation == "bicubic"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fcn_resnet50", "not an image classifier of the 1000 ImageNet classes"),
        ("fasterrcnn_resnet50_fpn", "not an image classifier"),
        ("r3d_18", "not an image classifier"),
        ("raft_small", "not an image classifier"),
        ("quantized_resnet18", "quantised model.*use torchvision:resnet18"),
    ],
)
def test_other_models_are_refused(name: str, message: str) -> None:
    """Detectors, segmentation, video, flow and quantised models say what they are."""
    with pytest.raises(ClassifierError, match=message):
        load_classifier(f"torchvision:{name}")


def test_an_unknown_name_gives_the_nearest() -> None:
    """A slip of the keyboard finds the model."""
    with pytest.raises(UnknownModelError, match=r"'vit_b_23' in torchvision\. Nearest: torchvision:vit_b_32"):
        load_classifier("torchvision:vit_b_23")


def test_no_network_says_what_to_download_and_where_to_put_it(
    torch_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The URL, the path of torch.hub's cache, and --weights."""
    member = get_model_weights("resnet18").IMAGENET1K_V1
    monkeypatch.setattr(member.value, "url", "http://127.0.0.1:9/models/resnet18-f37072fd.pth")
    with pytest.raises(WeightsError) as caught:
        load_classifier("torchvision:resnet18")
    message = str(caught.value)
    assert (
        "the weights of resnet18 are not on this machine and could not be downloaded: [Errno 111]" in message
    )
    assert (
        f"Download {member.url} to {torch_home / 'resnet18-f37072fd.pth'}, or pass --weights FILE" in message
    )


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    """A squeezenet file is no resnet18, and the message says so."""
    torch.save(get_model("squeezenet1_1", weights=None).state_dict(), tmp_path / "squeeze.pth")
    with pytest.raises(WeightsError, match="another architecture than resnet18: 102 missing .*conv1.weight"):
        load_classifier("torchvision:resnet18", weights=str(tmp_path / "squeeze.pth"))
