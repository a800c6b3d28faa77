"""``imagenet-hard match``: score answers in words that were produced elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from imagenet_hard.base.records import read_record
from imagenet_hard.base.types import BenchmarkInfo
from imagenet_hard.cli.console import at_work, console
from imagenet_hard.cli.options import PATH, path_option


class Labels(NamedTuple):
    """Of a benchmark, in the order of its ids."""

    ids: Sequence[str]
    labels: Sequence[Sequence[int]]
    origins: Sequence[str]
    info: BenchmarkInfo


@click.command("match")
@click.argument("answers", type=PATH, metavar="ANSWERS.jsonl")
@click.option(
    "--dataset", "-d", metavar="NAME", help="The benchmark: imagenet-hard, sample, a folder, or a Hub id."
)
@click.option(
    "--gold", metavar="NAME", help="The benchmark by its gold: a name, or the beginning of a fingerprint."
)
@path_option("--golds", help="Gold labels [default: leaderboard/benchmarks, here or the package's].")
@click.option("--name", help="Whose answers they are [default: the file's name].")
@path_option("--out", "-o", default=Path("results"), help="Where the record and the raw answers go.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
def command(
    answers: Path,
    dataset: str | None,
    gold: str | None,
    golds: Path | None,
    name: str | None,
    out: Path,
    as_json: bool,
) -> int:
    """Score answers in words, one to each image of a benchmark: top-1 only.

    ANSWERS.jsonl has one line for each image, {"id": "...", "answer": "..."}. Which classes an answer names
    is decided by fixed rules, without a model; an answer counts as right if it names a label of the image.
    Answers that name no class, several, or a wider term are wrong, and counted apart.
    """
    check_which(dataset, gold, golds)
    if name is not None and not 0 < len(name) <= 256:
        raise click.UsageError("--name: expected 1 to 256 characters")
    from imagenet_hard.evaluation.generative.answers import check_same_ids, read_jsonl
    from imagenet_hard.evaluation.generative.matched_answers import (
        matched_tables,
        score_answers,
        write_matched,
    )
    from imagenet_hard.evaluation.generative.result_of_answers import result_of_others
    from imagenet_hard.evaluation.result import write_result

    with at_work():
        raw = read_jsonl(answers)
        # Ids are looked at before the images are read for the fingerprint.
        benchmark = labels_by(
            dataset, gold, golds, lambda ids, of: check_same_ids(raw, ids, of, str(answers))
        )
        check_free(out / f"{answers.stem}.json", raw.sha256, benchmark.info)
        record = score_answers(raw, *benchmark, name=name or answers.stem, where=str(answers))
        path = write_matched(out, answers.stem, record, raw)
        about = dict(zip(benchmark.ids, zip(benchmark.labels, benchmark.origins, strict=True), strict=True))
        labels, origins = zip(*(about[id] for id in raw.ids), strict=True)
        result, predictions = result_of_others(record.name, benchmark.info, raw, labels, origins)
        result_path = write_result(out, result, predictions, stem=answers.stem, raw=raw)
    click.echo(f"wrote {path} and {result_path}, and the raw answers beside them", err=True)
    if as_json:
        click.echo(record.model_dump_json(indent=2))
    else:
        for table in matched_tables(record):
            console().print(table.terminal())
    return 0


def check_free(path: Path, answers_sha256: str, benchmark: BenchmarkInfo) -> None:
    """No result of other answers, or on another benchmark, is replaced.

    Raises:
        click.UsageError: there is one; or there is a file that is none.
    """
    from imagenet_hard.evaluation.result import Result

    if not path.exists():
        return
    there = read_record(path, Result)
    if there.benchmark.fingerprint != benchmark.fingerprint:
        other = f"on {there.benchmark.name}"
    elif there.answers is None or there.answers.answers_sha256 != answers_sha256:
        other = f"of other answers, {there.model.name}'s"
    else:
        return
    raise click.UsageError(f"{path} is a result {other}: give another --out, or remove it")


def check_which(dataset: str | None, gold: str | None, golds: Path | None) -> None:
    """One of ``--dataset`` and ``--gold`` is given.

    Raises:
        click.UsageError: it is not.
    """
    if (dataset is None) == (gold is None):
        raise click.UsageError("give --dataset or --gold, one of them")
    if golds is not None and gold is None:
        raise click.UsageError("--golds goes with --gold")


def labels_by(
    dataset: str | None,
    gold: str | None,
    golds: Path | None,
    check: Callable[[Sequence[str], str], None] = lambda ids, name: None,
) -> Labels:
    """The labels of a benchmark; ``check(ids, name)`` is called before a data set's images are read."""
    if dataset is None:
        return _of_gold(str(gold), golds)
    from imagenet_hard.dataset.load import load_dataset

    loaded = load_dataset(dataset)
    check(loaded.ids, loaded.name)
    return Labels(loaded.ids, loaded.labels, loaded.origins, loaded.info(loaded.fingerprint()))


def _of_gold(gold: str, golds: Path | None) -> Labels:
    from imagenet_hard.cli.verify import golds_folder
    from imagenet_hard.leaderboard.gold import find_gold

    found = find_gold(golds_folder(golds, Path("leaderboard/entries")), gold)
    return Labels(found.ids, found.labels, found.origins, found.benchmark)
