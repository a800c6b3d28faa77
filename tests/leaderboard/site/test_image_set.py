"""A text means the images that a plain reading of its words means; what means nothing is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from imagenet_hard.base.errors import UsageError
from imagenet_hard.leaderboard.site.data_files import images_data
from imagenet_hard.leaderboard.site.image_set import image_set
from tests.leaderboard.site.boards import made_up

CASES = {
    "": lambda e: True,
    "q=TENCH%20objectnet": lambda e: "tench" in e["text"] and "objectnet" in e["text"],
    "origin=ImageNet-Sketch": lambda e: e["origin"] == "ImageNet-Sketch",
    "class=5": lambda e: 5 in e["labels"],
    "class=n01496331": lambda e: 5 in e["labels"],
    "labels=2": lambda e: len(e["labels"]) == 2,
    "right=0-25": lambda e: e["right"] <= 3,
    "right=25-50": lambda e: 3 <= e["right"] <= 6,
    "right=0-0&agree=50": lambda e: e["right"] == 0 and e["votes"] >= 6,
    "other=502": lambda e: e["wrong"] == 502,
    "who=right:lab3__model-11": lambda e: e["who"]["lab3__model-11"],
    "who=right:lab3__model-11,wrong:lab2__model-10": lambda e: (
        e["who"]["lab3__model-11"] and not e["who"]["lab2__model-10"]
    ),
    "who=none:lab3__model-11": lambda e: e["silent"],
    "image=img-00007&of=5&labels=3": lambda e: len(e["labels"]) == 3,
}


@pytest.fixture(scope="module")
def board():
    """12 entries on 600 images; the best names no class for every tenth image that it gets wrong."""
    made = made_up()
    predicted = made.predicted.copy()
    predicted[0, np.flatnonzero(~made.correct[0])[::10]] = -1
    return replace(made, predicted=predicted)


@pytest.fixture(scope="module")
def plain(board):
    """What there is to know of each image, read off the board one at a time."""
    from imagenet_hard.imagenet.classes import names

    found = []
    for i, id in enumerate(board.image_ids):
        wrong = [p for p, c in zip(board.predicted[:, i].tolist(), board.correct[:, i], strict=True) if not c]
        named = [p for p in wrong if p >= 0]
        most = max(map(named.count, named), default=0)
        labels = board.labels[i]
        found.append(
            {
                "text": " ".join([id, *(names()[c] for c in labels), board.image_origins[i]]).lower(),
                "origin": board.image_origins[i],
                "labels": labels,
                "right": len(board.entries) - len(wrong),
                "votes": most,
                "wrong": min((p for p in named if named.count(p) == most), default=-1),
                "who": {e.id: bool(board.correct[k, i]) for k, e in enumerate(board.entries)},
                "silent": board.predicted[0, i] == -1,
            }
        )
    return found


@pytest.mark.parametrize("text", CASES)
def test_which_images(board, plain, text):
    """Each key alone and together, hardest first: by who is right, then by the votes for one wrong class."""
    expected = [i for i, each in enumerate(plain) if CASES[text](each)]
    expected.sort(key=lambda i: (plain[i]["right"], -plain[i]["votes"], i))
    assert 0 < len(expected) <= board.n
    assert image_set(board, images_data(board), text) == expected


def test_orders(board, plain):
    """Equals keep the board's order."""
    images = images_data(board)
    keys = {
        "easy": lambda i: -plain[i]["right"],
        "agree": lambda i: -plain[i]["votes"],
        "id": lambda i: 0,
        "doubt": lambda i: -images["doubt"][i],
    }
    for sort, key in keys.items():
        assert image_set(board, images, f"sort={sort}") == sorted(range(board.n), key=key)


def test_a_whole_address(board):
    """What stands behind the # of the page counts."""
    images = images_data(board)
    address = "http://127.0.0.1:8000/explore/made-up.html#class=5&who=wrong%3Alab2__model-10"
    assert image_set(board, images, address) == image_set(board, images, address.split("#")[1])
    assert len(image_set(board, images, "http://127.0.0.1/explore/made-up.html#")) == board.n


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "colour=red",
            "'colour' chooses no images: expected KEY=VALUE&..., each key once, of q, origin, class",
        ),
        ("class=5&class=6", "each key once"),
        ("tench", "expected KEY=VALUE"),
        ("origin=Mars", "the sources are ImageNet, ImageNet-Sketch, ObjectNet"),
        ("class=1000", "1000; expected an index of 0 to 999"),
        ("other=1000", "other: 1000; expected an index"),
        ("labels=two", "labels: 'two' is no whole number"),
        ("right=50", "expected LOW-HIGH in percent"),
        ("right=0-10-x", "'10-x' is no whole number of 0 to 100"),
        ("class=missile", "'missile' is the name of 2 classes: give the wnid"),
        ("right=0-101", "'101' is no whole number of 0 to 100"),
        ("agree=-1", "'-1' is no whole number"),
        ("who=lab2__model-10", "expected right:ENTRY, wrong:ENTRY or none:ENTRY"),
        ("who=right:nobody", "no entry is 'nobody'; they are lab3__model-11"),
        ("sort=colour", "sort=colour: expected hard, easy, agree, doubt, id"),
    ],
)
def test_what_means_nothing(board, text, message):
    with pytest.raises(UsageError) as refused:
        image_set(board, images_data(board), text)
    assert message in str(refused.value)
