"""Entries from predictions that others published: class indices alone, without images or probabilities."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.errors import ResultError
from imagenet_hard.files import write_atomically
from imagenet_hard.leaderboard.answers import Answers, write_answers
from imagenet_hard.leaderboard.board import BENCHMARKS, ENTRIES, VERIFIED, accept
from imagenet_hard.leaderboard.entry import ENTRY_FILE, Claim, Entry, ReportedTop1, entry_json
from imagenet_hard.leaderboard.gold import Gold, gold_of, write_gold
from imagenet_hard.leaderboard.imagenet_top1 import torchvision_top1
from imagenet_hard.leaderboard.plain_text import Link, entry_id
from imagenet_hard.leaderboard.rescore import rescore
from imagenet_hard.leaderboard.verify import verify
from imagenet_hard.types import ModelSpec
from imagenet_hard.validation import shorten

BACKEND = "imported"
V2_SOURCE = Link(label="ImageNetV2", url="https://github.com/modestyachts/ImageNetV2")
V2_DATE = dt.date(2019, 2, 13)
"""Day of the paper that the predictions go with (Recht et al., arXiv 1902.10811)."""
V2_TORCHVISION = re.compile(r"alexnet|densenet\d+|resnet\d+|squeezenet1_\d|vgg\d+(_bn)?")
"""Models of the test bed whose weights are torchvision's first ones; the others came from elsewhere."""


@dataclass(frozen=True)
class Imported:
    """A benchmark and the entries on it, in order of their ids."""

    gold: Gold
    entries: tuple[tuple[Entry, Answers], ...]


def import_top5(
    ids: Sequence[str],
    labels: Sequence[Sequence[int]],
    top5: Mapping[str, NDArray[np.integer]],
    *,
    benchmark: str,
    org: str,
    submitter: str,
    source: Link,
    date: dt.date,
    origins: Sequence[str] | None = None,
    note: str = "",
    imagenet: Callable[[str], ReportedTop1 | None] = lambda name: None,
) -> Imported:
    """Entries from class indices: ``top5`` holds integers (n, 5) per model, best first, row i for ``ids[i]``.

    ``imagenet``: a model's name -> its reported ImageNet accuracy, where known.
    Without the images the fingerprint is over ids and labels alone, and its gold says so.

    Raises:
        DatasetError: ids or labels that are no benchmark.
        ResultError: answers of another length, or with classes outside 0..999 or repeated.
        UsageError: a model's name that makes no folder name.
    """
    rows = zip(ids, labels, origins or [""] * len(ids), [""] * len(ids), strict=True)
    gold = gold_of(rows, name=benchmark, source="predictions", note=note)
    entries = []
    for name, classes in sorted(top5.items()):
        answers = Answers.without_probabilities(ids, classes)
        score = rescore(answers, gold)
        entry = Entry(
            id=entry_id(org, name),
            name=name,
            org=org,
            submitter=submitter,
            links=(source,),
            date=date,
            imagenet=imagenet(name),
            model=ModelSpec(backend=BACKEND, name=name, transform={}),
            benchmark=gold.benchmark,
            claim=Claim(
                n_correct=score.top1.n_correct, n_top5=score.top5.n_correct, n_total=score.top1.n_total
            ),
            probabilities=False,
            predictions_sha256=answers.sha256,
        )
        entries.append((entry, answers))
    return Imported(gold, tuple(sorted(entries, key=lambda each: each[0].id)))


def import_v2(folder: Path) -> Imported:
    """The models of the ImageNet-V2 test bed, matched-frequency, from ``top5.parquet``, ``labels.parquet``.

    Raises:
        ResultError: the files are missing or do not fit together.
    """
    labels, top5 = _table(folder / "labels.parquet"), _table(folder / "top5.parquet")
    for table, name, wanted in ((labels, "labels", ("id", "label")), (top5, "top5", ("id",))):
        if lacking := [column for column in wanted if column not in table.column_names]:
            raise ResultError(f"{folder / name}.parquet has no column {lacking[0]}")
    ids = labels["id"].to_pylist()
    if top5["id"].to_pylist() != ids:
        raise ResultError(f"{folder}: labels.parquet and top5.parquet list other ids, or in another order")
    models = [name for name in top5.column_names if name != "id"]
    return import_top5(
        ids,
        [[label] for label in labels["label"].to_pylist()],
        {name: np.stack(top5[name].to_numpy()) for name in models},
        benchmark="imagenet-v2-matched-frequency",
        org="ImageNetV2",
        submitter="modestyachts",
        source=V2_SOURCE,
        date=V2_DATE,
        note="imported predictions: the fingerprint is over ids and labels, no image bytes were at hand",
        imagenet=lambda name: (
            torchvision_top1(name, "IMAGENET1K_V1") if V2_TORCHVISION.fullmatch(name) else None
        ),
    )


def write_imported(board: Path, imported: Imported) -> None:
    """Write gold, entries and the reports of their verification into a board's folder.

    Raises:
        ResultError: an entry fails verification, or the disk refuses.
    """
    write_gold(board / BENCHMARKS, imported.gold)
    for entry, answers in imported.entries:
        write_answers(board / ENTRIES / entry.id, answers)
        write_atomically(board / ENTRIES / entry.id / ENTRY_FILE, entry_json(entry).encode())
    folders = [board / ENTRIES / entry.id for entry, _ in imported.entries]
    reports = verify(folders, golds=board / BENCHMARKS, trusted=True)
    for (entry, _), report in zip(imported.entries, reports, strict=True):
        accept(board / VERIFIED, entry, report)


def _table(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ResultError(f"cannot read {path}: {shorten(str(error), 200)}") from None
