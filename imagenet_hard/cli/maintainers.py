"""Commands of the board's maintainers: ``leaderboard import``, ``evaluate``, ``request`` and ``withdraw``."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.text import counted
from imagenet_hard.cli.options import (
    PATH,
    device_option,
    entries_option,
    links_option,
    path_option,
    training_given,
    training_options,
)

if TYPE_CHECKING:
    from imagenet_hard.leaderboard.gold import Gold


@click.command("import")
@click.argument("file", type=PATH)
@click.option(
    "--benchmark",
    required=True,
    metavar="NAME",
    help="The board's benchmark, by name or fingerprint; with --labels the new one's name.",
)
@path_option(
    "--labels",
    metavar="FILE",
    help="Ids and labels of a benchmark that is not on the board: Parquet, CSV or text.",
)
@click.option("--org", required=True, help="Who made or trained the models.")
@click.option("--submitter", help="Who answers for the entries [default: the org].")
@click.option(
    "--owner",
    "owners",
    multiple=True,
    metavar="ACCOUNT",
    help="github:LOGIN or hub:USER, who may replace them.",
)
@links_option("Where the predictions are published; https only.", required=True)
@click.option("--date", type=click.DateTime(["%Y-%m-%d"]), required=True, help="When they were published.")
@click.option("--name", help="What the board calls the model, where the file holds one.")
@training_options
@click.option(
    "--used-in-curation", multiple=True, metavar="MODEL", help="A model of the file that chose the images."
)
@entries_option
@click.option(
    "--accept", is_flag=True, help="Keep the reports as the board's, which gives the entries their tier."
)
def import_command(file: Path, entries: Path, **options: Any) -> int:
    """Make an entry for each model from class indices that others published.

    FILE is Parquet, CSV or NPZ: "id", and for each model a column with a class index in 0..999 for each
    image, or with five, best first. An entry with one class shows no top-5. Every image of the benchmark
    needs an answer. What the board has stays as it is: no entry is overwritten, and nothing is written if
    any model fails.
    """
    from imagenet_hard.leaderboard.answer_tables import read_answer_table, renamed
    from imagenet_hard.leaderboard.importing import import_answers, write_imported
    from imagenet_hard.leaderboard.submit import link
    from imagenet_hard.leaderboard.verify.ownership import Author
    from imagenet_hard.leaderboard.verify.report import text_report

    table = read_answer_table(file)
    if options["name"]:
        table = renamed(table, options["name"])
    imported = import_answers(
        table,
        _gold(entries, options["benchmark"], options["labels"]),
        org=options["org"],
        submitter=options["submitter"] or options["org"],
        date=options["date"].date(),
        links=[link(*each) for each in options["links"]],
        owners=[Author.parse(each) for each in options["owners"]],
        training_data=options["training_data"],
        training=training_given(options),
        used_in_curation=options["used_in_curation"],
        board=entries.absolute().parent,
    )
    reports = write_imported(entries.absolute().parent, imported, accepted=options["accept"])
    click.echo(text_report(reports) or "every entry is on the board already")
    there = len(imported.entries) - len(reports)
    click.echo(f"{counted(len(reports), 'entry')} written, {there} were on the board already", err=True)
    if reports and not options["accept"]:
        click.echo("self-reported until `imagenet-hard verify --accept`", err=True)
    return 0


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
@training_options
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
    """Evaluate MODEL for the board, and enter it as reproduced. For maintainers.

    MODEL is a published one, such as timm:NAME. Its weights are loaded as data, and nobody's code is run.
    Run the command again to go on: what is done is not done twice. Commit the entry and its record together.
    """
    from imagenet_hard.cli.console import at_work, progress_bars
    from imagenet_hard.leaderboard.own_run import SUBMITTER, evaluate_for_board
    from imagenet_hard.leaderboard.verify.ownership import Author
    from imagenet_hard.leaderboard.verify.report import text_report

    options["owners"] = [Author.parse(each) for each in options["owners"]]
    options["training"] = training_given(options)
    for name in ("trained_on", "fine_tuned_on", "distilled_from"):
        del options[name]
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


@click.command("withdraw")
@click.argument("entry")
@click.option("--by", required=True, metavar="ACCOUNT", help="Who takes it back: github:LOGIN or hub:USER.")
@click.option("--why", required=True, metavar="TEXT", help="The reason, in a line that everybody may read.")
@entries_option
def withdraw_command(entry: str, entries: Path, by: str, why: str) -> int:
    """Take ENTRY off the board and leave a record of who did it, when and why.

    This deletes the entry's folder and writes withdrawn/ENTRY.json. No other entry gets the id. Send both
    changes in one pull request of the owner or a maintainer.
    """
    from imagenet_hard.leaderboard.verify.ownership import Author
    from imagenet_hard.leaderboard.withdrawn import withdraw

    today = dt.datetime.now(dt.UTC).date()
    click.echo(withdraw(entries, entry, by=str(Author.parse(by)), why=why, date=today))
    return 0


def _gold(entries: Path, benchmark: str, labels: Path | None) -> Gold:
    from imagenet_hard.leaderboard.board import BENCHMARKS
    from imagenet_hard.leaderboard.gold import find_gold
    from imagenet_hard.leaderboard.importing import gold_of_labels

    golds = entries.absolute().parent / BENCHMARKS
    return gold_of_labels(labels, benchmark) if labels else find_gold(golds, benchmark)


MAINTAINERS = (import_command, evaluate_command, request_command, withdraw_command)
"""Commands of the group ``leaderboard``."""
