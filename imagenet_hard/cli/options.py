"""Options of several commands: paths, and flags of what is declared elsewhere (``base.options``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click

from imagenet_hard.base.options import Declared, declared

Command = Callable[..., Any]

PATH = click.Path(path_type=Path)
FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
EXISTING = click.Path(path_type=Path, dir_okay=False, exists=True)


def path_option(
    *names: str, type: click.Path = PATH, metavar: str | None = "DIR", **about: Any
) -> Callable[[Command], Command]:
    """An option whose value is a path: of a folder, unless ``metavar`` says something else."""
    if "default" in about:
        about.setdefault("show_default", True)
    return click.option(*names, type=type, metavar=metavar, **about)


entries_option = path_option(
    "--entries",
    default=Path("leaderboard/entries"),
    help="The board's entries; gold and records lie in the folders next to it.",
)
golds_option = path_option("--golds", help="Gold labels [default: ../benchmarks of --entries].")
device_option = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps."
)


def _links(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, str]]:
    """(label, address) of each LABEL=URL."""
    pairs = [value.partition("=") for value in values]
    for value, (label, _, url) in zip(values, pairs, strict=True):
        if not label or not url:
            raise click.BadParameter(f"{value!r}: expected LABEL=https://...")
    return [(label, url) for label, _, url in pairs]


def links_option(help: str, *, required: bool = False) -> Callable[[Command], Command]:
    """``--link``, which may be repeated: pairs of label and address."""
    about: dict[str, Any] = {"multiple": True, "callback": _links, "metavar": "LABEL=URL"}
    return click.option("--link", "links", required=required, help=help, **about)


def training_options(command: Command) -> Command:
    """What a model was trained on; ``training_given`` reads them."""
    for option in reversed(
        (
            click.option("--training-data", default="", help="What the model was trained on, in words."),
            click.option(
                "--trained-on",
                multiple=True,
                metavar="SET[=IMAGES]",
                help="A data set that it was trained on, as ImageNet-21k or Photos=1.5M; may be repeated.",
            ),
            click.option(
                "--fine-tuned-on",
                multiple=True,
                metavar="SET[=IMAGES]",
                help="What it was then fine-tuned on.",
            ),
            click.option(
                "--distilled-from",
                multiple=True,
                metavar="MODEL",
                help="A model that taught it; may be repeated.",
            ),
        )
    ):
        command = option(command)
    return command


def training_given(options: Mapping[str, Any]) -> Any:
    """The ``leaderboard.training.Training`` of these options; None where none was given.

    Raises:
        UsageError: what they say does not hold together.
    """
    from imagenet_hard.leaderboard.training import training_of

    return training_of(*(options[name] for name in ("trained_on", "fine_tuned_on", "distilled_from")))


def datasets_option(note: str = "") -> Callable[[Command], Command]:
    """``--dataset``, which may be repeated; ``note`` says what that is worth."""
    return click.option(
        "--dataset",
        "-d",
        "datasets",
        multiple=True,
        default=("imagenet-hard",),
        metavar="NAME",
        help="imagenet-hard, imagenet-hard-4k, sample, a folder, or a Hub id; may be repeated"
        f"{note} [default: imagenet-hard].",
    )


def flags_of(options: type, prefix: str = "") -> Callable[[Command], Command]:
    """A flag for each option that has a help text, in their order; what is not given is None."""

    def decorate(command: Command) -> Command:
        for each in reversed(list(declared(options).values())):
            if each.option.help:
                command = _flag(each, prefix)(command)
        return command

    return decorate


def given(options: type, values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Of a command's values, those of ``options`` that were given."""
    found = {name: values.get(prefix + name) for name in declared(options)}
    return {name: value for name, value in found.items() if value is not None}


def _flag(each: Declared, prefix: str) -> Callable[[Command], Command]:
    option, kinds = each.option, _kinds(each.type)
    name = (prefix + each.name).replace("_", "-")
    shown = f" [default: {option.default}]" if option.default not in (None, True, False) else ""
    about: dict[str, Any] = {"help": option.help + shown, "default": None, "metavar": option.metavar}
    choices = {str(value): value for kind in kinds if get_origin(kind) is Literal for value in get_args(kind)}
    if bool in kinds:
        flags = option.flags or (f"--no-{name}" if option.default else f"--{name}",)
        about |= {"is_flag": True, "flag_value": not option.default}
    else:
        flags = option.flags or (f"--{name}",)
        if option.parse is not None:
            about["callback"] = _parser(option.parse)
        elif choices:
            about |= {"type": click.Choice(list(choices)), "callback": _parser(choices.__getitem__)}
        elif int in kinds and str not in kinds:
            about["type"] = int if option.least is None else click.IntRange(min=option.least)
        elif float in kinds:
            about["type"] = float
    return click.option(*flags, prefix + each.name, **about)


def _kinds(hint: Any) -> tuple[Any, ...]:
    """The parts of a union; a ``Literal`` and a plain type are their own."""
    if get_origin(hint) is Literal or not get_args(hint):
        return (hint,)
    return get_args(hint)


def _parser(parse: Callable[[str], Any]) -> Callable[..., Any]:
    def callback(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
        try:
            return None if value is None else parse(value)
        except ValueError as error:
            raise click.BadParameter(f"{value!r}: {error}") from None

    return callback
