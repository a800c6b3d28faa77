"""Options that are declared once: keywords, flags, and what is recorded by name."""

from __future__ import annotations

import inspect
from typing import Annotated, Literal, TypedDict

import click
import pytest
from click.testing import CliRunner
from pydantic import ValidationError

import imagenet_hard
from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.options import Option, by_name, declared, takes
from imagenet_hard.cli.options import flags_of, given
from imagenet_hard.evaluation import result
from imagenet_hard.evaluation.options import Options
from imagenet_hard.evaluation.result import Protocol


class Small(TypedDict, total=False):
    mirror: Annotated[bool, Option(False, "Mean of the image and its mirror image.")]
    side: Annotated[int | None, Option(None, "Pixels.", least=1)]
    mode: Annotated[Literal["a", "b"], Option("a", "Which.", recorded="model")]
    fold: Annotated[bool, Option(True, "Do not fold.", recorded="")]
    hidden: Annotated[str | None, Option(None)]


@takes(Small)
def call(model, *, out=None, **options):
    return options


def test_a_function_takes_what_is_declared_and_nothing_else():
    """Its signature says so; defaults are the declaration's."""
    assert call("m", mirror=True, side=3) == {"mirror": True, "side": 3}
    with pytest.raises(TypeError, match=r"call\(\) got an unexpected keyword argument 'mirrored'"):
        call("m", mirrored=True)
    parameters = inspect.signature(call).parameters
    assert list(parameters) == ["model", "out", *declared(Small)]
    assert parameters["fold"].default is True


def test_a_command_has_a_flag_for_each_that_has_a_help_text():
    """Of its type; what is not given is left to the function's default."""

    @click.command()
    @flags_of(Small, "x_")
    def command(**values):
        click.echo(sorted(given(Small, values, "x_").items()))

    def output(*args):
        return CliRunner().invoke(command, list(args)).output

    assert output() == "[]\n"
    asked = output("--x-mirror", "--x-side", "4", "--x-mode", "b", "--no-x-fold")
    assert asked == "[('fold', False), ('mirror', True), ('mode', 'b'), ('side', 4)]\n"
    assert "0 is not in the range x>=1" in output("--x-side", "0")
    assert "'c' is not one of 'a', 'b'" in output("--x-mode", "c")
    assert "No such option" in output("--x-hidden", "1")


def test_what_is_recorded_by_name_is_what_moves_numbers_and_is_not_its_default():
    """Of the declared type: a record from elsewhere holds nothing else."""
    assert by_name(Small, {"mirror": False, "side": None, "mode": "b", "fold": False}) == {}
    assert by_name(Small, {"mirror": True, "side": 3}) == {"mirror": True, "side": 3}
    with pytest.raises(UsageError, match="mirror is 'yes'"):
        by_name(Small, {"mirror": "yes"})


def test_a_protocol_holds_such_options_and_asks_for_them_again(monkeypatch):
    """A record of a later release says what to do; one without any is written as it always was."""
    fields = {"precision": "fp32", "batch_size": 1, "transform": "native", "decode": {}}
    assert "options" not in Protocol(**fields).model_dump(mode="json")
    with pytest.raises(ValidationError, match="'mirror' is not an option of this release"):
        Protocol(**fields, options={"mirror": True})
    monkeypatch.setattr(result, "Options", Small)
    protocol = Protocol(**fields, options={"mirror": True})
    assert protocol.model_dump(mode="json")["options"] == {"mirror": True}
    assert protocol.asked()["mirror"] is True
    for wrong in ({"mirror": 1}, {"mirror": False}, {"mode": "b"}):
        with pytest.raises(ValidationError):
            Protocol(**fields, options=wrong)


def test_all_that_evaluate_took_it_takes():
    """Its documented keywords, whatever else comes."""
    old = (
        "weights pretrained transform templates classnames revision split labels limit ids sample seed "
        "device precision batch_size workers exif fold compile engine address tta tta_show classes "
        "drop_class out on_progress verbose"
    )
    found = inspect.signature(imagenet_hard.evaluate).parameters
    assert set(old.split()) <= set(found)
    assert {each: found[each].default for each in ("transform", "device", "precision", "fold", "engine")} == {
        "transform": "native",
        "device": "auto",
        "precision": "fp32",
        "fold": True,
        "engine": "local",
    }
    recorded = {
        name for name, each in declared(Options).items() if each.option.recorded == "protocol.options"
    }
    assert not recorded  # of today's, each has a field of its own
