"""Heads on disk: found again by what they follow from, never trusted when damaged, never in the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from imagenet_hard.classifiers.zero_shot.head import cached_head, head_key, head_sha256
from tests.classifiers.small_clip import CONFIGS, small_model

HEAD = torch.randn(16, 10, generator=torch.Generator().manual_seed(0))


class Builder:
    """Counts how often a head was built."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Tensor:
        self.calls += 1
        return HEAD.clone()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("IMAGENET_HARD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "heads"


def test_a_head_is_built_once(folder: Path) -> None:
    """The second time it comes from the disk, bit for bit; nothing else is left in the folder."""
    build = Builder()
    assert torch.equal(cached_head("a", build), HEAD)
    assert torch.equal(cached_head("a", build), HEAD)
    assert build.calls == 1
    assert [p.name for p in folder.iterdir()] == ["a.safetensors"]
    cached_head("b", build)
    assert build.calls == 2


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_built_again(folder: Path, data: st.DataObject) -> None:
    """Cut anywhere, or one byte changed anywhere: the head is right, and the file is whole again."""
    build = Builder()
    cached_head("a", build)
    path = folder / "a.safetensors"
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(data.draw(st.sampled_from([whole[:place], bytes(changed)])))
    assert torch.equal(cached_head("a", build), HEAD)
    assert torch.equal(cached_head("a", build), HEAD)


def test_what_is_wrong_with_a_file_is_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A cut file, a changed value, and another tool's file under the name."""
    from safetensors.torch import save_file

    build = Builder()
    cached_head("a", build)
    path = folder / "a.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    cached_head("a", build)
    assert "a.safetensors cannot be read and is built again" in caplog.text
    caplog.clear()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    cached_head("a", build)
    assert "a.safetensors is damaged (its sha256 differs) and is built again" in caplog.text
    save_file({"head": HEAD}, path)
    cached_head("a", build)
    save_file({"other": HEAD}, path)
    cached_head("a", build)
    assert build.calls == 5


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_a_folder_that_cannot_be_written_costs_no_run(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Read-only, full or not a folder: the head is built each time, with a note."""
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    monkeypatch.setenv("IMAGENET_HARD_CACHE", str(tmp_path / where))
    build = Builder()
    assert torch.equal(cached_head("a", build), HEAD)
    assert torch.equal(cached_head("a", build), HEAD)
    assert build.calls == 2
    assert "the head is not cached, so the next run builds it again" in caplog.text


def test_a_full_disk_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was begun is taken away again, and an older file stays."""
    build = Builder()
    cached_head("a", build)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert torch.equal(cached_head("b", build), HEAD)
    assert [p.name for p in folder.iterdir()] == ["a.safetensors"]


def test_an_interrupted_build_writes_nothing(folder: Path) -> None:
    """Ctrl-C passes through."""

    def interrupted() -> Tensor:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_head("a", interrupted)
    assert not folder.exists()


def test_the_hash_of_a_head() -> None:
    """Of its values and shape, whatever its memory layout."""
    assert head_sha256(HEAD) == head_sha256(HEAD.T.contiguous().T)
    assert head_sha256(HEAD) != head_sha256(HEAD.reshape(10, 16))
    assert head_sha256(HEAD) != head_sha256(HEAD + 1e-3)


def test_a_key_follows_everything_that_a_head_follows_from(tmp_path: Path) -> None:
    """Weights, activation, heads, pooling, mask, tokenizer, words, their order: all different."""
    names, templates = ["cat", "dog"], ["a {}.", "the {}"]
    model, tokenizer = small_model(tmp_path, CONFIGS["clip"])

    def key(
        model: Any = model,
        tokenizer: Callable[[list[str]], Tensor] = tokenizer,
        names: list[str] = names,
        templates: list[str] = templates,
        weights: str = "w",
    ) -> str:
        return head_key(model, tokenizer, names, templates, weights_sha256=weights)

    def text(**settings: Any) -> Any:
        config = {**CONFIGS["custom-text"], "text_cfg": {**CONFIGS["custom-text"]["text_cfg"], **settings}}
        return small_model(tmp_path, config)[0]

    keys = [
        key(),
        key(weights="v"),
        key(names=["dog", "cat"]),
        key(names=["cat", "dog", "dog"]),
        key(templates=templates[::-1]),
        key(templates=templates[:1]),
        key(tokenizer=open_clip.SimpleTokenizer(context_length=64)),
        key(tokenizer=open_clip.SimpleTokenizer(clean="canonicalize")),
        key(model=small_model(tmp_path, CONFIGS["quickgelu"])[0]),
        key(model=text()),
        key(model=text(heads=4)),
        key(model=text(pool_type="last")),
        key(model=text(no_causal_mask=True)),
        key(model=text(pad_id=1)),
    ]
    assert len(set(keys)) == len(keys)
    assert key() == keys[0]


def test_a_key_does_not_depend_on_the_mode_or_the_image_tower(tmp_path: Path) -> None:
    """The same text tower in training mode, or beside another image tower, has the same head."""
    model, tokenizer = small_model(tmp_path, CONFIGS["clip"])
    other, _ = small_model(tmp_path, CONFIGS["resnet"])
    keys = {
        head_key(m, tokenizer, ["cat"], ["{}"], weights_sha256="w") for m in (model, model.train(), other)
    }
    assert len(keys) == 1
