"""The options that say where the work is done: this process, or a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, get_args

import click

from imagenet_hard.base.errors import UsageError
from imagenet_hard.engine.settings import RuntimeName

if TYPE_CHECKING:
    from imagenet_hard.engine.engine import Engine

OPTIONS = (
    click.option(
        "--compile",
        "compile",
        is_flag=True,
        help="Run torch.compile first, which pays off from about ten thousand images or crops on.",
    ),
    click.option(
        "--runtime",
        type=click.Choice(get_args(RuntimeName)),
        default="torch",
        show_default=True,
        help="What runs the network on a CPU: openvino (the extra cpu) starts some seconds later and is then "
        "often faster; auto measures both.",
    ),
    click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="This process, or the workers of a Ray cluster: all GPUs and machines that it has.",
    ),
    click.option(
        "--address",
        metavar="ADDRESS",
        help="Where the Ray cluster is: HOST:PORT, auto, or local for a new one here [default: that of "
        "RAY_ADDRESS or of this machine, else one is started here].",
    ),
    click.option(
        "--cpus-per-worker",
        type=click.IntRange(min=1),
        metavar="N",
        help="Cores of each Ray worker [default: 1; with GPUs, a GPU's share of its machine's].",
    ),
)


def engine_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """All of ``OPTIONS``, in their order."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


@contextmanager
def opened(options: Mapping[str, Any]) -> Iterator[Engine]:
    """The engine that they ask for.

    Raises:
        UsageError: options that do not fit together, or a launcher that started this command many times.
    """
    from imagenet_hard.engine.engine import open_engine

    refuse_copies()
    if options["engine"] == "ray" and options["workers"] is not None:
        raise click.UsageError(
            "--workers are decode threads of this process: with --engine ray, --cpus-per-worker"
        )
    with open_engine(
        options["engine"],
        address=options["address"],
        device=options["device"] or "auto",  # eval has None where it was not given
        cpus_per_worker=options["cpus_per_worker"],
    ) as engine:
        yield engine


def refuse_copies(environment: Mapping[str, str] = os.environ) -> None:
    """Copies would score the same images into the same files: the work is split by the engine, not by ranks.

    Raises:
        UsageError: this process is one of several that a launcher started.
    """
    size = environment.get("WORLD_SIZE", "")
    if "LOCAL_RANK" in environment and size.isdigit() and int(size) > 1:
        raise UsageError(
            f"a launcher such as torchrun started {size} copies of this command (WORLD_SIZE={size}), and "
            "each would score all images. Start it once, without the launcher: --engine ray splits the work "
            "over all GPUs and machines (docs/cluster.md)"
        )
