"""Checkpoints in the layouts that people have, and files that are no checkpoints."""

from __future__ import annotations

import argparse
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from imagenet_hard.base.errors import WeightsError
from imagenet_hard.classifiers.checkpoint import PREFIXES, load_checkpoint
from imagenet_hard.classifiers.weights import load_into


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
    "model_state": lambda: {
        "model_state": STATE,
        "optimizer_state": {"state": {0: {"exp_avg": STATE["stem.bias"]}}},
    },
    "momenta by name": lambda: {"model": STATE, "optimizer": {"exp_avg": {k: -v for k, v in STATE.items()}}},
    "a name that nobody knows": lambda: {"run": {"best_so_far": STATE}},
    "the larger of two": lambda: {
        "teacher": {k: torch.ones(9, 9) for k in STATE},
        "student": prefixed("module."),
    },
    "part of another model": lambda: {**prefixed("net.1."), "net.0.queue": torch.ones(4, 4)},
    "adversarial training": lambda: {
        "model": {**prefixed("module.model."), **prefixed("module.attacker.model.")},
        "epoch": 90,
    },
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
    assert load_checkpoint(path, STATE).state.keys() == STATE.keys()
    load_into(small(2), path, architecture="small")


def test_prefixes_that_are_the_modules_own_stay(tmp_path: Path) -> None:
    """A module whose keys begin with ``model.`` keeps them."""
    module = nn.ModuleDict({"model": small(1)})
    torch.save(module.state_dict(), path := tmp_path / "own.pth")
    own = module.state_dict()
    assert load_checkpoint(path, own).state.keys() == own.keys()


def test_ema_weights_come_first_and_the_log_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With two sets in one file the EMA is taken, and ``FILE#ENTRY`` takes the other."""
    path = tmp_path / "both.pth"
    torch.save({"state_dict": STATE, "state_dict_ema": small(3).state_dict(), "epoch": 9}, path)
    averaged = load_checkpoint(path, STATE).state["head.weight"]
    assert torch.equal(averaged, small(3).state_dict()["head.weight"])
    assert "EMA weights 'state_dict_ema' are used (write FILE#state_dict for the other)" in caplog.text
    assert torch.equal(
        load_checkpoint(f"{path}#state_dict", STATE).state["head.weight"], STATE["head.weight"]
    )
    with pytest.raises(WeightsError, match=r"no entry 'modle': it has state_dict \(8 .*_ema .*, epoch"):
        load_checkpoint(f"{path}#modle", STATE)


OTHER = small(5).state_dict()

TWINS: dict[str, tuple[Callable[[], Any], dict[str, str]]] = {
    "self-distillation": (
        lambda: {"student": prefixed("module."), "teacher": OTHER, "epoch": 1},
        {"student.module": "STATE", "student": "STATE", "teacher": "OTHER"},
    ),
    "lightning": (
        lambda: {"state_dict": {**prefixed("model."), **{f"teacher.{k}": v for k, v in OTHER.items()}}},
        {"state_dict.model": "STATE", "model": "STATE", "teacher": "OTHER"},
    ),
    "two names": (lambda: {"state_dict": STATE, "model": OTHER}, {"state_dict": "STATE", "model": "OTHER"}),
    "one inside": (
        lambda: {**STATE, **{f"momentum.{k}": v for k, v in OTHER.items()}},
        {".": "STATE", "momentum": "OTHER"},
    ),
}


@pytest.mark.parametrize("layout", TWINS)
def test_of_sets_that_differ_none_is_guessed(layout: str, tmp_path: Path) -> None:
    """The message lists them, and what stands behind ``#`` takes the one that it names."""
    content, names = TWINS[layout]
    torch.save(content(), path := tmp_path / "twins.pth")
    with pytest.raises(WeightsError, match="holds 2 sets of weights that could be meant, and they") as error:
        load_into(small(), path, architecture="small")
    for name, expected in names.items():
        load_into(module := small(2), f"{path}#{name}", architecture="small")
        right = {"STATE": STATE, "OTHER": OTHER}[expected]
        assert torch.equal(module.state_dict()["head.weight"], right["head.weight"]), name
    assert f"twins.pth#{next(iter(names))}" in str(error.value)


def test_an_average_among_the_keys_of_a_file_is_taken_like_one_in_an_entry(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Lightning callbacks keep it so; the log says what the other is called."""
    torch.save(
        {"state_dict": {**prefixed("model."), **{f"ema_model.{k}": v for k, v in OTHER.items()}}},
        path := tmp_path / "w.ckpt",
    )
    assert torch.equal(load_checkpoint(path, STATE).state["head.weight"], OTHER["head.weight"])
    assert "EMA weights 'state_dict.ema_model' are used (write FILE#state_dict.model" in caplog.text


def test_what_is_left_out_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A loss is not worth a word; what may take part in the output is, unless the part was named."""
    path = tmp_path / "w.ckpt"
    torch.save({**prefixed("model."), "criterion.weight": torch.ones(7)}, path)
    load_checkpoint(path, STATE)
    assert not caplog.records
    torch.save({**prefixed("model."), "temperature": torch.ones(1)}, path)
    load_checkpoint(f"{path}#model", STATE)
    assert not caplog.records
    load_checkpoint(path, STATE)
    assert "1 tensors beside model are left out (temperature): if they take part" in caplog.text


@pytest.mark.parametrize(
    "beside",
    [
        {"shift": torch.ones(1, 3, 1, 1)},
        {"0.running_mean": torch.ones(3), "0.running_var": torch.ones(3)},
        {"mean": torch.ones(3, 8, 8)},
        {"mean": torch.tensor(0.5), "std": torch.tensor(0.5)},
    ],
)
def test_what_may_change_the_images_is_refused(beside: dict[str, torch.Tensor], tmp_path: Path) -> None:
    """A value for each colour, or a mean image; the weights alone can be named."""
    torch.save({**prefixed("model."), **beside}, path := tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="beside the weights model.*may change the images.*w.pth#model"):
        load_checkpoint(path, STATE)
    assert load_checkpoint(f"{path}#model", STATE).state.keys() == STATE.keys()


def test_a_mean_image_outside_the_entry_of_the_weights_is_refused_as_well(tmp_path: Path) -> None:
    """Caffe's models had one; a mean of the metrics is none."""
    torch.save({"model": STATE, "mean": torch.ones(3, 8, 8)}, path := tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"holds mean beside the weights model.*w\.pth#model"):
        load_checkpoint(path, STATE)
    assert load_checkpoint(f"{path}#model", STATE).state.keys() == STATE.keys()
    torch.save({"model": STATE, "metrics": {"mean": torch.ones(())}}, path)
    assert load_checkpoint(path, STATE).state.keys() == STATE.keys()


def test_what_the_file_holds_is_listed_where_nothing_fits(tmp_path: Path) -> None:
    """Backbones without a head, say."""
    parts = {
        name: {"blocks.0.weight": torch.ones(2), "head.mlp": torch.ones(n)} for n, name in enumerate("ab")
    }
    torch.save({**parts, "epoch": 3}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"holds 2 sets of weights that could be meant.*: a, b"):
        load_into(small(), tmp_path / "w.pth", architecture="small")
    message = (
        r"another architecture.* It holds a \(2 tensors: blocks, head\), b .*, epoch; FILE#NAME takes one"
    )
    with pytest.raises(WeightsError, match=message):
        load_into(small(), f"{tmp_path / 'w.pth'}#b", architecture="small")


@pytest.mark.parametrize("content", [{"epoch": 3}, [1, 2], {"model": {"epoch": 3}}])
def test_a_checkpoint_without_weights_is_named(content: Any, tmp_path: Path) -> None:
    """A file that holds other things says which."""
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"holds no weights.*got (epoch|list|model)"):
        load_checkpoint(tmp_path / "w.pth", STATE)


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
