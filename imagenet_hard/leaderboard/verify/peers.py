"""The other entries on a benchmark, as far as comparisons need them: ids and top-1, read quickly.

The board's entries were verified when they came. Of theirs only the two columns are read that count, and
what they give is compared with the entry's own count: a thousand of them take seconds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.files import read_bounded
from imagenet_hard.base.text import shorten
from imagenet_hard.base.types import N_CLASSES
from imagenet_hard.evaluation.predictions import MAX_FILE_BYTES
from imagenet_hard.leaderboard.answers import PREDICTIONS_FILE
from imagenet_hard.leaderboard.entry import Entry
from imagenet_hard.leaderboard.gold import Gold
from imagenet_hard.leaderboard.rescore import answers_of, check_ids, read_by_another
from imagenet_hard.leaderboard.verify.anomalies import CANARIES, SCORE, UNSOLVED, Peer
from imagenet_hard.leaderboard.verify.report import Report


class PeersOf:
    """Reads the board's entries on one benchmark."""

    def __init__(self, gold: Gold) -> None:
        self.gold = gold
        self._ids = None

    def read(self, folder: Path, entry: Entry, report: Report | None) -> Peer:
        """An entry of the board; ``report``: what the board has on record of it.

        Raises:
            ResultError: its answers are not those of the benchmark, or do not give its count.
        """
        top1 = self._top1(folder) if entry.probabilities else self._checked(folder, entry)
        correct = self.gold.hits(top1[:, None])[:, 0]
        if int(correct.sum()) != entry.claim.n_correct and not read_by_another(entry):
            raise ResultError(
                f"its answers get {int(correct.sum())} images right: the entry says {entry.claim.n_correct}"
            )
        flags = {check.name for check in report.flags} if report else set()
        independent = not flags & {SCORE, UNSOLVED, CANARIES}
        return Peer(entry.id, entry.predictions_sha256, correct, top1, independent)

    def _checked(self, folder: Path, entry: Entry) -> NDArray[np.int16]:
        answers = answers_of(folder, entry, self.gold, isolated=False)
        check_ids(answers, self.gold)
        return answers.top5[:, 0]

    def _top1(self, folder: Path) -> NDArray[np.int16]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._ids is None:
            self._ids = pa.array(self.gold.ids, pa.string())
        path = folder / PREDICTIONS_FILE
        try:
            data = pa.BufferReader(read_bounded(path, MAX_FILE_BYTES))
            table = pq.ParquetFile(data).read(columns=["id", "top5"], use_threads=False)
            ids, five = (table[name].combine_chunks() for name in ("id", "top5"))
            classes = five.flatten().to_numpy().reshape(-1, 5)
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            raise ResultError(f"{path} cannot be compared with: {shorten(str(error), 200)}") from None
        if not ids.equals(self._ids) or len(classes) != len(ids):
            raise ResultError(f"{path} does not answer the images of {self.gold.info.name}")
        if classes.min() < 0 or classes.max() >= N_CLASSES:
            raise ResultError(f"{path} holds classes outside 0..{N_CLASSES - 1}")
        top1: NDArray[np.int16] = classes[:, 0].astype(np.int16)
        return top1
