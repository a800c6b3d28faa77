"""Entries from predictions that others published: class indices alone, without images or probabilities."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.records import first_problem
from imagenet_hard.base.text import shorten
from imagenet_hard.base.types import ModelSpec
from imagenet_hard.dataset.label_files import read_label_file
from imagenet_hard.leaderboard.answer_tables import ID, AnswerTable, read_columns
from imagenet_hard.leaderboard.answers import Answers, write_answers
from imagenet_hard.leaderboard.board import BENCHMARKS, ENTRIES, VERIFIED, accept
from imagenet_hard.leaderboard.entry import ENTRY_FILE, Claim, Entry, ReportedTop1, entry_json, read_entry
from imagenet_hard.leaderboard.gold import Gold, gold_of, known_golds, write_gold
from imagenet_hard.leaderboard.ids import benchmark_part, entry_id
from imagenet_hard.leaderboard.plain_text import Link
from imagenet_hard.leaderboard.rescore import rescore
from imagenet_hard.leaderboard.training import Training
from imagenet_hard.leaderboard.verify.ownership import Author, id_on_board
from imagenet_hard.leaderboard.verify.report import Report
from imagenet_hard.leaderboard.verify.run import verify

BACKEND = "imported"
NOTE = "imported predictions: the fingerprint is over ids and labels, no image bytes were at hand"


@dataclass(frozen=True)
class Imported:
    """A benchmark and the entries on it, in order of their ids."""

    gold: Gold
    entries: tuple[tuple[Entry, Answers], ...]


def gold_of_labels(path: Path, name: str) -> Gold:
    """The gold of a benchmark of which only ids and labels are at hand; its fingerprint is over these alone.

    ``path``: a label file as of a folder of images, or Parquet with ``id`` and ``label`` or ``labels``.

    Raises:
        ResultError, DatasetError: it cannot be read, or holds no benchmark.
        UsageError: ``name`` may not stand on the board.
    """
    if path.suffix.lower() != ".parquet":
        labels = list(read_label_file(path).items())
    else:
        columns = read_columns(path)
        values = columns.get("labels", columns.get("label"))
        if values is None or ID not in columns:
            raise ResultError(
                f"{path} has the columns {shorten(list(columns))}: expected id, and label or labels"
            )
        labels = list(zip(map(str, columns[ID].tolist()), values.tolist(), strict=True))
    try:
        return gold_of(
            ((each, found if isinstance(found, Sequence) else [found], "", "") for each, found in labels),
            name=name,
            source="predictions",
            note=NOTE,
        )
    except ValidationError as error:
        raise UsageError(f"no benchmark can be called {shorten(name)}: {first_problem(error)}") from None


def import_answers(
    table: AnswerTable,
    gold: Gold,
    *,
    org: str,
    submitter: str,
    date: dt.date,
    links: Sequence[Link] = (),
    owners: Sequence[Author] = (),
    training_data: str = "",
    training: Training | None = None,
    used_in_curation: Collection[str] = (),
    imagenet: Callable[[str], ReportedTop1 | None] = lambda name: None,
    board: Path | None = None,
) -> Imported:
    """Entries from class indices, one a model of the table.

    ``used_in_curation``: the models that chose the images; ``imagenet``: a model's name -> its reported
    ImageNet accuracy, where known; ``board``: the folder that they are for, where a model keeps the id that
    it has on this benchmark. Where only the best class is at hand, the entry has no top-5.

    Raises:
        ResultError: answers to other images than the gold's, or with classes outside 0..999 or repeated.
        UsageError: a field that no entry may have, two models that make one id, or an unknown curator.
    """
    if unknown := sorted(set(used_in_curation) - set(table.models)):
        raise UsageError(f"the file has no model {unknown[0]!r}, which was said to have chosen the images")
    fingerprint, known = gold.info.fingerprint, known_golds(board / BENCHMARKS) if board else {}
    part = benchmark_part(fingerprint, {**known, fingerprint: gold.info})
    entries: dict[str, tuple[Entry, Answers]] = {}
    for name, classes in sorted(table.models.items()):
        try:
            answers = Answers.without_probabilities(table.ids, classes)
            score = rescore(answers, gold)
            id = entry_id(org, name, part)
            entry = Entry(
                id=id_on_board(board / ENTRIES, id, fingerprint) if board else id,
                name=name,
                org=org,
                submitter=submitter,
                owner={each.platform: each.account for each in owners} or None,
                links=tuple(links),
                training_data=training_data,
                training=training,
                date=date,
                used_in_curation=name in used_in_curation,
                imagenet=imagenet(name),
                model=ModelSpec(backend=BACKEND, name=name, transform={}),
                benchmark=gold.benchmark,
                claim=Claim(
                    n_correct=score.top1.n_correct,
                    n_top5=score.top5.n_correct if score.top5 else None,
                    n_total=score.top1.n_total,
                ),
                probabilities=False,
                predictions_sha256=answers.sha256,
            )
        except ResultError as error:
            raise ResultError(f"model {shorten(name)}: {error}") from None
        except ValidationError as error:
            raise UsageError(f"model {shorten(name)} makes no entry: {first_problem(error)}") from None
        twin = entries.setdefault(entry.id.casefold(), (entry, answers))[0]
        if twin is not entry:
            raise UsageError(f"the models {twin.name!r} and {name!r} make one id, {entry.id}: rename one")
    return Imported(gold, tuple(sorted(entries.values(), key=lambda each: each[0].id)))


def write_imported(board: Path, imported: Imported, *, accepted: bool = False) -> list[Report]:
    """Put entries, and the gold where it is new, into a board's folder; the reports on what was written.

    What is there already stays as it is: the same entries are passed over, others of their ids are never
    overwritten. All are verified before any is written. ``accepted``: keep the reports as the board's.

    Raises:
        ResultError: an id is taken, an entry fails verification, or the disk refuses.
    """
    entries, golds = board / ENTRIES, board / BENCHMARKS
    new = [each for each in imported.entries if _is_new(entries, each[0])]
    stage = board / f".import.{os.getpid()}.tmp"  # beside the entries: renamed into place
    folders = [stage / ENTRIES / entry.id for entry, _ in new]
    known = (golds / f"{imported.gold.info.fingerprint}.json").is_file()
    try:
        if not known:
            write_gold(stage / BENCHMARKS, imported.gold)
        for folder, (entry, answers) in zip(folders, new, strict=True):
            write_answers(folder, answers)
            write_atomically(folder / ENTRY_FILE, entry_json(entry).encode())
        reports = verify(folders, golds=golds if known else stage / BENCHMARKS, base=entries, trusted=True)
        if failed := next((report for report in reports if report.failed), None):
            raise ResultError(f"{failed.entry} fails, nothing was written: {failed.failures}")
        if not known:
            write_gold(golds, imported.gold)
        entries.mkdir(parents=True, exist_ok=True)
        for folder in folders:
            folder.rename(entries / folder.name)
    except OSError as error:
        raise ResultError(f"cannot write to {board}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    if accepted:
        return [accept(board / VERIFIED, entry, r) for (entry, _), r in zip(new, reports, strict=True)]
    return list(reports)


def _is_new(entries: Path, entry: Entry) -> bool:
    """Whether the id is free; False where this very entry is there.

    Raises:
        ResultError: it is another's.
    """
    taken = (
        [p for p in entries.iterdir() if p.name.casefold() == entry.id.casefold()] if entries.is_dir() else []
    )
    if not taken:
        return True
    if taken[0].name == entry.id and read_entry(taken[0]) == entry:
        return False
    raise ResultError(
        f"the board has {taken[0].name} already, and it is another entry: nothing was written. Rename the "
        "model, or withdraw the entry"
    )
