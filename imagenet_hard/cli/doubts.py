"""``imagenet-hard doubts``: which labels of a benchmark are likely wrong."""

from __future__ import annotations

from pathlib import Path

import click

from imagenet_hard.cli.console import console
from imagenet_hard.cli.options import PATH, entries_option, path_option


@click.command("doubts", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("answers", nargs=-1, type=PATH, metavar="[ANSWERS]...")
@click.option("--benchmark", metavar="NAME", help="The board's benchmark, by name or fingerprint.")
@entries_option
@path_option(
    "--labels", metavar="FILE", help="The labels, where no board has them: Parquet, CSV, JSON or text."
)
@path_option(
    "--truth", metavar="FILE", help="Better labels, such as ReaL's real.json, to measure the list by."
)
@click.option(
    "--top", type=click.IntRange(min=0), default=20, show_default=True, metavar="N", help="Images to show."
)
@path_option("--out", "-o", metavar="FILE", help="Write the whole list (CSV).")
@click.option("--json", "as_json", is_flag=True, help="Print the whole list as JSON.")
def command(
    answers: tuple[Path, ...],
    benchmark: str | None,
    entries: Path,
    labels: Path | None,
    truth: Path | None,
    top: int,
    out: Path | None,
    as_json: bool,
) -> int:
    """Rank images by how much the answers speak against their labels.

    \b
    imagenet-hard doubts --benchmark imagenet-hard -o doubts.csv
    imagenet-hard doubts top5.parquet --labels val.txt --truth real.json
    imagenet-hard doubts results/A.json results/B.json --labels val.txt

    ANSWERS are results of imagenet-hard-eval (.json), or tables with "id" and a column of class indices for
    each model. Without them, the board's entries are taken. First come the images for which they agree on a
    class that is not a label. Each counts by its odds of being right; near-copies of a model count once.
    """
    import json

    from imagenet_hard.base.files import write_atomically
    from imagenet_hard.leaderboard.ballots import labels_by_id, read_board_answers, read_files
    from imagenet_hard.leaderboard.board import BENCHMARKS
    from imagenet_hard.leaderboard.doubt_tables import as_csv, tables
    from imagenet_hard.leaderboard.doubts import doubt_list
    from imagenet_hard.leaderboard.gold import find_gold

    if (benchmark is None) == (labels is None):
        raise click.UsageError("whose labels? Give --benchmark NAME of a board, or --labels FILE")
    if labels is not None and not answers:
        raise click.UsageError("--labels is for ANSWERS: give results or tables of predictions")
    board = entries.absolute().parent
    known = labels if labels is not None else find_gold(board / BENCHMARKS, str(benchmark))
    if answers:
        read = read_files(answers, known)
    else:
        read = read_board_answers(board, find_gold(board / BENCHMARKS, str(benchmark)))
    found = doubt_list(read, None if truth is None else labels_by_id(truth, read.gold.ids))
    if out is not None:
        write_atomically(out, as_csv(found).encode())
        click.echo(f"{out}: {len(found.doubts):,} images", err=True)
    if as_json:
        click.echo(json.dumps(found.model_dump(mode="json"), indent=2))
        return 0
    screen = console()
    for table in tables(found, top):
        screen.print(table.terminal())
    return 0
