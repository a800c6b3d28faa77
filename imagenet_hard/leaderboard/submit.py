"""Turn a result into an entry, and put it where the board takes entries from."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.records import first_problem
from imagenet_hard.base.text import shorten
from imagenet_hard.evaluation.generative.prompts import OPEN
from imagenet_hard.evaluation.generative.score import matched, this_matcher
from imagenet_hard.evaluation.result import Result, read_answers_of, read_result
from imagenet_hard.leaderboard.answers import ANSWERS_FILES, Answers, write_answers
from imagenet_hard.leaderboard.entry import (
    ENTRY_FILE,
    Claim,
    Entry,
    ReportedTop1,
    entry_json,
    read_entry,
)
from imagenet_hard.leaderboard.gold import Gold, known_golds, read_gold
from imagenet_hard.leaderboard.ids import benchmark_part, entry_id
from imagenet_hard.leaderboard.imagenet_top1 import published_top1
from imagenet_hard.leaderboard.plain_text import Link
from imagenet_hard.leaderboard.training import Training
from imagenet_hard.leaderboard.training_tags import training_by_tag
from imagenet_hard.leaderboard.verify.ownership import Author, check_ownership, id_on_board
from imagenet_hard.leaderboard.verify.report import Report
from imagenet_hard.leaderboard.verify.run import verify
from imagenet_hard.leaderboard.words import Words, words_bytes


@dataclass(frozen=True)
class Submission:
    """An entry and its answers, checked by the board's own validator."""

    entry: Entry
    answers: Answers
    report: Report

    @property
    def marker(self) -> str:
        """16 hex digits that name this very content; the same submission has the same marker."""
        content = self.entry.digest + self.entry.predictions_sha256
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def files(self) -> dict[str, bytes]:
        """Path below the board's root -> content."""
        with tempfile.TemporaryDirectory(prefix="imagenet-hard-submit-") as folder:
            write_answers(Path(folder), self.answers)
            answers = (Path(folder) / self.answers.file).read_bytes()
        return {
            f"entries/{self.entry.id}/{ENTRY_FILE}": entry_json(self.entry).encode(),
            f"entries/{self.entry.id}/{self.answers.file}": answers,
        }


def make_submission(
    result: Path,
    golds: Path,
    *,
    name: str,
    org: str,
    submitter: str | None = None,
    owners: Sequence[Author] = (),
    links: Sequence[tuple[str, str]] = (),
    training_data: str = "",
    training: Training | None = None,
    training_by_its_tag: bool = True,
    date: dt.date | None = None,
    used_in_curation: bool | None = None,
    imagenet_top1: float | None = None,
    imagenet_source: str | None = None,
    entries: Path | None = None,
) -> Submission:
    """The entry of ``result``, a ``.json`` of ``imagenet-hard-eval`` with its ``.parquet`` beside it, or its
    ``.answers.jsonl``.

    ``links``: (label, https address); ``submitter``: default ``org``; ``owners``: the accounts that may
    replace the entry later, one a platform; ``training``: default what the tag of the weights states, but
    with ``training_by_its_tag`` False; ``date``: default the result's day;
    ``used_in_curation``: default what the benchmark's gold says. ``imagenet_top1``: in percent, as reported
    at the https address ``imagenet_source``; default what torchvision states of its own weights.
    ``entries``: the board's, where the model keeps the id that it has on this benchmark. A result with
    test-time augmentation gets its label at the end of ``name``, unless that has it; one of answers in words
    the protocol's, but for "open".

    Raises:
        UsageError: a field that no entry may have; the message names it.
        ResultError: the result is malformed, on an unknown benchmark, or does not pass verification.
    """
    found, predictions = read_result(result)
    if estimate := found.estimate:
        raise UsageError(
            f"{result} is an estimate from {estimate.drawn:,} of {estimate.images:,} images "
            f"({100 * estimate.low:.1f} to {100 * estimate.high:.1f} %), and estimates are never ranked as "
            "scores: score all images, without --estimate and --until, and submit that"
        )
    gold = read_gold(golds, found.benchmark.fingerprint)
    answers = Answers.of(predictions) if found.answers is None else _in_words(result, found, gold)
    if (tta := found.protocol.tta) and tta.label not in name:
        name = f"{name} + {tta.label}"
    if found.answers and (asked := found.answers.asked) and asked.prompt.name not in (OPEN, *name.split()):
        name = f"{name} + {asked.prompt.name}"
    fingerprint = gold.info.fingerprint
    id = entry_id(org, name, benchmark_part(fingerprint, known_golds(golds)))
    try:
        entry = Entry(
            id=id_on_board(entries, id, fingerprint) if entries else id,
            name=name,
            org=org,
            submitter=org if submitter is None else submitter,
            owner={each.platform: each.account for each in owners} or None,
            links=tuple(link(label, url) for label, url in links),
            training_data=training_data,
            training=training or (training_by_tag(found.model) if training_by_its_tag else None),
            date=date or found.created.date(),
            used_in_curation=gold.curated_by(found.model) if used_in_curation is None else used_in_curation,
            imagenet=_reported(imagenet_top1, imagenet_source) or published_top1(found.model),
            model=found.model,
            benchmark=found.benchmark,
            claim=Claim(
                n_correct=found.metrics.n_correct,
                n_top5=found.metrics.top5.n_correct if found.metrics.top5 else None,
                n_total=found.metrics.n_total,
            ),
            probabilities=answers.predictions is not None,
            predictions_sha256=answers.sha256,
            result=found,
        )
    except ValidationError as error:
        raise UsageError(f"no entry can be made of this: {first_problem(error)}") from None
    report = _verified(entry, answers, golds)
    return Submission(entry, answers, report)


def _in_words(path: Path, result: Result, gold: Gold) -> Answers:
    """The answers beside a result, read by the matcher that the result names.

    Raises:
        ResultError: that is another release's, or an answer is longer than an entry's may be.
    """
    assert result.answers is not None
    before, now = result.answers.matcher, this_matcher()
    if before != now:
        raise ResultError(
            f"{path} was read by matcher {before.version} ({before.sha256[:12]}...), this release has "
            f"{now.version} ({now.sha256[:12]}...): run imagenet-hard-eval as before, which reads the "
            "answers again and repeats no call"
        )
    raw, _ = read_answers_of(path, result)
    words_bytes(raw)  # its bounds
    return Answers.in_words(Words.of(raw, matched(raw), gold.labels_by_id))


def _reported(percent: float | None, source: str | None) -> ReportedTop1 | None:
    if (percent is None) != (source is None):
        raise UsageError("an ImageNet top-1 needs its source, and a source the figure: give both or neither")
    if percent is None or source is None:
        return None
    if 0 < percent <= 1:
        raise UsageError(f"the ImageNet top-1 {percent:g}: expected percent, as 76.1; a share times 100")
    try:
        return ReportedTop1(percent=percent, source=link("as reported", source))
    except ValidationError as error:
        raise UsageError(f"the ImageNet top-1 {percent}: {first_problem(error)}") from None


def link(label: str, url: str) -> Link:
    """A labelled address as somebody typed it.

    Raises:
        UsageError: no entry may have it.
    """
    try:
        return Link(label=label, url=url)
    except ValidationError as error:
        raise UsageError(f"the link {shorten(label)} to {shorten(url)}: {first_problem(error)}") from None


def _verified(entry: Entry, answers: Answers, golds: Path) -> Report:
    """The board's own validator, over the very files that are submitted."""
    with tempfile.TemporaryDirectory(prefix="imagenet-hard-submit-") as scratch:
        folder = Path(scratch) / entry.id
        _write(folder, entry, answers)
        (report,) = verify([folder], golds=golds, trusted=True)
    if report.failed:
        raise ResultError(f"the board would refuse the entry {entry.id}: {report.failures}")
    return report


def write_submission(entries: Path, submission: Submission, *, replace: bool = False) -> bool:
    """Write ``entries/ORG__MODEL``, whole or not at all; False where this very submission is there already.

    ``replace``: put it in the place of an entry of the same submitter, model and benchmark.

    Raises:
        ResultError: the id is another's, or taken and ``replace`` is not given, or the disk refuses.
    """
    entry = submission.entry
    check_ownership(entry, entries)
    folder = entries / entry.id
    if folder.exists():
        if read_entry(folder) in (entry, _without_tag(entry)):
            return False
        if not replace:
            raise ResultError(
                f"{folder} holds an earlier entry of the same submitter and model: give --replace, "
                "or choose another --name"
            )
    # Hidden until it is whole; the name keeps two processes apart.
    staged = entries / f".{entry.id}.{os.getpid()}.tmp"
    try:
        _write(staged, entry, submission.answers)
        if folder.exists():
            # answers first: entry.json names their hash, so a crash in between is found by verify.
            for file in (submission.answers.file, ENTRY_FILE):
                (staged / file).replace(folder / file)
            for file in set(ANSWERS_FILES) - {submission.answers.file}:
                (folder / file).unlink(missing_ok=True)  # an earlier state's
        else:
            staged.rename(folder)
    except OSError as error:
        raise ResultError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return True


def _without_tag(entry: Entry) -> Entry:
    """The entry as releases made it that did not read tags: it is no other for that."""
    by_tag = entry.training is not None and entry.training.said_by == "tag"
    return entry.model_copy(update={"training": None}) if by_tag else entry


def _write(folder: Path, entry: Entry, answers: Answers) -> None:
    write_answers(folder, answers)
    write_atomically(folder / ENTRY_FILE, entry_json(entry).encode())
