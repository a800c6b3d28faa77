"""Which models there are, and how fast that is known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from imagenet_hard.base.errors import UsageError
from imagenet_hard.classifiers import backends, listing
from imagenet_hard.classifiers.listing import list_models, unknown_model


def test_all_backends_are_listed() -> None:
    """Counts of the smallest supported versions, and one model of each looked at closely."""
    by_backend = {b: list_models(backend=b) for b in ("bundled", "torchvision", "timm", "open_clip")}
    assert len(by_backend["bundled"]) == 3
    assert len(by_backend["torchvision"]) >= 80
    assert len(by_backend["timm"]) > 500
    assert len(by_backend["open_clip"]) > 50
    (resnet,) = [m for m in by_backend["timm"] if m.name == "resnet50"]
    assert resnet.tags[0] == "a1_in1k"
    assert resnet.input_size == (288, 288)
    (clip,) = [m for m in by_backend["open_clip"] if m.name == "ViT-L-14-336"]
    assert "openai" in clip.tags
    assert clip.input_size == (336, 336)
    (vit,) = [m for m in by_backend["torchvision"] if m.name == "vit_b_16"]
    assert vit.tags == ("IMAGENET1K_V1", "IMAGENET1K_SWAG_E2E_V1", "IMAGENET1K_SWAG_LINEAR_V1")
    assert not [m for m in by_backend["torchvision"] if "quantized" in m.name or "fcn" in m.name]
    assert list_models() == [m for models in by_backend.values() for m in models]


def test_patterns_are_globs_or_parts_of_names_and_tags() -> None:
    """Case does not matter; a pattern that finds tags keeps those."""
    assert {m.backend for m in list_models("convnext_base")} == {"torchvision", "timm", "open_clip"}
    assert {m.name for m in list_models("VIT_B_*")} == {"vit_b_16", "vit_b_32"}
    assert [m.spelled() for m in list_models("torchvision:resnet1?")] == ["torchvision:resnet18"]
    dfn = list_models("*dfn2b*", backend="open_clip")
    assert dfn
    assert all("dfn2b" in tag for m in dfn for tag in m.tags)
    (one,) = list_models("timm:resnet50.a1_in1k")
    assert one.tags == ("a1_in1k",)
    assert list_models("no such model") == []
    with pytest.raises(UsageError, match="unknown backend 'tv': expected one of bundled, torchvision, timm"):
        list_models(backend="tv")


def test_the_second_call_imports_no_backend_and_takes_under_a_second() -> None:
    """From the cached JSON, in a process of its own."""
    list_models()
    code = (
        "import sys\n"
        "from imagenet_hard.classifiers.listing import list_models\n"
        "print(len(list_models('resnet')))\n"
        "assert not {'torch', 'timm', 'torchvision', 'open_clip'} & set(sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=root,
        env=dict(os.environ),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50
    after = os.times()  # of the processor: the machine may be busy
    assert after.children_user + after.children_system - before.children_user - before.children_system < 5


def test_a_damaged_or_stale_cache_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a file is no reason to fail, and another version has a file of its own."""
    monkeypatch.setenv("IMAGENET_HARD_CACHE", str(tmp_path / "fresh"))
    monkeypatch.setattr(backends, "OWN", {"bundled": backends.OWN["bundled"]})
    first = list_models()
    (path,) = (tmp_path / "fresh").iterdir()
    for damage in ('[["bundled"', '[["bundled"]]', "3"):
        path.write_text(damage)
        assert list_models() == first
        assert len(json.loads(path.read_text())) == 3
    monkeypatch.setattr(listing, "version", lambda package: "99")
    list_models()
    assert len(list((tmp_path / "fresh").iterdir())) == 2


def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file stands where the folder should be, as on a read-only home."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("IMAGENET_HARD_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(backends, "OWN", {"bundled": backends.OWN["bundled"]})
    assert len(list_models()) == 3


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("resnet5O", "torchvision:resnet50, timm:resnet50"),
        ("ViT-L-14-33", "open_clip:ViT-L-14-336/openai"),
        ("efficientnet_lite3", "bundled:efficientnet_lite"),
        ("timm:vit_base_patch16_225.augreg_in1k", "timm:vit_base_patch16_224"),
        ("ViT-L-15/openai", "open_clip:ViT-L-14/openai"),
    ],
)
def test_unknown_names_find_the_nearest_of_all_backends(name: str, nearest: str) -> None:
    """One wrong letter."""
    message = unknown_model(name)
    assert nearest in message
    assert "Names are written bundled:NAME, torchvision:NAME, timm:NAME[.TAG], open_clip:ARCH/TAG" in message


def test_a_name_like_nothing_says_so() -> None:
    """And a name with a slash may be one on the Hub."""
    assert "Nothing has a similar name" in unknown_model("zzzzzz")
    assert "For a model on the Hub write hf-hub:acme/qqqqqq." in unknown_model("acme/qqqqqq")
