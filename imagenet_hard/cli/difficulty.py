"""``imagenet-hard difficulty``: the table that estimates draw by."""

from __future__ import annotations

from pathlib import Path

import click

from imagenet_hard.cli.options import PATH, path_option


@click.command("difficulty", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("results", nargs=-1, required=True, type=PATH)
@path_option("--out", "-o", required=True, metavar="FILE", help="The table (JSON).")
def command(results: tuple[Path, ...], out: Path) -> int:
    """Make a table of difficulties from RESULTS: those of known models on all images of one benchmark.

    The table says how many of them get each image right. It belongs to that benchmark, by its fingerprint.
    `imagenet-hard-eval --estimate N --difficulty FILE` draws images by it. Without --difficulty, the table
    leaderboard/benchmarks/difficulty/FINGERPRINT.json is used.
    """
    from imagenet_hard.evaluation.difficulty import difficulties_of
    from imagenet_hard.evaluation.draw import write_difficulties

    table = difficulties_of(results)
    write_difficulties(out, table)
    click.echo(
        f"{out}: {len(table.ids):,} images of {table.benchmark} (fingerprint {table.fingerprint[:12]}...), "
        f"by {len(table.models)} models"
    )
    return 0
