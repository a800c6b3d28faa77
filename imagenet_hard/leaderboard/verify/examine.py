"""What an entry's own files say: everything that has to hold before a score is believed.

What a submitter typed is compared with what the predictions and the gold say, never used.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.text import counted, reason
from imagenet_hard.base.types import N_CLASSES, ModelSpec, Predictions
from imagenet_hard.leaderboard.answers import ANSWERS_FILES, Answers
from imagenet_hard.leaderboard.entry import ENTRY_FILE, Entry, read_entry
from imagenet_hard.leaderboard.gold import Gold
from imagenet_hard.leaderboard.ids import benchmark_of, benchmark_parts, model_of
from imagenet_hard.leaderboard.rescore import (
    Rescored,
    answers_of,
    check_claim,
    check_hash,
    check_ids,
    check_metrics,
    rescore,
)
from imagenet_hard.leaderboard.training import Training
from imagenet_hard.leaderboard.training_tags import training_by_tag
from imagenet_hard.leaderboard.verify.asked import check_asked, read_anew, reported_model
from imagenet_hard.leaderboard.verify.ownership import Author, check_ownership
from imagenet_hard.leaderboard.verify.report import SCORE, CheckFailed, Checklist, Finding

log = logging.getLogger(__name__)

EARLIEST = dt.date(2012, 1, 1)
"""The year of the 1000 classes, for a benchmark that does not say since when it is out."""

SOFTMAX_TOLERANCE = 1e-3
"""Absolute and relative: logits and their log probabilities are float32, each rounded on its own."""

GoldOf = Callable[[str], Gold]


@dataclass(frozen=True)
class Examined:
    """An entry whose files hold together."""

    entry: Entry
    gold: Gold
    answers: Answers
    rescored: Rescored


@dataclass(frozen=True)
class Request:
    """What entries are submitted together, and to whom.

    ``folders``: of the entries; ``base``: the entries that the board holds already; ``author``: who asks,
    where a platform says so; ``trusted``: the files are our own and are read in this process.
    """

    folders: tuple[Path, ...] = ()
    base: Path | None = None
    author: Author | None = None
    trusted: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Of the folders."""
        return tuple(folder.name for folder in self.folders)


def examine(folder: Path, checklist: Checklist, gold_of: GoldOf, request: Request) -> Examined | None:
    """Check an entry's folder; None where a check failed. Each check is noted on the list.

    ``gold_of``: fingerprint -> gold, raising ResultError.
    """
    try:
        return _examine(folder, checklist, gold_of, request)
    except CheckFailed:
        checklist.add("further checks", "skipped", "a check that they build on failed")
    except Exception as error:  # a fault of ours: one entry never takes the report from the others
        log.exception("checking %s", folder.name)
        checklist.add("further checks", "failed", f"could not be made: {reason(error)}")
    return None


def _examine(folder: Path, checklist: Checklist, gold_of: GoldOf, request: Request) -> Examined:
    step, base = checklist.step, request.base
    step("folder", lambda: _check_folder(folder, request.names))
    entry = step("schema", lambda: read_entry(folder))
    beside = [p for p in request.folders if model_of(p.name) == entry.model_id and p.name != entry.id]
    if base is not None or beside:
        step(
            "ownership", lambda: check_ownership(entry, base, request.author, beside), lambda finding: finding
        )
    gold = step("benchmark", lambda: _known(entry, gold_of), lambda gold: gold.info.name)
    step("date", lambda: _check_dates(entry, gold, checklist.now))
    answers = step(
        "predictions",
        lambda: answers_of(folder, entry, gold, isolated=not request.trusted),
        lambda answers: counted(len(answers.ids), "row"),
    )
    step("hash", lambda: check_hash(entry, answers))
    step("ids", lambda: check_ids(answers, gold))
    ties = entry.result.metrics.near_ties if entry.result else None
    epsilon = ties.epsilon if ties else None
    rescored = rescore(answers, gold, near_tie_epsilon=epsilon)
    step(SCORE, lambda: check_claim(entry, rescored), lambda _: f"recomputed: top-1 {rescored.top1}")
    step("metrics", lambda: check_metrics(entry, answers, rescored))
    if entry.words is not None:
        words = entry.words
        checklist.flag("matcher", read_anew(entry, words, rescored))
        if (asked := words.asked) is not None:
            step("asked", lambda: check_asked(asked, entry.benchmark.n))
            checklist.flag("reported model", reported_model(entry, asked))
    if answers.predictions is None:
        checklist.add("probabilities", "skipped", "the entry has none")
    else:
        predictions = answers.predictions
        step("probabilities", lambda: check_softmax(predictions))
    checklist.flag("curation", _curation(entry, gold))
    if entry.training is not None:
        checklist.flag("training data", _training(entry.model, entry.training))
    return Examined(entry, gold, answers, rescored)


def check_softmax(predictions: Predictions) -> None:
    """What any softmax obeys, whoever ran the model, beyond ``check_predictions`` (finite, falling, sum).

    The margin is the difference of the first two log probabilities, and each of the 995 classes that are
    not stored has at most the fifth one's probability.

    Raises:
        ResultError: how many rows break a law, and the first of them.
    """
    log_p = predictions.logprob5.astype(np.float64)
    margin = predictions.margin.astype(np.float64)
    p = np.exp(log_p)
    rest = (N_CLASSES - 5) * p[:, 4]
    for bad, law in (
        (
            np.abs(margin - (log_p[:, 0] - log_p[:, 1])) > SOFTMAX_TOLERANCE + SOFTMAX_TOLERANCE * margin,
            "the margin is not the difference of the first two log probabilities",
        ),
        (
            1 - p.sum(axis=1) > rest + SOFTMAX_TOLERANCE + SOFTMAX_TOLERANCE * rest,
            "the other 995 classes would be likelier than the fifth",
        ),
    ):
        if bad.any():
            row = int(np.argmax(bad))
            raise ResultError(
                f"no softmax over {N_CLASSES} classes gives these probabilities: in {int(bad.sum())} rows, "
                f"the first row {row} (id {predictions.ids[row]!r}), {law}"
            )


def _check_folder(folder: Path, names: Sequence[str]) -> None:
    """Two regular files and nothing else: no link can lead elsewhere, nothing rides along."""
    twins = sorted(each for each in names if _is_twin(each, folder.name))
    if len(twins) > 1:
        what = "the same" if len(set(twins)) == 1 else "which differ in capitals only"
        raise ResultError(f"among the entries to verify are {' and '.join(twins)} ({what}): leave one out")
    try:
        if folder.is_symlink() or folder.parent.is_symlink() or not folder.is_dir():
            raise ResultError(f"{folder} is not a folder (links are not followed)")
        modes = {each.name: each.stat(follow_symlinks=False).st_mode for each in os.scandir(folder)}
    except OSError as error:
        raise ResultError(f"{folder} cannot be read: {error.strerror or error}") from None
    if linked := sorted(name for name, mode in modes.items() if not stat.S_ISREG(mode)):
        raise ResultError(f"{linked[0]!r} is not a regular file: links and folders are refused")
    if set(modes) not in [{ENTRY_FILE, file} for file in ANSWERS_FILES]:
        raise ResultError(
            f"the folder holds {sorted(modes)[:5]}: expected {ENTRY_FILE} and {ANSWERS_FILES[0]} "
            f"(or {' or '.join(ANSWERS_FILES[1:])}), nothing else"
        )


def _is_twin(one: str, other: str) -> bool:
    """Whether ids, or their models' parts, are the same but for capitals; and a whole id is its own twin."""
    models = model_of(one), model_of(other)
    return one.casefold() == other.casefold() or (
        models[0] != models[1] and models[0].casefold() == models[1].casefold()
    )


def _known(entry: Entry, gold_of: GoldOf) -> Gold:
    gold = gold_of(entry.benchmark.fingerprint)
    # Not its name: one set may be read from a folder and from the Hub.
    if entry.benchmark.n != gold.info.n:
        raise ResultError(f"benchmark.n is {entry.benchmark.n}: {gold.info.name} has {gold.info.n} images")
    said, known = benchmark_of(entry.id), benchmark_parts(gold.info.name, gold.info.fingerprint)
    if said not in known:
        raise ResultError(
            f"the id says {said!r} of its benchmark, which is {gold.info.name}: expected "
            f"{' or '.join(f'{entry.model_id}__{part}' for part in known if part)}"
        )
    return gold


def _check_dates(entry: Entry, gold: Gold, now: datetime) -> None:
    since, until = gold.info.since or EARLIEST, (now + timedelta(days=1)).date()
    dates = [
        ("date", entry.date),
        *([("result.created", entry.result.created.date())] if entry.result else []),
    ]
    for what, date in dates:
        if not since <= date <= until:
            raise ResultError(f"{what} is {date}: expected {since}, when the images came out, to {until}")


def _training(model: ModelSpec, stated: Training) -> Finding:
    """Flagged only: what is known of tags differs between releases."""
    tag = training_by_tag(model)
    if tag.facts != stated.facts if tag else stated.said_by == "tag":
        said = ", which is to be what its tag states" if stated.said_by == "tag" else ""
        return True, f"the entry states {str(stated)!r}{said}; the tag states {str(tag or 'nothing')!r}"
    return False, f"{stated.group}, as the {stated.said_by} says"


def _curation(entry: Entry, gold: Gold) -> Finding:
    chose = gold.curated_by(entry.model)
    if chose == entry.used_in_curation:
        return False, "the model chose the images, and the entry says so" if chose else ""
    if chose:
        return True, "the model chose the images of this benchmark, and the entry does not say so"
    return True, "the entry says that the model chose the images; the benchmark does not list it"
