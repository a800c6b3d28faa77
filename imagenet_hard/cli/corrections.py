"""``leaderboard correct`` and ``corrections``: other labels for a benchmark, and what they move."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import click

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.text import counted, pct, points, shorten_list
from imagenet_hard.cli.console import console
from imagenet_hard.cli.options import PATH, entries_option, path_option


@click.command("correct")
@click.argument("name")
@click.argument("decisions", nargs=-1, required=True, type=PATH)
@click.option("--benchmark", required=True, metavar="NAME", help="The board's, by name or fingerprint.")
@path_option("--adjudication", metavar="FILE", help="Decisions CSV that settles what reviewers differ about.")
@entries_option
def correct_command(
    name: str, decisions: tuple[Path, ...], benchmark: str, adjudication: Path | None, entries: Path
) -> int:
    """Make the correction NAME of the reviewers' DECISIONS: a file to send by pull request.

    DECISIONS are the CSV files of `curate review`. The labels that they change make the next version of the
    benchmark's gold; dropped images are taken out of it.
    """
    from imagenet_hard.base.files import write_atomically
    from imagenet_hard.curation.records import Survivor
    from imagenet_hard.curation.review.actions import ACTIONS
    from imagenet_hard.curation.review.merge import merge
    from imagenet_hard.leaderboard.board import BENCHMARKS
    from imagenet_hard.leaderboard.corrections import (
        CORRECTIONS,
        NAME,
        PairAgreement,
        make_correction,
        newest,
        read_corrections,
        versions,
    )
    from imagenet_hard.leaderboard.gold import find_gold

    board = entries.absolute().parent
    path = board / CORRECTIONS / f"{name}.json"
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r}: expected small letters, digits and '-', at most 60")
    if path.exists():
        raise UsageError(f"{path} already exists: choose another name")
    first, there = find_gold(board / BENCHMARKS, benchmark), read_corrections(board)
    gold = newest(first, there)
    if not gold.info.images:
        raise UsageError(
            f"the gold of {gold.info.name} has no hashes of images, which the decisions are about"
        )
    rows = zip(gold.ids, gold.origins, gold.labels, gold.image_sha256, strict=True)
    images = {row[0]: Survivor(*row) for row in rows}
    merged = merge(decisions, images, adjudication)
    if merged.conflicts:
        raise UsageError(
            f"the reviewers differ about {counted(len(merged.conflicts), 'image')} "
            f"({shorten_list([each.id for each in merged.conflicts], 3)}): settle them with --adjudication"
        )
    labels = dict(zip(gold.ids, gold.labels, strict=True))
    reviewers = [each for each in decisions if not adjudication or each.resolve() != adjudication.resolve()]
    kept = {id for id, each in merged.decisions.items() if ACTIONS[each.action].effect == "stays"}
    made = make_correction(
        gold,
        {
            id: (
                labels[id] if id in kept else each.labels,  # of what leaves there are none
                each.reason or "labels chosen in review",
                each.reviewers,
            )
            for id, each in merged.decisions.items()
        },
        date=dt.datetime.now(dt.UTC).date(),
        agreement=[
            PairAgreement(reviewers=(a.first, a.second), n=a.n, equal=a.raw, kappa=a.kappa)
            for a in merged.agreement
        ],
        adjudicated=[each.id for each in merge(reviewers, images).conflicts],  # all of them are settled
    )
    versions(first, {**there, name: made})  # as whoever reads it will find
    write_atomically(path, (made.model_dump_json(indent=1) + "\n").encode())
    click.echo(
        f"{counted(len(made.images), 'image')}, {made.taken_out} of them taken out; version "
        f"{made.fingerprint[:12]}... to {made.corrected[:12]}...",
        err=True,
    )
    click.echo(path)
    return 0


@click.command("corrections")
@entries_option
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
def corrections_command(entries: Path, as_json: bool) -> int:
    """Check all corrections of labels, and show what each moves: entries are scored again from their answers.

    Exit code 1 where a correction does not hold.
    """
    from imagenet_hard.base.tables import Table
    from imagenet_hard.leaderboard.corrections import check_corrections
    from imagenet_hard.leaderboard.site.from_entries import read_site

    check_corrections(entries.absolute().parent)
    site = read_site(entries)
    for left_out in site.left_out:
        click.echo(f"Left out: {left_out}", err=True)
    if as_json:
        found = [
            {
                "name": each.version.name,
                "benchmark": each.title,
                "fingerprint": each.version.correction.fingerprint,
                "corrected": each.version.correction.corrected,
                "images": len(each.version.correction.images),
                "entries": [
                    {
                        "id": e.id,
                        **e.moved.model_dump(mode="json"),
                        "place_before": e.place_before,
                        "place_after": e.place_after,
                    }
                    for e in each.entries
                ],
            }
            for each in site.corrected
        ]
        click.echo(json.dumps(found, indent=2))
        return 0
    screen = console()
    for each in site.corrected:
        rows = [
            (
                e.name,
                pct(e.moved.before.accuracy),
                pct(e.moved.after.accuracy),
                points(e.moved.difference),
                f"{points(e.moved.low)} to {points(e.moved.high)}",
                f"{e.place_before} to {e.place_after}",
            )
            for e in each.entries
        ]
        c = each.version.correction
        title = (
            f"{each.title}: {each.version.name}, {counted(len(c.images), 'image')}, {c.taken_out} taken out"
        )
        header = ["entry", "before %", "after %", "points", "95 %", "place"]
        screen.print(Table(header, rows, "lrrrrr", title).terminal())
    if not site.corrected:
        click.echo("There are no corrections.", err=True)
    return 0


CORRECTING = (correct_command, corrections_command)
"""Commands of the group ``leaderboard``."""
