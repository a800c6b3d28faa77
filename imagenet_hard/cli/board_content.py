"""``imagenet-hard leaderboard import`` and ``withdraw``: what maintainers put on the board and take off."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagenet_hard.base.text import counted
from imagenet_hard.cli.options import PATH, entries_option, links_option, path_option

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
    help="Ids and labels of a benchmark that the board has not: Parquet, CSV or text.",
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
@click.option("--training-data", default="", help="What the models were trained on, in words.")
@click.option(
    "--used-in-curation", multiple=True, metavar="MODEL", help="A model of the file that chose the images."
)
@entries_option
@click.option(
    "--accept", is_flag=True, help="Keep the reports as the board's, which gives the entries their tier."
)
def import_command(file: Path, entries: Path, **options: Any) -> int:
    """Make entries of class indices that others published, one a model.

    FILE is Parquet, CSV or NPZ: "id" and a column a model with a class index in 0..999 for each image, or
    five, best first. Of top-1 alone an entry shows no top-5. Every image of the benchmark needs an answer.
    What the board has stays as it is: no entry is overwritten, and nothing is written if any model fails.
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
        used_in_curation=options["used_in_curation"],
        board=entries.absolute().parent,
    )
    reports = write_imported(entries.absolute().parent, imported, accepted=options["accept"])
    click.echo(text_report(reports) or "every entry is there already")
    there = len(imported.entries) - len(reports)
    click.echo(f"{counted(len(reports), 'entry')} written, {there} there already", err=True)
    if reports and not options["accept"]:
        click.echo("self-reported until `imagenet-hard verify --accept`", err=True)
    return 0


@click.command("withdraw")
@click.argument("entry")
@click.option("--by", required=True, metavar="ACCOUNT", help="Who takes it back: github:LOGIN or hub:USER.")
@click.option("--why", required=True, metavar="TEXT", help="The reason, in a line that everybody may read.")
@entries_option
def withdraw_command(entry: str, entries: Path, by: str, why: str) -> int:
    """Take ENTRY off the board and leave a record of who did it, when and why.

    The folder goes, withdrawn/ENTRY.json comes, and no other entry gets the id. A pull request of the owner,
    or of a maintainer, with both is accepted.
    """
    from imagenet_hard.leaderboard.verify.ownership import Author
    from imagenet_hard.leaderboard.withdrawn import withdraw

    today = dt.datetime.now(dt.UTC).date()
    click.echo(withdraw(entries, entry, by=str(Author.parse(by)), why=why, date=today))
    return 0


def _gold(entries: Path, benchmark: str, labels: Path | None) -> Gold:
    from imagenet_hard.leaderboard.board import BENCHMARKS
    from imagenet_hard.leaderboard.importing import find_gold, gold_of_labels

    golds = entries.absolute().parent / BENCHMARKS
    return gold_of_labels(labels, benchmark) if labels else find_gold(golds, benchmark)
