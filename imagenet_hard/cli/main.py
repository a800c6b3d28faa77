"""``imagenet-hard``: the umbrella command. Each command is imported when it is called."""

from __future__ import annotations

import atexit
import gc
import logging
import sys
from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any

import click

from imagenet_hard.base.errors import ImageNetHardError
from imagenet_hard.base.runtime import __version__, lacks_framework

Commands = Mapping[str, tuple[str, str]]
"""Name -> where it is in this folder, ``MODULE:FUNCTION``, and what it does."""

COMMANDS: Commands = {
    "eval": ("eval:command", "Score classifiers on ImageNet-Hard or any ImageNet variant."),
    "models": ("models:command", "List and search the classifiers that can be scored."),
    "compare": ("compare:command", "Compare two results image by image."),
    "export": ("export:command", "Write results in the form of timm, CLIP_benchmark or Every Eval Ever."),
    "match": ("match:command", "Score answers in words that were produced elsewhere."),
    "reproduce": ("reproduce:command", "Score models again, and compare with published accuracies."),
    "difficulty": ("difficulty:command", "Make the table of difficulties that estimates draw by."),
    "factors": ("factors:command", "Show top-1 by factor, as ImageNet-X has them, and by superclass."),
    "explore": ("explore:command", "Look at a benchmark's images: who is right on which, what is answered."),
    "distractors": ("distractors:command", "Make the table of wrong names that choices are drawn from."),
    "doubts": ("doubts:command", "Rank a benchmark's images by how doubtful their labels are."),
    "plan-comparison": ("compare:plan_command", "Say how many images it takes to tell two models apart."),
    "copies": ("copies:command", "Find near-copies of images within and between data sets."),
    "doctor": ("doctor:command", "Check versions, devices, hashes, the Hub and disk space."),
    "curate": ("main:curate", "Make a data set of the images that no zoom solves."),
    "study": ("study:command", "Study what zooming does: accuracies, biases, covers, a report."),
    "zoom": ("zoom:command", "Show one image under every zoom of a model, as a page."),
    "submit": ("submit:command", "Make a leaderboard entry of a result."),
    "verify": ("verify:command", "Check entries by scoring their predictions again."),
    "leaderboard": (
        "leaderboard:command",
        "Build, preview and publish the leaderboard's page; print its table.",
    ),
}

STEPS: Commands = {
    "plan": ("curate.plan:command", "Say what a recipe reads and costs, before anything runs."),
    "score": ("curate.score:command", "Find the images that no zoom of any classifier solves."),
    "refresh": ("curate.refresh:command", "Score a new version of a built set, from what is known of it."),
    "review": ("curate.review:command", "Let people decide about the survivors."),
    "build": ("curate.build:command", "Write the data set, its card and its manifest."),
    "publish": ("curate.publish:command", "Upload a built data set to the Hub."),
}


class LazyGroup(click.Group):
    """A group whose ``--help`` needs no import of its ``places``."""

    def __init__(self, *args: Any, places: Commands, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._places = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._places)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self._places:
            return None
        command: click.Command = resolve_name(f"imagenet_hard.cli.{self._places[name][0]}")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self._places.items()])


@click.group(cls=LazyGroup, places=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="imagenet-hard")
def group() -> None:
    """The images that stay misclassified however you zoom, and how models do on them."""


@click.group("curate", cls=LazyGroup, places=STEPS)
def curate() -> None:
    """From ImageNet's variants to a data set of the images that no zoom solves.

    \b
    imagenet-hard curate plan  --recipe imagenet-hard-lite --data DIR
    imagenet-hard curate score --recipe imagenet-hard-lite --data DIR
    imagenet-hard curate review --recipe imagenet-hard-lite --data DIR --reviewer me
    imagenet-hard curate build --recipe imagenet-hard-lite --data DIR
    imagenet-hard curate publish imagenet-hard-lite --repo ORG/NAME
    """


def main(args: list[str] | None = None) -> None:
    """Entry point of ``imagenet-hard``."""
    _collect_rarely()
    sys.exit(run(group, args, "imagenet-hard"))


def eval_main() -> None:
    """Entry point of ``imagenet-hard-eval``, which is ``imagenet-hard eval`` itself."""
    _collect_rarely()
    sys.exit(run(resolve_name("imagenet_hard.cli.eval:command"), None, "imagenet-hard-eval"))


def _collect_rarely() -> None:
    """Python looks for garbage in cycles seldom, and not at all as it ends: what imports make is none, and to
    look through it took a tenth of a framework's import or more, and a quarter as long again at the end."""
    gc.set_threshold(10_000, 20)
    atexit.register(_leave_it)


def _leave_it() -> None:
    """What is there as Python ends; but triton (of ``torch.compile``) counts it, and tells of leaks."""
    if "triton" not in sys.modules:
        gc.freeze()


def run(command: click.Command, args: list[str] | None, name: str) -> int:
    """Exit code: 0 done, 1 failed or a check did not hold, 2 wrong usage, 130 interrupted."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
    logging.getLogger("imagenet_hard").setLevel(logging.INFO)
    try:
        code = command.main(args, prog_name=name, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return 2
    except ImageNetHardError as error:
        click.echo(f"Error: {error}", err=True)
        return error.exit_code
    except ModuleNotFoundError as error:
        if (said := lacks_framework(error)) is None:
            raise
        click.echo(f"Error: {said}", err=True)
        return 1
    except (KeyboardInterrupt, click.Abort):
        click.echo("\nInterrupted. What was done is kept: run the same command again to go on.", err=True)
        return 130
    except BrokenPipeError:  # `imagenet-hard models | head`
        sys.stderr.close()
        return 0
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    main()
