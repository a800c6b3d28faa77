"""What an entry's own files say: everything that has to hold before a score is believed.

What a submitter typed is compared with what the predictions and the gold say, never used.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from imagenet_hard.errors import ResultError
from imagenet_hard.leaderboard.answers import Answers, answers_file, read_answers
from imagenet_hard.leaderboard.checklist import CheckFailed, Checklist, Finding
from imagenet_hard.leaderboard.entry import ENTRY_FILE, Entry, read_entry
from imagenet_hard.leaderboard.gold import Gold
from imagenet_hard.leaderboard.report import SCORE
from imagenet_hard.leaderboard.rescore import Rescored, check_claim, check_ids, check_metrics, rescore
from imagenet_hard.leaderboard.softmax_laws import check_softmax

GoldOf = Callable[[str], Gold]


@dataclass(frozen=True)
class Examined:
    """An entry whose files hold together."""

    entry: Entry
    gold: Gold
    answers: Answers
    rescored: Rescored


def examine(folder: Path, checklist: Checklist, gold_of: GoldOf, base: Path | None) -> Examined | None:
    """Check an entry's folder; None where a check failed. Each check is noted on the list.

    ``gold_of``: fingerprint -> gold, raising ResultError; ``base``: the entries that the board holds already.
    """
    try:
        return _examine(folder, checklist, gold_of, base)
    except CheckFailed:
        checklist.add("further checks", "skipped", "a check that they build on failed")
        return None


def _examine(folder: Path, checklist: Checklist, gold_of: GoldOf, base: Path | None) -> Examined:
    step = checklist.step
    step("folder", lambda: _check_folder(folder))
    entry = step("schema", lambda: read_entry(folder))
    if base is not None:
        step("ownership", lambda: check_ownership(entry, base), str)
    gold = step("benchmark", lambda: _known(entry, gold_of), lambda gold: gold.info.name)
    answers = step(
        "predictions",
        lambda: read_answers(folder, probabilities=entry.probabilities, isolated=True),
        lambda answers: f"{len(answers.ids)} rows",
    )
    step("hash", lambda: check_hash(entry, answers))
    step("ids", lambda: check_ids(answers, gold))
    epsilon = entry.result.metrics.near_ties.epsilon if entry.result else None
    rescored = rescore(answers, gold, near_tie_epsilon=epsilon)
    step(SCORE, lambda: check_claim(entry, rescored), lambda _: f"recomputed: top-1 {rescored.top1}")
    step("metrics", lambda: check_metrics(entry, rescored))
    if answers.predictions is None:
        checklist.add("probabilities", "skipped", "the entry has none")
    else:
        predictions = answers.predictions
        step("probabilities", lambda: check_softmax(predictions))
    checklist.flag("curation", _curation(entry, gold))
    return Examined(entry, gold, answers, rescored)


def check_hash(entry: Entry, answers: Answers) -> None:
    """The predictions are those that the entry names.

    Raises:
        ResultError: they are not.
    """
    if answers.sha256 != entry.predictions_sha256:
        raise ResultError(
            f"the predictions hash to {answers.sha256[:16]}...: the entry {entry.id} names "
            f"{entry.predictions_sha256[:16]}..."
        )


def check_ownership(entry: Entry, base: Path) -> str:
    """No entry takes another's place: an id belongs to the submitter, model and benchmark that had it first.

    Raises:
        ResultError: the board has the id, or one that differs in capitals only, for something else.
    """
    held = [p for p in base.iterdir() if p.name.casefold() == entry.id.casefold()] if base.is_dir() else []
    if not held:
        return "a new entry"
    if held[0].name != entry.id:
        raise ResultError(
            f"the board has {held[0].name}, which differs in capitals only: choose another name"
        )
    before = read_entry(held[0])
    for what, had, has in (
        ("submitter", before.submitter, entry.submitter),
        ("model", _identity(before), _identity(entry)),
        ("benchmark", before.benchmark.fingerprint, entry.benchmark.fingerprint),
    ):
        if had != has:
            raise ResultError(
                f"the board has {entry.id} already, with the {what} {had!r}: got {has!r}; choose another name"
            )
    return (
        "the same as on the board" if before == entry else "replaces an entry of the same submitter and model"
    )


def _check_folder(folder: Path) -> None:
    """Two regular files and nothing else: no link can lead elsewhere, nothing rides along."""
    try:
        if folder.is_symlink() or folder.parent.is_symlink() or not folder.is_dir():
            raise ResultError(f"{folder} is not a folder (links are not followed)")
        modes = {each.name: each.stat(follow_symlinks=False).st_mode for each in os.scandir(folder)}
    except OSError as error:
        raise ResultError(f"{folder} cannot be read: {error.strerror or error}") from None
    if linked := sorted(name for name, mode in modes.items() if not stat.S_ISREG(mode)):
        raise ResultError(f"{linked[0]!r} is not a regular file: links and folders are refused")
    if set(modes) not in [{ENTRY_FILE, answers_file(probabilities)} for probabilities in (True, False)]:
        raise ResultError(
            f"the folder holds {sorted(modes)[:5]}: expected {ENTRY_FILE} and {answers_file(True)} "
            f"(or {answers_file(False)}), nothing else"
        )


def _identity(entry: Entry) -> tuple[str | None, ...]:
    model, tta = entry.model, entry.protocol.tta if entry.protocol else None
    # Test-time augmentation makes another row; without it the identity is what it always was.
    return (model.backend, model.name, model.tag, *([tta.label] if tta else []))


def _known(entry: Entry, gold_of: GoldOf) -> Gold:
    gold = gold_of(entry.benchmark.fingerprint)
    # Not its name: one set may be read from a folder and from the Hub.
    if entry.benchmark.n != gold.info.n:
        raise ResultError(f"benchmark.n is {entry.benchmark.n}: {gold.info.name} has {gold.info.n} images")
    return gold


def _curation(entry: Entry, gold: Gold) -> Finding:
    chose = gold.curated_by(entry.model)
    if chose == entry.used_in_curation:
        return False, "the model chose the images, and the entry says so" if chose else ""
    if chose:
        return True, "the model chose the images of this benchmark, and the entry does not say so"
    return True, "the entry says that the model chose the images; the benchmark does not list it"
