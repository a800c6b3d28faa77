"""``imagenet-hard leaderboard request`` and ``evaluate``: from a request to an entry of the board's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from imagenet_hard.base.errors import UsageError
from imagenet_hard.cli.options import device_option, links_option, path_option


@click.command("evaluate")
@click.argument("model")
@click.option("--benchmark", required=True, metavar="NAME", help="The board's, by name or fingerprint.")
@path_option("--board", default=Path("leaderboard"), help="The board's folder: entries, gold and records.")
@click.option("--dataset", "-d", metavar="NAME", help="The images [default: where the gold says they are].")
@click.option("--org", required=True, help="Who made or trained the model.")
@click.option("--name", help="What the board calls it [default: the model's name and weights].")
@click.option("--submitter", help="Who answers for the entry [default: the board's maintainers].")
@click.option(
    "--owner", "owners", multiple=True, metavar="ACCOUNT", help="github:LOGIN or hub:USER; may replace it."
)
@links_option("Https only.")
@click.option("--training-data", default="", help="What the model was trained on, in words.")
@click.option("--weights", metavar="TAG", help="Which published weights, where the name does not say.")
@path_option(
    "--work",
    default=Path("results"),
    help="Results; what is finished there is not done again, what was interrupted goes on.",
)
@device_option
@click.option("--precision", type=click.Choice(["fp32", "bf16", "fp16"]), default="fp32", show_default=True)
@click.option("--batch-size", type=click.IntRange(min=1), metavar="N")
def evaluate_command(model: str, **options: Any) -> int:
    """Evaluate MODEL and enter it on the board as reproduced: the board's own run, for maintainers.

    MODEL is a published one, such as timm:NAME; its weights are loaded as data, and nobody's code is run.
    Running the command again does nothing that is done. The entry and its record are two files to commit
    together.
    """
    from imagenet_hard.cli.console import at_work, progress_bars
    from imagenet_hard.leaderboard.own_run import SUBMITTER, evaluate_for_board
    from imagenet_hard.leaderboard.verify.ownership import Author
    from imagenet_hard.leaderboard.verify.report import text_report

    options["owners"] = [Author.parse(each) for each in options["owners"]]
    options["submitter"] = options["submitter"] or SUBMITTER
    with at_work():
        done = evaluate_for_board(model, bars=progress_bars, **options)
    click.echo(text_report([done.report]), err=True)
    click.echo(f"{'wrote' if done.wrote else 'unchanged:'} {done.folder}")
    click.echo(f"record: {done.record}")
    return 0


@click.command("request")
@click.argument("file", type=click.File("rb"))
def request_command(file: Any) -> int:
    """Check a request for an evaluation: FILE is the text of an issue by the form, - for standard input.

    Prints the command line that evaluates the model, for a maintainer to read and run.
    """
    from imagenet_hard.leaderboard.requests import MAX_REQUEST, read_request

    try:
        text = file.read(4 * MAX_REQUEST + 1).decode()
    except UnicodeDecodeError:
        raise UsageError("the request is not UTF-8 text") from None
    request = read_request(text)
    click.echo(f"licence of the weights: {request.licence}", err=True)
    click.echo(f"why: {request.why}", err=True)
    click.echo(request.command())
    return 0
