"""The command line: help, exit codes, and messages in place of tracebacks."""

from __future__ import annotations

import gc
import subprocess
import sys
import types

import pytest

from imagenet_hard.cli.main import _leave_it, group, run


def imagenet_hard(*args: str) -> int:
    return run(group, list(args), "imagenet-hard")


def test_help_lists_the_commands(capsys):
    """Every command has a line of its own."""
    assert imagenet_hard("--help") == 0
    out = capsys.readouterr().out
    for command in ("eval", "models", "compare", "doctor"):
        assert f"\n  {command} " in out


def test_version(capsys):
    """`--version` names the program."""
    assert imagenet_hard("--version") == 0
    assert capsys.readouterr().out.startswith("imagenet-hard, version ")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["evil"], "No such command 'evil'"),
        (["eval"], "nothing to score: give --model NAME or --suite NAME"),
        (
            ["eval", "--model", "x", "--batch-size", "0"],
            "expected a number of images of 1 or more, 'auto' or 'fastest'",
        ),
        (["eval", "--model", "x", "--precision", "fp8"], "'fp8' is not one of 'fp32', 'bf16', 'fp16'"),
        (["eval", "--model", "x", "--limit", "0"], "0 is not in the range x>=1"),
        (["eval", "--suite", "demo", "--weights", "x"], "belong to --model"),
        (["eval", "--suite", "nonsense", "--dataset", "sample"], "nonsense"),
        (["eval", "--model", "efficientnet_lite0", "--dataset", "sample", "--device", "tpu"], "device 'tpu'"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_why(args, message, capsys):
    """Wrong usage is told apart from a run that failed."""
    assert imagenet_hard(*args) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_a_missing_folder_is_an_error_of_ours(capsys):
    """No traceback where a data set isn't there."""
    assert imagenet_hard("eval", "--model", "efficientnet_lite0", "--dataset", "./nowhere") == 2
    assert "nowhere" in capsys.readouterr().err


def test_the_two_entry_points_are_one():
    """`imagenet-hard-eval` is `imagenet-hard eval` itself."""
    code = "import sys; from imagenet_hard.cli.main import {}; sys.argv = ['x', {!r}]; {}()"
    outs = []
    for function, args in (("eval_main", "--help"), ("main", "--help")):
        done = subprocess.run(
            [sys.executable, "-c", code.format(function, args, function)], capture_output=True, text=True
        )
        assert done.returncode == 0
        outs.append(done.stdout)
    assert "--precision" in outs[0]
    assert "doctor" in outs[1]


def test_garbage_is_left_as_python_ends(monkeypatch):
    """Unless triton is there, which then tells of hundreds of leaks."""
    before = gc.get_freeze_count()
    monkeypatch.setitem(sys.modules, "triton", types.ModuleType("triton"))
    _leave_it()
    assert gc.get_freeze_count() == before
    monkeypatch.delitem(sys.modules, "triton")
    _leave_it()
    assert gc.get_freeze_count() > before
