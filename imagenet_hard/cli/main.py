"""``imagenet-hard``: the umbrella command. Each subcommand is imported when it is called."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from importlib import import_module

import click

from imagenet_hard.base.errors import ImageNetHardError
from imagenet_hard.base.runtime import __version__
from imagenet_hard.cli.lazy import LazyGroup

COMMANDS: Mapping[str, tuple[str, str]] = {
    "eval": ("imagenet_hard.cli.eval", "Score classifiers on ImageNet-Hard or any ImageNet variant."),
    "models": ("imagenet_hard.cli.models", "List and search the classifiers that can be scored."),
    "compare": ("imagenet_hard.cli.compare", "Compare two results image by image."),
    "match": ("imagenet_hard.cli.match", "Score answers in words that were produced elsewhere."),
    "difficulty": (
        "imagenet_hard.cli.difficulty",
        "Make the table of difficulties that estimates draw by.",
    ),
    "plan-comparison": (
        "imagenet_hard.cli.plan_comparison",
        "How many images it takes to tell two models apart.",
    ),
    "doctor": ("imagenet_hard.cli.doctor", "Check versions, devices, hashes, the Hub and disk space."),
    "curate": ("imagenet_hard.cli.curate.group", "Make a data set of the images that no zoom solves."),
    "study": ("imagenet_hard.cli.study", "Study what zooming does: accuracies, biases, covers, a report."),
    "submit": ("imagenet_hard.cli.submit", "Make a leaderboard entry of a result."),
    "verify": ("imagenet_hard.cli.verify", "Check entries by scoring their predictions again."),
    "leaderboard": (
        "imagenet_hard.cli.leaderboard",
        "Build, preview and publish the leaderboard's page; print its table.",
    ),
}


@click.group(cls=LazyGroup, modules=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="imagenet-hard")
def group() -> None:
    """The images that stay misclassified however you zoom, and how models do on them."""


def main(args: list[str] | None = None) -> None:
    """Entry point of ``imagenet-hard``."""
    sys.exit(run(group, args, "imagenet-hard"))


def eval_main() -> None:
    """Entry point of ``imagenet-hard-eval``, which is ``imagenet-hard eval`` itself."""
    sys.exit(run(import_module(COMMANDS["eval"][0]).command, None, "imagenet-hard-eval"))


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
    except (KeyboardInterrupt, click.Abort):
        click.echo("\nInterrupted. What was done is kept: run the same command again to go on.", err=True)
        return 130
    except BrokenPipeError:  # `imagenet-hard models | head`
        sys.stderr.close()
        return 0
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    main()
