"""Whose answers a bridge has: each model by what tells it from others, and its key for the committees."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.evaluation.compare import compare
from imagenet_hard.evaluation.difficulty import difficulties_of
from imagenet_hard.evaluation.result import read_result
from imagenet_hard.evaluation.table import comparison_tables, results_table
from imagenet_hard.leaderboard.ballots import read_board_answers, read_files
from imagenet_hard.leaderboard.bridge_inputs import read_models
from tests.evaluation.scored import make_result
from tests.leaderboard.boards import Board


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path / "board")


def test_entries_of_one_name_stay_apart(board):
    """Each bears who made it, and the key of its own model; who chose among five names is elsewhere."""
    for org in ("Lab A", "Lab B"):
        board.submit("Net", org, seed=org == "Lab B")
    board.submit("Other")
    board.submit_words("Toy", protocol="choices")
    models, keys = read_models((), board.root, [board.gold.info.fingerprint])
    assert sorted(models) == ["Net (Lab A)", "Net (Lab B)", "Other"]
    assert all(len(each) == 1 for each in models.values())
    key = make_result(board.scored()).model.key
    assert keys == dict.fromkeys(models, key)
    assert len(read_board_answers(board.root, board.gold).ballots) == 3


def test_one_model_in_two_ways_is_two_entries_of_one_key(board):
    """How it ran or was asked is in the name, and changes no membership of a committee."""
    plain, words = board.result(board.scored()), board.in_words()
    _, keys = read_models((plain, words), None, [])
    key = read_result(plain)[0].model.key
    assert keys == {key: key, "api:toy-vl (asked open 1)": "api:toy-vl"}
    with pytest.raises(UsageError, match=f"{key}'?, which came before: each model counts once"):
        read_files((plain, plain), board.gold)


def test_a_choice_among_a_few_names_is_another_task(board):
    """It is never compared with a score among all classes, nor does it tell which images are hard."""
    few, all_classes, net = board.in_words(protocol="choices"), board.in_words(), board.result(board.scored())
    assert read_result(few)[0].among == "5 names"
    for other in (all_classes, net):
        with pytest.raises(ResultError, match="among 5 names, .* among all 1000: .*the same --protocol"):
            compare(few, other)
    for refuses in (
        lambda: difficulties_of([few, net]),
        lambda: read_models((few,), None, []),
        lambda: read_files((net, few), board.gold),
    ):
        with pytest.raises(UsageError, match="is a result among 5 names: expected all classes"):
            refuses()
    assert results_table([read_result(few)[0]]).rows[0][0] == "api:toy-vl among 5 names"
    assert compare(few, few).b.asked.startswith("choices 1")
    titles = [table.title for table in comparison_tables(compare(all_classes, net))]
    assert "A = api:toy-vl (open 1)" in " ".join(map(str, titles))
