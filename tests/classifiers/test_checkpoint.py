"""Checkpoints in the layouts that people have, and files that are no checkpoints."""

from __future__ import annotations

import argparse
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from imagenet_hard.classifiers.checkpoint import PREFIXES, is_file_name, load_state_dict
from imagenet_hard.classifiers.loading import load_into
from imagenet_hard.errors import WeightsError


def small(seed: int = 0, classes: int = 1000) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        OrderedDict(stem=nn.Conv2d(3, 4, 3), norm=nn.BatchNorm2d(4), head=nn.Linear(4, classes, bias=False))
    )


STATE = small(1).state_dict()


def prefixed(prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + k: v for k, v in STATE.items()}


LAYOUTS: dict[str, Callable[[], Any]] = {
    "bare": lambda: STATE,
    "torchvision reference": lambda: {
        "model": STATE,
        "optimizer": {},
        "epoch": 3,
        "args": argparse.Namespace(lr=0.1),
    },
    "timm": lambda: {"state_dict": STATE, "arch": "x", "metric": 81.2},
    "numpy metric": lambda: {
        "state_dict": STATE,
        "best": np.float64(81.2),
        "seen": np.int64(3),
        "old": np.float32(1),
    },
    "model_state_dict": lambda: {"model_state_dict": STATE, "epoch": 1},
    "ddp": lambda: {"state_dict": prefixed("module.")},
    "lightning": lambda: {
        "state_dict": {**prefixed("model."), "criterion.weight": torch.ones(7)},
        "pytorch-lightning_version": "2.2",
    },
    "compiled": lambda: prefixed("_orig_mod."),
    "ddp of compiled": lambda: {"model": prefixed("module._orig_mod.")},
    "compiled inside": lambda: {k.replace("norm.", "norm._orig_mod."): v for k, v in STATE.items()},
    "averaged model": lambda: {"model_ema": {"n_averaged": torch.tensor(5), **prefixed("module.")}},
    "backbone": lambda: prefixed("backbone."),
    "nested": lambda: {"checkpoint": None, "model": {"state_dict": STATE}},
    "flops counter": lambda: {**STATE, "total_ops": torch.zeros(1), "stem.total_params": torch.zeros(1)},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_gives_the_weights(layout: str, tmp_path: Path) -> None:
    """Whatever a training script wrapped around them, the module gets its own weights."""
    path = tmp_path / "checkpoint.pth"
    torch.save(LAYOUTS[layout](), path)
    module = small(2)
    load_into(module, path, architecture="small")
    for key, value in module.state_dict().items():
        torch.testing.assert_close(value, STATE[key], rtol=0, atol=0)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    prefixes=st.lists(st.sampled_from(PREFIXES), max_size=3),
    entry=st.sampled_from(["model", "state_dict", ""]),
)
def test_any_stack_of_wrappers_is_undone(prefixes: list[str], entry: str, tmp_path: Path) -> None:
    """Prefixes stack in any order, under any entry, and come off with or without the module at hand."""
    path = tmp_path / "stacked.pth"
    state = prefixed("".join(prefixes))
    torch.save({entry: state} if entry else state, path)
    assert load_state_dict(path).keys() == STATE.keys()
    load_into(small(2), path, architecture="small")


def test_prefixes_that_are_the_modules_own_stay(tmp_path: Path) -> None:
    """A module whose keys begin with ``model.`` keeps them."""
    module = nn.ModuleDict({"model": small(1)})
    torch.save(module.state_dict(), path := tmp_path / "own.pth")
    assert load_state_dict(path, keys=module.state_dict().keys()).keys() == module.state_dict().keys()


def test_safetensors_with_and_without_the_suffix(tmp_path: Path) -> None:
    """A safetensors file is known by its content."""
    for name in ("weights.safetensors", "weights.bin"):
        save_file(dict(STATE), tmp_path / name)
        assert load_state_dict(tmp_path / name).keys() == STATE.keys()


def test_ema_weights_come_first_and_the_log_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With two sets in one file the EMA is taken, and ``FILE#ENTRY`` takes the other."""
    path = tmp_path / "both.pth"
    torch.save({"state_dict": STATE, "state_dict_ema": small(3).state_dict(), "epoch": 9}, path)
    averaged = load_state_dict(path)["head.weight"]
    assert torch.equal(averaged, small(3).state_dict()["head.weight"])
    assert "EMA weights 'state_dict_ema' are used (write FILE#state_dict for the other)" in caplog.text
    assert torch.equal(load_state_dict(f"{path}#state_dict")["head.weight"], STATE["head.weight"])
    with pytest.raises(WeightsError, match="has no entry 'modle': it has state_dict, state_dict_ema, epoch"):
        load_state_dict(f"{path}#modle")


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_code_is_refused_and_not_run(zipped: bool, tmp_path: Path) -> None:
    """The code in the file does not run, in the new and in the old format."""
    path, mark = tmp_path / "evil.pth", tmp_path / "ran"
    torch.save({"model": STATE, "x": Evil(mark)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        WeightsError, match=r"evil.pth was refused: its pickle asks to run code \(\w+\.mkdir\)"
    ):
        load_state_dict(path)
    assert not mark.exists()


def test_a_plain_pickle_and_a_whole_module_are_refused(tmp_path: Path) -> None:
    """A bare pickle with code, and a pickled module, say to save the state dict alone."""
    (tmp_path / "bare.pkl").write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    torch.save(small(), tmp_path / "module.pt")
    for name in ("bare.pkl", "module.pt"):
        with pytest.raises(WeightsError, match=r"refused: it.*torch.save\(model.state_dict\(\), FILE\)"):
            load_state_dict(tmp_path / name)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: its download or copy did not finish"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n", "is a Git LFS pointer"),
        (b"<!DOCTYPE html><html>Sign in</html>", "is a web page"),
        (b"hello, these are no weights at all", "is not a checkpoint"),
        (b"\x93NUMPY\x01\x00" + b"\x00" * 90, "is not a checkpoint"),
    ],
)
def test_what_is_no_checkpoint_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    """The message says what the file is."""
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        load_state_dict(tmp_path / "w.pth")


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_truncated_file_is_named(suffix: str, tmp_path: Path) -> None:
    """Half a download is said to be cut short."""
    path = tmp_path / f"w.{suffix}"
    if suffix == "pth":
        torch.save(STATE, path)
    else:
        save_file(dict(STATE), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(WeightsError, match="or it is cut short"):
        load_state_dict(path)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    """The message has the path, and the folder that a relative one is in."""
    with pytest.raises(WeightsError, match=r"no such weights file: nowhere.pth \(in the folder "):
        load_state_dict("nowhere.pth")
    with pytest.raises(WeightsError, match="is a folder: pass the weights file inside it"):
        load_state_dict(tmp_path)


@pytest.mark.parametrize("content", [{"epoch": 3}, [1, 2], {"model": {"epoch": 3}}])
def test_a_checkpoint_without_weights_is_named(content: Any, tmp_path: Path) -> None:
    """A file that holds other things says which."""
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"holds no weights.*got (entries epoch|list)"):
        load_state_dict(tmp_path / "w.pth")


def test_other_architectures_are_told_by_keys_and_by_shapes(tmp_path: Path) -> None:
    """Missing and unexpected keys are counted and the first few listed; shapes are compared."""
    path = tmp_path / "other.pth"
    torch.save(
        {**{f"block.{i}.weight": torch.ones(2) for i in range(5)}, "stem.bias": STATE["stem.bias"]}, path
    )
    message = (
        r"another architecture than small: 6 missing \(stem.weight, norm.weight, norm.bias, ...\); "
        r"5 unexpected \(block.0.weight, block.1.weight, block.2.weight, ...\)"
    )
    with pytest.raises(WeightsError, match=message):
        load_into(small(), path, architecture="small")
    torch.save({**STATE, "stem.weight": torch.ones(8, 3, 3, 3)}, path)
    with pytest.raises(WeightsError, match=r"'stem.weight' is \(8, 3, 3, 3\), expected \(4, 3, 3, 3\)"):
        load_into(small(), path, architecture="small")


def test_another_number_of_classes_is_named_as_such(tmp_path: Path) -> None:
    """A head of 365 classes is no other architecture."""
    torch.save(small(classes=365).state_dict(), tmp_path / "places.pth")
    with pytest.raises(
        WeightsError, match=r"has 365 classes \('head.weight'\), expected the 1000 of ImageNet-1k"
    ):
        load_into(small(), tmp_path / "places.pth", architecture="small")


def test_a_nan_is_refused(tmp_path: Path) -> None:
    """A diverged training is seen before it scores 0.1 %."""
    state = {k: v.clone() for k, v in STATE.items()}
    state["head.weight"][3, 1] = float("nan")
    torch.save(state, tmp_path / "nan.pth")
    with pytest.raises(WeightsError, match="1 of the 4000 values of 'head.weight' are NaN or infinite"):
        load_into(small(), tmp_path / "nan.pth", architecture="small")


def test_batch_counters_may_lack(tmp_path: Path) -> None:
    """Files from before PyTorch 0.4.1 have no ``num_batches_tracked``."""
    torch.save({k: v for k, v in STATE.items() if "num_batches" not in k}, tmp_path / "old.pth")
    load_into(small(), tmp_path / "old.pth", architecture="small")


def test_file_names_are_told_from_tags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tag is a word; a path, a known suffix or an existing file is a file."""
    monkeypatch.chdir(tmp_path)
    assert not is_file_name("a1_in1k")
    assert not is_file_name("DEFAULT")
    assert all(map(is_file_name, ("./best", "x/best", "best.pth.tar", "best.ckpt#model", r"C:\best")))
    Path("best").write_bytes(b"x")
    assert is_file_name("best")
