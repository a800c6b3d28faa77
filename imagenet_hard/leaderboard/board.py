"""The board's folder: entries, the gold they are scored against, and the reports that give them their tier.

leaderboard/entries/ID/entry.json + predictions.parquet            what was submitted (ids.py, answers.py)
leaderboard/benchmarks/<fingerprint>.json + .parquet               gold labels
leaderboard/verified/ID.json                                       what the board checked
leaderboard/withdrawn/ID.json                                      what was taken back
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.records import read_record
from imagenet_hard.leaderboard.answers import Answers, among
from imagenet_hard.leaderboard.corrections import CorrectedGold, Correction, read_corrections, versions
from imagenet_hard.leaderboard.entry import Entry, read_entry
from imagenet_hard.leaderboard.gold import Gold, read_gold
from imagenet_hard.leaderboard.ids import model_of
from imagenet_hard.leaderboard.rescore import Rescored, answers_of, check_claim, check_hash, rescore
from imagenet_hard.leaderboard.stats.moved import Moved, moved
from imagenet_hard.leaderboard.verify.report import (
    REPRODUCTION,
    SPOT_CHECK,
    Earlier,
    Report,
    tier_of,
)
from imagenet_hard.leaderboard.withdrawn import refuse_withdrawn

log = logging.getLogger(__name__)

ENTRIES, BENCHMARKS, VERIFIED = "entries", "benchmarks", "verified"


@dataclass(frozen=True)
class BoardEntry:
    """An entry as the page shows it: scored again from its answers; ``report`` is what the board checked."""

    entry: Entry
    answers: Answers
    gold: Gold
    rescored: Rescored
    report: Report | None
    earlier: tuple[Earlier, ...] = ()
    """States of it that were verified before, the first first."""
    corrected: tuple[tuple[CorrectedGold, Moved], ...] = ()
    """The versions of the gold since the one that it was submitted on, each with what it moved."""


def entry_folders(entries: Path) -> list[Path]:
    """The folders of a folder of entries, by name; files such as a README are passed over.

    Raises:
        ResultError: there is no such folder.
    """
    if not entries.is_dir():
        raise ResultError(f"there is no folder of entries at {entries}: give it with --entries")
    # A link counts, so that verification sees and refuses it.
    return sorted(
        p for p in entries.iterdir() if (p.is_dir() or p.is_symlink()) and not p.name.startswith(".")
    )


def read_board(board: Path, leave_out: Callable[[str], None] = log.warning) -> Iterator[BoardEntry]:
    """Every entry of a board's folder by id, one at a time: scored again, with its tier.

    Its own counts are checked against the gold that it was submitted on; the score is by the newest version
    of that, so all entries on a benchmark are scored by one.

    What cannot be placed (no gold, contradicted by its gold or its own predictions, a name that differs from
    another's in capitals only, a second entry of a model on a benchmark, withdrawn) is passed over;
    ``leave_out`` is told of it, with the reason.

    Raises:
        ResultError: there is no folder of entries.
    """
    folders = entry_folders(board / ENTRIES)
    twins = _twins(folder.name for folder in folders)
    golds: dict[str, tuple[Gold, tuple[CorrectedGold, ...]]] = {}
    corrections = _corrections(board, leave_out)
    placed: dict[tuple[str, str], str] = {}
    for folder in folders:
        try:
            if folder.name in twins:
                raise ResultError("another entry's name differs from it in capitals only")
            entry = read_entry(folder)
            digest = entry.benchmark.fingerprint
            refuse_withdrawn(board, folder.name, digest)
            if digest not in golds:
                golds[digest] = _versions(read_gold(board / BENCHMARKS, digest), corrections, leave_out)
            gold, later = golds[digest]
            current = later[-1].gold if later else gold
            if first := placed.get((entry.model_id, current.info.fingerprint)):
                raise ResultError(f"its model is on this benchmark already, as {first}")
            answers = answers_of(folder, entry, gold, isolated=False)
            check_hash(entry, answers)
            rescored = rescore(answers, gold, metrics=False)
            check_claim(entry, rescored)
            answers, rescored, changes = _by_newest(answers, rescored, later)
        except ResultError as error:
            leave_out(f"{folder.name} is left out: {error}")
            continue
        try:
            record = _record(board / VERIFIED, entry)
        except ResultError as error:
            record = None
            leave_out(f"the record on {folder.name} is left out: {error}")
        placed[entry.model_id, current.info.fingerprint] = entry.id
        report, earlier = _current(record, entry), _earlier(record, entry)
        yield BoardEntry(entry, answers, current, rescored, report, earlier, changes)


def _corrections(board: Path, leave_out: Callable[[str], None]) -> dict[str, Correction]:
    try:
        return read_corrections(board)
    except ResultError as error:
        leave_out(f"all corrections of labels are left out: {error}")
        return {}


def _versions(
    gold: Gold, corrections: dict[str, Correction], leave_out: Callable[[str], None]
) -> tuple[Gold, tuple[CorrectedGold, ...]]:
    """The gold and what it was corrected to; by itself where its corrections do not hold together."""
    try:
        return gold, versions(gold, corrections)
    except ResultError as error:
        leave_out(f"the corrections of {gold.info.name} are left out: {error}")
        return gold, ()


def _by_newest(
    answers: Answers, rescored: Rescored, later: tuple[CorrectedGold, ...]
) -> tuple[Answers, Rescored, tuple[tuple[CorrectedGold, Moved], ...]]:
    """Answers and score by the newest version, and what each version moved."""
    changes = []
    for version in later:
        before = rescored.correct
        answers = among(answers, version.kept, version.gold.ids, version.gold.labels)
        rescored = rescore(answers, version.gold, metrics=False)
        changes.append((version, moved(before, rescored.correct, version.kept)))
    return answers, rescored, tuple(changes)


def _twins(names: Iterable[str]) -> set[str]:
    """The ids that differ from another's, or whose model's part does, in capitals only."""
    alike: dict[str, set[str]] = defaultdict(set)
    names = list(names)
    for name in names:
        alike[model_of(name).casefold()].add(model_of(name))
        alike[name.casefold()].add(name)
    return {
        name for name in names if len(alike[model_of(name).casefold()]) > 1 or len(alike[name.casefold()]) > 1
    }


def accepted_report(verified: Path, entry: Entry) -> Report | None:
    """The board's report on this very entry: one on an earlier state of it counts for nothing.

    Raises:
        ResultError: the report is malformed.
    """
    return _current(_record(verified, entry), entry)


def _record(verified: Path, entry: Entry) -> Report | None:
    """What the board has on record under an entry's id, of whatever state."""
    path = verified / f"{entry.id}.json"
    return read_record(path, Report) if path.is_file() else None


def _current(record: Report | None, entry: Entry) -> Report | None:
    if record is None:
        return None
    if (record.entry, record.entry_sha256) != (entry.id, entry.digest) or record.failed:
        log.warning("the record on %s is not about it as it is now: verify it again", entry.id)
        return None
    return record


def _earlier(record: Report | None, entry: Entry) -> tuple[Earlier, ...]:
    """The states of an entry that the board verified before this one, on the same images."""
    about = (entry.id, entry.benchmark.fingerprint)
    return record.before(entry.digest) if record and (record.entry, record.fingerprint) == about else ()


def accept(verified: Path, entry: Entry, report: Report) -> Report:
    """Keep a report as the board's. A spot check or reproduction of the same entry made earlier stays in it,
    and so do the scores of the states that it replaced.

    Raises:
        ResultError: a check failed, the report is on something else, or the disk refuses.
    """
    if report.failed or (report.entry, report.entry_sha256) != (entry.id, entry.digest):
        raise ResultError(
            f"the report on {report.entry} cannot be kept: a check failed, or it is of another entry"
        )
    record = _record(verified, entry)
    before = _current(record, entry)
    done = {check.name for check in report.checks if check.outcome == "passed"}
    kept = [
        check
        for check in (before.checks if before else ())
        if check.name in (SPOT_CHECK, REPRODUCTION) and check.outcome == "passed" and check.name not in done
    ]
    checks = (*report.checks, *kept)
    report = report.model_copy(
        update={"checks": checks, "tier": tier_of(checks), "earlier": _earlier(record, entry)}
    )
    write_atomically(verified / f"{entry.id}.json", (report.model_dump_json(indent=2) + "\n").encode())
    return report
