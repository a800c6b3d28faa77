"""Names to loaders: who gets a bare name, and what is said about a wrong one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imagenet_hard.base.errors import UnknownModelError, UsageError, WeightsError
from imagenet_hard.classifiers import backends
from imagenet_hard.classifiers.backends import LoadOptions
from imagenet_hard.classifiers.registry import load_classifier

CLIP_TAG = "laion400m_s13b_b51k"  # open_clip has a convnext_base, as torchvision and timm do


class Called(Exception):
    """Raised by the recording loaders below."""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, LoadOptions]]:
    """Every backend's loader records what it is asked for, and stops."""
    seen: list[tuple[str, str, LoadOptions]] = []

    def recorder(prefix: str) -> Any:
        def load(name: str, options: LoadOptions) -> Any:
            seen.append((prefix, name, options))
            raise Called

        return load

    records = {prefix: replace(each, load=recorder(prefix)) for prefix, each in backends.own().items()}
    monkeypatch.setattr(backends, "_own", records.__getitem__)
    return seen


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("vit_b_32", {}, ("torchvision", "vit_b_32", None, None)),
        ("resnet50", {}, ("torchvision", "resnet50", None, None)),
        ("resnet50", {"pretrained": "a1_in1k"}, ("timm", "resnet50", "a1_in1k", None)),
        ("resnet50", {"weights": "IMAGENET1K_V2"}, ("torchvision", "resnet50", "IMAGENET1K_V2", None)),
        ("resnet50.tv_in1k", {}, ("timm", "resnet50.tv_in1k", None, None)),
        ("resnet50d", {}, ("timm", "resnet50d", None, None)),
        ("ViT-L-14", {"pretrained": "openai"}, ("open_clip", "ViT-L-14", "openai", None)),
        ("ViT-L-14/openai", {}, ("open_clip", "ViT-L-14/openai", None, None)),
        ("RN50", {"pretrained": "cc12m"}, ("open_clip", "RN50", "cc12m", None)),
        ("convnext_base", {"pretrained": CLIP_TAG}, ("open_clip", "convnext_base", CLIP_TAG, None)),
        ("torchvision:resnet50", {}, ("torchvision", "resnet50", None, None)),
        ("timm:resnet50.a1_in1k", {}, ("timm", "resnet50.a1_in1k", None, None)),
        ("hf-hub:timm/resnet50.a1_in1k", {}, ("hf-hub", "timm/resnet50.a1_in1k", None, None)),
        ("open_clip:ViT-B-32/openai", {}, ("open_clip", "ViT-B-32/openai", None, None)),
        ("clip:ViT-L/14@336px", {}, ("clip", "ViT-L/14@336px", None, None)),
        ("bundled:efficientnet_lite0", {}, ("bundled", "efficientnet_lite0", None, None)),
    ],
)  # fmt: skip
def test_a_name_finds_its_loader(
    name: str, options: dict[str, str], expected: tuple[Any, ...], calls: list[tuple[str, str, LoadOptions]]
) -> None:
    """Bare names: torchvision, then timm, then open_clip, unless the tag says otherwise."""
    with pytest.raises(Called):
        load_classifier(name, **options)  # type: ignore[arg-type]
    ((prefix, rest, got),) = calls
    assert (prefix, rest, got.tag, got.file) == expected


def test_a_name_of_two_backends_is_noted(calls: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Once where nothing decides; not where the tag does, or one backend alone has it."""
    for name, options in (
        ("vgg16", {}),
        ("resnet50", {"pretrained": "a1_in1k"}),
        ("vit_b_32", {}),
        ("resnet50d", {}),
    ):
        with pytest.raises(Called):
            load_classifier(name, **options)  # type: ignore[arg-type]
    assert [r.message for r in caplog.records] == [
        "vgg16 is torchvision's; with other weights there is timm:vgg16"
    ]


def test_a_file_and_a_tag_go_together(calls: Any, tmp_path: Path) -> None:
    """``weights=FILE, pretrained=TAG``: the tag says what the file was trained as; two tags are refused."""
    (tmp_path / "w.pth").write_bytes(b"x")
    with pytest.raises(Called):
        load_classifier("resnet50", weights=str(tmp_path / "w.pth"), pretrained="IMAGENET1K_V2")
    assert (calls[0][2].tag, calls[0][2].file) == ("IMAGENET1K_V2", str(tmp_path / "w.pth"))
    with pytest.raises(UsageError, match="weights 'a' and pretrained 'b' are two tags: give one"):
        load_classifier("resnet50", weights="a", pretrained="b")
    with pytest.raises(WeightsError, match=r"no such weights file: missing\.pth"):
        load_classifier("resnet50", weights="missing.pth")


@pytest.mark.parametrize(
    "name", ["", " resnet50", "timm:", "resnet5O", "a:b:c", "clip:ViT-L/15", "open_clip:ViT-L-15/x"]
)
def test_wrong_names_are_usage_errors(name: str) -> None:
    """Exit code 2, and something to go on."""
    with pytest.raises(UnknownModelError) as caught:
        load_classifier(name)
    assert caught.value.exit_code == 2
    assert len(str(caught.value)) > 30


def test_arguments_that_belong_elsewhere_are_refused() -> None:
    """Templates on a torchvision model, a tag on what has none, two tags for one open_clip model."""
    with pytest.raises(
        UsageError, match="is a bundled model with a head of its own: templates and class names"
    ):
        load_classifier("efficientnet_lite0", templates="openai-80")
    with pytest.raises(UsageError, match=r"one set of weights and no tag 'x'.*hf-hub:ORG/NAME\[@REVISION\]"):
        load_classifier("hf-hub:a/b", pretrained="x")
    with pytest.raises(UsageError, match="names the weights 'openai', but 'laion2b' was asked for as well"):
        load_classifier("open_clip:ViT-B-32/openai", pretrained="laion2b")
    with pytest.raises(UsageError, match="clip:ViT-B/32 has OpenAI's weights, not 'laion2b'"):
        load_classifier("clip:ViT-B/32", pretrained="laion2b")


def test_every_prefix_stands_in_the_help() -> None:
    """What an unknown name is told covers all of them."""
    for prefix in backends.OWN:
        assert f"{prefix}:" in backends.usage()
