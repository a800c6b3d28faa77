"""A model that the board evaluates itself: one run is the entry's score and its reproduction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imagenet_hard.base.errors import DatasetError, ResultError, UsageError
from imagenet_hard.base.text import counted
from imagenet_hard.base.types import Precision
from imagenet_hard.evaluation.result import Result, read_result
from imagenet_hard.leaderboard.board import BENCHMARKS, ENTRIES, VERIFIED, accept, accepted_report
from imagenet_hard.leaderboard.gold import Gold, find_gold
from imagenet_hard.leaderboard.requests import check_published
from imagenet_hard.leaderboard.submit import Submission, make_submission, write_submission
from imagenet_hard.leaderboard.training import Training
from imagenet_hard.leaderboard.verify.ownership import Author
from imagenet_hard.leaderboard.verify.report import REPRODUCTION, Report, check
from imagenet_hard.leaderboard.verify.rerun import subset
from imagenet_hard.leaderboard.verify.run import verify

SUBMITTER = "the board's maintainers"


@dataclass(frozen=True)
class OwnRun:
    """What came of it. ``wrote``: False where this very entry was there already."""

    folder: Path
    record: Path
    report: Report
    wrote: bool


def evaluate_for_board(
    model: str,
    board: Path,
    *,
    benchmark: str,
    work: Path,
    org: str,
    dataset: str | None = None,
    name: str | None = None,
    submitter: str = SUBMITTER,
    owners: Sequence[Author] = (),
    links: Sequence[tuple[str, str]] = (),
    training_data: str = "",
    training: Training | None = None,
    weights: str | None = None,
    device: str = "auto",
    precision: Precision = "fp32",
    batch_size: int | None = None,
    bars: Callable[[Any, bool], AbstractContextManager[Callable[..., Any]]] | None = None,
) -> OwnRun:
    """Score a published model on a benchmark of the board, and enter it as ``reproduced``.

    ``benchmark``: the board's, by name or fingerprint; ``dataset``: its images (default: where the gold says
    they are); ``work``: the folder of results. What is finished there is not done again, what was interrupted
    goes on; an entry that is there already stays. ``bars``: shows progress.

    Raises:
        UsageError: ``model`` is no published model, or a field that no entry may have.
        DatasetError: the images are not those of the gold.
        ResultError: no such benchmark, the id is another entry's, or verification fails.
        ClassifierError: the model cannot be loaded.
    """
    gold = find_gold(board / BENCHMARKS, benchmark)
    path = _scored(
        check_published(model),
        _images(gold, dataset),
        work,
        weights=weights,
        device=device,
        precision=precision,
        batch_size=batch_size,
        bars=bars,
    )
    result = read_result(path)[0]
    submission = make_submission(
        path,
        board / BENCHMARKS,
        name=name or _name(result),
        org=org,
        submitter=submitter,
        owners=owners,
        links=links,
        training_data=training_data,
        training=training,
        entries=board / ENTRIES,
    )
    try:
        wrote = write_submission(board / ENTRIES, submission)
    except ResultError as error:
        raise ResultError(
            f"{error}. An entry of somebody else is reproduced by `imagenet-hard verify "
            f"{submission.entry.id} --reproduce --dataset NAME --accept leaderboard/verified`"
        ) from None
    return _accepted(board, submission, result, wrote)


def _images(gold: Gold, dataset: str | None) -> Any:
    from imagenet_hard.dataset.load import load_dataset

    about = gold.info
    if dataset is None and about.source == "predictions":
        raise UsageError(f"the gold of {about.name} does not say where its images are: give --dataset")
    on_hub = "/" in about.source
    found = load_dataset(
        dataset or (about.source if on_hub else about.name),
        revision=about.revision if on_hub and dataset is None else None,
        split=about.split if dataset is None and on_hub else None,
    )
    if len(found) != len(gold.ids):
        raise DatasetError(f"{found.name} has {len(found)} images: {about.name} has {len(gold.ids)}")
    return subset(found, gold, gold.ids)


def _scored(model: str, images: Any, work: Path, bars: Any, **options: Any) -> Path:
    from imagenet_hard.evaluation.run import evaluate

    with bars(images, False) if bars else nullcontext(lambda _: None) as bar:
        result = evaluate(model, images, out=work, on_progress=bar(model), **options)
    for path in sorted(work.glob("*/*.json")):
        try:
            if read_result(path)[0] == result:
                return path
        except ResultError:
            continue  # another run's
    raise ResultError(f"the result on {model} is not in {work}: was the folder changed meanwhile?")


def _name(result: Result) -> str:
    """What the board calls the model, where nobody says."""
    model = result.model
    tag = None if model.backend == "bundled" else model.tag  # a file's name there
    return " ".join(filter(None, (model.name, tag)))


def _accepted(board: Path, submission: Submission, result: Result, wrote: bool) -> OwnRun:
    entry = submission.entry
    folder, record = board / ENTRIES / entry.id, board / VERIFIED / f"{entry.id}.json"
    before = accepted_report(board / VERIFIED, entry)
    if before and before.tier == "reproduced":
        return OwnRun(folder, record, before, wrote)
    (report,) = verify([folder], golds=board / BENCHMARKS, base=board / ENTRIES, trusted=True)
    if report.failed:
        raise ResultError(f"{entry.id} was written, but does not pass: {report.failures}")
    runtime = result.runtime
    done = check(
        REPRODUCTION,
        "passed",
        f"the entry is the board's own run on all {counted(len(submission.answers.ids), 'image')}: "
        f"{runtime.device}, {result.protocol.precision}",
    )
    report = report.model_copy(update={"checks": (*report.checks, done)})
    return OwnRun(folder, record, accept(board / VERIFIED, entry, report), wrote)
