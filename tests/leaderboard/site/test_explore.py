"""The explorer's data in pieces: what is packed can be read again, image by image."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import numpy as np
import pytest

from imagenet_hard.leaderboard.site import explore
from imagenet_hard.leaderboard.site.data import NO_CONFIDENCE
from imagenet_hard.leaderboard.site.explore import Extras, Zooms, block_size, explorer_data
from tests.leaderboard.site.boards import made_up


def values(files):
    """Path -> the value that the script hands over."""
    found = {}
    for path, text in files:
        key, value = json.loads(f"[{text.removeprefix('window.imagenetHard.receive(').rstrip()[:-2]}]")
        assert path == f"data/{key}.js"
        found[key.partition("/explorer/")[2]] = value
    return found


def raw(text, dtype):
    return np.frombuffer(base64.b64decode(text), dtype)


@pytest.fixture
def board():
    """7 entries on 50 images, confidences of all but one known."""
    made = made_up(m=7, n=50)
    confidence = np.arange(350, dtype=np.uint8).reshape(7, 50) % 101
    confidence[3] = NO_CONFIDENCE
    return replace(made, confidence=confidence)


def test_every_answer_is_in_its_block(board, monkeypatch):
    monkeypatch.setattr(explore, "MOST_IMAGES", 20)
    found = values(explorer_data(board))
    assert set(found) == {"head", "confusions", "0", "1", "2"}
    assert found["head"]["block"] == 20
    for name, dtype, expected in (
        ("predicted", "<i2", board.predicted),
        ("confidence", "u1", board.confidence),
    ):
        parts = [raw(found[str(k)][name], dtype).reshape(-1, 7) for k in range(3)]
        assert [len(each) for each in parts] == [20, 20, 10]
        assert np.array_equal(np.concatenate(parts).T, expected)
    assert [e[0] for e in found["head"]["entries"]] == [e.id for e in board.entries]
    assert found["0"]["correct"] is None
    assert found["0"]["zooms"] is None


def test_the_commonest_confusions(board):
    """Both directions are those of one count, from the most frequent down."""
    found = values(explorer_data(board))["confusions"]
    for c, pairs in found["takenFor"].items():
        assert [k for _, k in pairs] == sorted((k for _, k in pairs), reverse=True)
        right = sum(int(c) in each for each in board.labels)
        assert 0 < sum(k for _, k in pairs) <= 7 * right
    assert sum(k for pairs in found["takes"].values() for _, k in pairs) >= 50


def test_zooms_stand_with_their_image(board):
    """A bit a zoom and classifier; an image that the study has not tried has none."""
    solved = np.zeros((2, 18), np.bool_)
    solved[1, 4] = True
    zooms = Zooms(("A", "B"), (224, 256), {board.image_ids[3]: solved})
    found = values(explorer_data(board, Extras(zooms=zooms)))
    assert found["head"]["zooms"]["classifiers"] == ["A", "B"]
    each = found["0"]["zooms"]
    assert [i for i, zooms_ in enumerate(each) if zooms_] == [3]
    assert [np.flatnonzero(np.unpackbits(raw(bits, np.uint8))).tolist() for bits in each[3]] == [[], [4]]


def test_without_labels(board):
    """Who is right comes as bits, and nothing is said of labels."""
    bare = replace(board, labels=((),) * board.n, submitted=False)
    found = values(explorer_data(bare))
    right = np.unpackbits(raw(found["0"]["correct"], np.uint8), count=350).reshape(50, 7)
    assert np.array_equal(right.T, board.correct)
    assert found["confusions"] == {"takenFor": {}, "takes": {}}
    assert found["head"]["independent"] is None


def test_rows_of_the_viewer(board):
    """Linked where ids are the numbers of rows, and not where they are names."""
    rows = replace(board, viewer="https://h/viewer/default/x", image_ids=tuple(sorted(map(str, range(50)))))
    assert values(explorer_data(rows))["head"]["viewer"] == "https://h/viewer/default/x"
    named = replace(board, viewer="https://h/viewer/default/x")
    assert values(explorer_data(named))["head"]["viewer"] == ""


def test_blocks_are_of_one_size():
    """About as many answers in each, whatever the number of entries."""
    assert [block_size(m) for m in (1, 67, 1000, 100_000)] == [256, 256, 32, 1]
