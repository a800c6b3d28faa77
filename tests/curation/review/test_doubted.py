"""Reviewing doubted images of a benchmark that no recipe made."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import pytest

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.cli.main import group, run
from imagenet_hard.curation.review.controller import Controller
from imagenet_hard.curation.review.decisions import DecisionRow, append_decision
from imagenet_hard.curation.review.doubted import doubted_images
from imagenet_hard.curation.review.page import part
from imagenet_hard.curation.review.pictures import Pictures
from imagenet_hard.curation.review.session import ReviewFilter, ReviewSession
from imagenet_hard.dataset.load import load_dataset


@pytest.fixture(scope="module")
def sample():
    """The package's own 20 images."""
    return load_dataset("sample", exif=True)


def test_images_come_in_the_order_of_the_doubts(sample, tmp_path):
    """With their labels, hashes and what is answered instead; the page shows the whole image and no zoom."""
    ids = [sample.ids[7], sample.ids[2]]
    images = doubted_images(sample, [(ids[0], 207), (ids[1], 1)])
    assert [(each.id, each.answered) for each in images] == [(ids[0], (207,)), (ids[1], (1,))]
    assert images[0].labels == sample.labels[7]
    assert images[0].image_sha256 == hashlib.sha256(sample[7].image).hexdigest()
    pictures = Pictures([sample], None, images)
    picture = pictures.picture(images[0])
    assert picture.views == {}
    assert picture.whole.startswith("data:image/jpeg")
    facts = part("facts", images[0], None, ())
    assert "Answered instead" in facts
    assert "Golden Retriever" in facts
    assert "zooms" not in part("views", images[0], picture, pictures)
    controller = Controller(ReviewSession(images, tmp_path / "ann.csv", "ann"), pictures)
    assert controller.start().id == ids[0]
    assert controller.decide(ids[0], "relabel", ReviewFilter(), labels=[207]).id == ids[1]
    with pytest.raises(DatasetError, match="has no image 'other'"):
        doubted_images(sample, [("other", 1)])


def test_the_command_reports_what_reviewers_said(sample, tmp_path, capsys):
    """On the doubted images alone, under the benchmark's name."""
    doubts, work = tmp_path / "doubts.csv", tmp_path / "work"
    doubts.write_text("id,other\n" + "".join(f"{id},0\n" for id in sample.ids[:3]))
    rows = [(0, "drop", "ambiguous"), (1, "keep", "")]
    for name in ("ann", "bob"):
        for row, action, reason in rows[: 2 if name == "ann" else 1]:
            sha = hashlib.sha256(sample[row].image).hexdigest()
            said = DecisionRow(
                sample.ids[row], action, reason, (), name, datetime(2026, 1, 1, tzinfo=UTC), sha
            )
            (work / "decisions").mkdir(parents=True, exist_ok=True)
            append_decision(work / "decisions" / f"{name}.csv", said)
    args = ["curate", "review", "--doubts", str(doubts), "--dataset", "sample", "--work", str(work)]
    assert run(group, [*args, "--report", "--json", "--top", "2"], "imagenet-hard") == 0
    got = json.loads(capsys.readouterr().out)
    assert got["decided"] == {"keep": 1, "drop": 1, "relabel": 0}
    assert got["undecided"] == 0
    assert got["agreement"][0]["n"] == 1


def test_what_to_review_is_said_once(capsys):
    for args, said in (
        ([], "Give --recipe, or --doubts"),
        (["--recipe", "r", "--doubts", "d", "--dataset", "sample"], "Give --recipe, or --doubts"),
        (["--doubts", "d"], "belong together"),
        (["--recipe", "r", "--dataset", "sample"], "belong together"),
    ):
        assert run(group, ["curate", "review", "--reviewer", "ann", *args], "imagenet-hard") == 2
        assert said in capsys.readouterr().err
