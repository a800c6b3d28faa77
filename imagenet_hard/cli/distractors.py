"""``imagenet-hard distractors``: the table of wrong answers that "choices" draws from."""

from __future__ import annotations

from pathlib import Path

import click

from imagenet_hard.base.errors import UsageError
from imagenet_hard.cli.console import at_work
from imagenet_hard.cli.match import check_which, labels_by
from imagenet_hard.cli.options import PATH, path_option


@click.command("distractors", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("results", nargs=-1, required=True, type=PATH)
@click.option("--dataset", "-d", metavar="NAME", help="The benchmark that the results are on.")
@click.option(
    "--gold", metavar="NAME", help="The benchmark by its gold: a name, or the beginning of a fingerprint."
)
@path_option("--golds", help="Gold labels [default: leaderboard/benchmarks, here or the package's].")
@path_option("--out", "-o", required=True, metavar="FILE", help="The table (JSON).")
def command(
    results: tuple[Path, ...], dataset: str | None, gold: str | None, golds: Path | None, out: Path
) -> int:
    """Make a table of distractors from RESULTS: those of known models on all images of one benchmark.

    The table says of each class which others these models take its images for.
    `imagenet-hard-eval --model api:MODEL --protocol choices --distractors FILE` lets a model choose among
    them.
    """
    check_which(dataset, gold, golds)
    from imagenet_hard.evaluation.difficulty import results_on_one_benchmark
    from imagenet_hard.evaluation.generative.distractors import distractors_of, write_distractors

    with at_work():
        pairs = results_on_one_benchmark(results)
        about, ids = pairs[0][0].benchmark, pairs[0][1].ids
        found = labels_by(dataset, gold, golds)
        if found.info.fingerprint != about.fingerprint:
            raise UsageError(
                f"the results are on {about.name} (fingerprint {about.fingerprint[:12]}...), and "
                f"{found.info.name} has {found.info.fingerprint[:12]}..., other images or labels: name the "
                "benchmark that they are on"
            )
        of = dict(zip(found.ids, found.labels, strict=True))
        table = distractors_of(
            [predictions for _, predictions in pairs],
            [of[id] for id in ids],
            [result.model.key for result, _ in pairs],
            benchmark=about.name,
            fingerprint=about.fingerprint,
        )
        write_distractors(out, table)
    filled = sum(bool(row) for row in table.confused)
    click.echo(
        f"{out}: {filled:,} classes of {about.name} with what {len(pairs)} models take them for "
        f"(sha256 {table.sha256[:12]}...)"
    )
    return 0
