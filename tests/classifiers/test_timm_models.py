"""timm's classifiers: transforms bit for bit, heads of other classes refused, files of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config

from imagenet_hard.base.errors import ClassifierError, UnknownModelError, UsageError, WeightsError
from imagenet_hard.classifiers import timm_models
from imagenet_hard.classifiers.registry import load_classifier
from imagenet_hard.classifiers.timm_models import input_size, transform_of
from imagenet_hard.classifiers.transform import CallableTransform, Transform, fixed_images


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("resnet50.a1_in1k", Transform),  # test size 288, crop 1.0
        ("resnet18.tv_in1k", Transform),  # bilinear
        ("tf_efficientnet_lite1.in1k", Transform),  # crop 0.882
        ("eva02_base_patch14_448.mim_in22k_ft_in22k_in1k", Transform),  # squash
        ("vit_large_patch14_clip_336.openai_ft_in12k_in1k", Transform),
        ("tf_efficientnet_l2.ns_jft_in1k", Transform),  # 800 px
        ("deepseek_vit_412m.deepseek_v4_1_flash", CallableTransform),  # border
        ("vit_base_patch16_sapiens2.fb", Transform),  # squash, 1024 x 768
    ],
)
def test_the_transform_is_timms_bit_for_bit(name: str, kind: type) -> None:
    """On large, small and narrow images, by ``create_transform`` with the test-time input size."""
    config = timm.get_pretrained_cfg(name)
    if config is None:
        pytest.skip(f"this timm has no {name}")
    ours = transform_of(config.to_dict())
    assert type(ours) is kind
    theirs = create_transform(**resolve_data_config(pretrained_cfg=config.to_dict(), use_test_size=True))
    for image in (
        *fixed_images(),
        Image.new("RGB", (1, 1), (200, 10, 30)),
        fixed_images()[0].resize((40, 333)),
    ):
        assert torch.equal(ours.batch([ours.pixels(image)], "cpu")[0], theirs(image)), image.size


def test_what_is_not_of_the_standard_shape_falls_back() -> None:
    """A wide input keeps the aspect ratio by timm's own code, and says so as data."""
    config = {"input_size": (3, 160, 240), "crop_pct": 0.9, "interpolation": "bicubic"}
    ours = transform_of(config)
    theirs = create_transform(**resolve_data_config(pretrained_cfg=config))
    for image in fixed_images():
        assert torch.equal(ours.batch([ours.pixels(image)], "cpu")[0], theirs(image))
    assert ours.describe()["name"] == "timm.data.create_transform"
    assert ours.describe()["input_size"] == [3, 160, 240]
    with pytest.raises(ClassifierError, match="the model takes 1 channels: expected 3"):
        transform_of({"input_size": (1, 32, 32)})


def test_the_test_size_is_used_as_in_the_published_numbers() -> None:
    """timm's resnet50 is evaluated at 288 pixels, whole."""
    transform = transform_of(timm.get_pretrained_cfg("resnet50.a1_in1k").to_dict())
    assert isinstance(transform, Transform)
    assert (transform.resize, transform.crop, transform.interpolation) == (288, (288, 288), "bicubic")


def test_every_listed_weight_has_a_transform() -> None:
    """All 1300 configurations with the 1000 classes are of the standard shape or fall back."""
    n = 0
    for arch, tags, _ in timm_models.names():
        for tag in tags:
            config = timm.get_pretrained_cfg(f"{arch}.{tag}" if tag else arch)
            assert config is not None
            transform = transform_of(config.to_dict())
            n += 1
            if isinstance(transform, Transform):
                assert transform.crop == input_size(config)
    assert n > 1000


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of timm's test_vit, as its training script saves them."""
    torch.manual_seed(0)
    model = timm.create_model("test_vit", num_classes=1000)
    path = tmp_path_factory.mktemp("timm") / "best.pth.tar"
    state = {f"module.{k}": v for k, v in model.state_dict().items()}
    torch.save({"state_dict": state, "arch": "test_vit", "epoch": 3}, path)
    return path


def test_a_file_is_loaded_and_described(tiny: Path) -> None:
    """Same logits as timm's own ``load_checkpoint``, and a full spec."""
    ours = load_classifier("timm:test_vit", weights=str(tiny))
    theirs = timm.create_model("test_vit", num_classes=1000)
    timm.models.load_checkpoint(theirs, str(tiny))
    batch = torch.rand(2, 3, 160, 160)
    with torch.no_grad():
        assert torch.equal(ours.module(batch), theirs.eval()(batch))
    spec = ours.spec
    assert (spec.backend, spec.name, spec.tag, spec.input_size) == (
        "timm",
        "test_vit",
        "best.pth.tar",
        (160, 160),
    )
    assert spec.parameters == sum(p.numel() for p in theirs.parameters())
    assert len(spec.weights_sha256 or "") == len(spec.transform_sha256 or "") == 64
    assert load_classifier("test_vit.r160_in1k", weights=str(tiny)).spec.weights_sha256 == spec.weights_sha256


def test_original_layouts_go_through_timms_own_key_filter(tmp_path: Path) -> None:
    """A ConvNeXt file in the original repository's names loads, as timm would remap it."""
    model = timm.create_model("test_convnext", num_classes=1000)
    renamed = {
        "stem.0": "downsample_layers.0.0", "stem.1": "downsample_layers.0.1",
        "head.norm": "norm", "head.fc": "head",
        "mlp.fc1": "pwconv1", "mlp.fc2": "pwconv2", "conv_dw": "dwconv",
    }  # fmt: skip
    state = {}
    for key, value in model.state_dict().items():
        for stage in range(1, 4):
            for i in range(2):
                key = key.replace(f"stages.{stage}.downsample.{i}.", f"downsample_layers.{stage}.{i}.")
        key = key.replace(".blocks.", ".")
        for ours, theirs in renamed.items():
            key = key.replace(ours, theirs)
        state[key] = value
    assert state.keys() != model.state_dict().keys()
    torch.save({"model": state}, tmp_path / "convnext.pth")
    loaded = load_classifier("timm:test_convnext", weights=str(tmp_path / "convnext.pth")).module
    for key, value in loaded.state_dict().items():
        assert torch.equal(value, model.state_dict()[key]), key


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vit_base_patch16_224.augreg_in21k", "gives 21843 outputs: expected the 1000 classes"),
        ("convnext_nano.in12k", "gives 11821 outputs"),
        ("vit_small_patch14_dinov2.lvd142m", "gives features and no classes"),
        ("vit_base_patch32_clip_224.openai", "gives 512 outputs"),
    ],
)
def test_heads_of_other_classes_are_refused(name: str, message: str) -> None:
    """The message says how many there are, before anything is downloaded."""
    with pytest.raises(ClassifierError, match=message):
        load_classifier(f"timm:{name}")


def test_a_default_tag_without_the_classes_is_passed_over() -> None:
    """Without a tag the first one with the 1000 classes is taken."""
    for arch, tags, _ in timm_models.names():
        assert timm_models._choose(arch, None, required=True) == tags[0]


def test_names_and_tags_that_are_not_there() -> None:
    """Unknown architectures and tags list what there is; two tags are one too many."""
    with pytest.raises(UnknownModelError, match=r"'resnet5O' in timm\. Nearest: timm:resnet50"):
        load_classifier("timm:resnet5O")
    with pytest.raises(
        WeightsError, match=r"timm:resnet50 has no weights 'a9_in1k' in timm .*it has a1_in1k, "
    ):
        load_classifier("timm:resnet50.a9_in1k")
    with pytest.raises(WeightsError, match=r"names the weights 'a1_in1k', but 'a2_in1k' was asked for"):
        load_classifier("timm:resnet50.a1_in1k", pretrained="a2_in1k")
    with pytest.raises(UsageError, match="two tags"):
        load_classifier("timm:resnet50", pretrained="a2_in1k", weights="a1_in1k")
    with pytest.raises(
        WeightsError, match="has no published weights with the 1000 ImageNet classes: pass --weights"
    ):
        load_classifier("timm:vit_small_patch14_dinov2")


def test_an_old_name_is_followed(caplog: pytest.LogCaptureFixture) -> None:
    """A deprecated name gives today's, and says so."""
    assert timm_models._resolve("convnext_tiny_in22ft1k", None) == ("convnext_tiny", "fb_in22k_ft_in1k")
    assert "is called timm:convnext_tiny.fb_in22k_ft_in1k now" in caplog.text
    assert timm_models.tags("convnext_tiny_in22ft1k")


def test_offline_says_what_to_download_and_where_to_put_it() -> None:
    """HF_HUB_OFFLINE is honoured at once: repository, file, cache folder and --weights are named."""
    with pytest.raises(WeightsError) as caught:
        load_classifier("timm:resnet10t.c3_in1k")
    message = str(caught.value)
    assert message.startswith(
        "the weights of timm/resnet10t.c3_in1k are not on this machine and HF_HUB_OFFLINE is set"
    )
    assert (
        "run `hf download timm/resnet10t.c3_in1k` and copy models--timm--resnet10t.c3_in1k into " in message
    )
    assert "/timm/resnet10t.c3_in1k/resolve/main/model.safetensors and pass --weights FILE" in message
