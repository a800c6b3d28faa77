"""What is read of the other entries: the same answers as a whole reading gives, or a reason why not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from imagenet_hard.base.errors import ResultError
from imagenet_hard.evaluation.predictions import read_predictions
from imagenet_hard.leaderboard.answers import PREDICTIONS_FILE, Answers, read_answers, write_answers
from imagenet_hard.leaderboard.entry import read_entry
from imagenet_hard.leaderboard.rescore import rescore
from imagenet_hard.leaderboard.verify.peers import PeersOf
from imagenet_hard.leaderboard.verify.report import Report, check, tier_of
from tests.leaderboard.boards import Board, standard


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return standard(tmp_path)


def test_a_peer_is_what_a_whole_reading_gives(board: Board) -> None:
    """Right answers and classes of each entry; independent as long as nothing is on record against it."""
    for folder in board.entries.iterdir():
        entry = read_entry(folder)
        peer = PeersOf(board.gold).read(folder, entry, None)
        whole = rescore(read_answers(folder, probabilities=True, isolated=False), board.gold)
        np.testing.assert_array_equal(peer.correct, whole.correct)
        np.testing.assert_array_equal(peer.top1_class, whole.top1_class)
        assert (peer.id, peer.independent) == (entry.id, True)


@pytest.mark.parametrize(
    ("name", "independent"), [("plausible score", False), ("canaries", False), ("calibration", True)]
)
def test_who_may_have_seen_the_labels_is_no_measure(board: Board, name: str, independent: bool) -> None:
    """A flag of that kind on record; others do not matter."""
    checks = (check("score", "passed"), check(name, "flagged", when=datetime.now(UTC)))
    report = Report(entry=board.first.name, checks=checks, tier=tier_of(checks))
    assert PeersOf(board.gold).read(board.first, read_entry(board.first), report).independent is independent


def test_what_cannot_be_compared_with(board: Board) -> None:
    """Another count, other images, no Parquet: said, and no crash."""
    peers, path = PeersOf(board.gold), board.first / PREDICTIONS_FILE
    entry, p = read_entry(board.first), read_predictions(path)
    write_answers(board.first, Answers.of(replace(p, top5=(p.top5 + 500) % 1000)))
    with pytest.raises(ResultError, match="its answers get .* images right: the entry says"):
        peers.read(board.first, entry, None)
    write_answers(board.first, Answers.of(replace(p, ids=tuple(f"x{each}" for each in p.ids))))
    with pytest.raises(ResultError, match="does not answer the images of"):
        peers.read(board.first, entry, None)
    path.write_bytes(b"PAR1 no more")
    with pytest.raises(ResultError, match="cannot be compared with"):
        peers.read(board.first, entry, None)
