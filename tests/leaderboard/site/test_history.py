"""What the page tells of the past: scores before and after, withdrawals; and of the model elsewhere."""

from __future__ import annotations

import io
import json
import re
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from imagenet_hard.cli.leaderboard import command
from imagenet_hard.cli.main import run
from imagenet_hard.leaderboard.answer_tables import read_answer_table
from imagenet_hard.leaderboard.board import accept
from imagenet_hard.leaderboard.entry import read_entry
from imagenet_hard.leaderboard.site.build import site_files
from imagenet_hard.leaderboard.site.from_entries import read_site
from imagenet_hard.leaderboard.verify.run import verify
from tests.leaderboard.boards import Two

MAIN, ON_4K = "Lab__Net", "Lab__Net__imagenet-hard-4k"


def accepted(two, id):
    """Verify and keep the record; its JSON."""
    folder = two.entries / id
    (report,) = verify([folder], golds=two.golds, trusted=True)
    accept(two.main.root / "verified", read_entry(folder), report)
    return json.loads((two.main.root / "verified" / f"{id}.json").read_text())


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A model on two benchmarks, replaced twice on the first; another one withdrawn."""
    two = Two(tmp_path_factory.mktemp("history"))
    two.submit(two.big, seed=1)
    for seed in (0, 5, 6):
        two.submit(two.main, "--replace", seed=seed)
        if seed < 6:
            accepted(two, MAIN)
    two.submit(two.main, name="Gone", seed=2)
    args = ["Lab__Gone", "--by", "github:alice", "--why", "wrong weights", "--entries", str(two.entries)]
    assert run(command, ["withdraw", *args], "imagenet-hard leaderboard") == 0
    return two


@pytest.fixture
def two(template, tmp_path):
    return Two(shutil.copytree(template.main.root, tmp_path / "board"))


def right(two, seed):
    """Images right, counted from the predictions that were submitted."""
    scored = two.main.scored(seed)
    top1 = scored.predictions.top5[:, 0].tolist()
    return sum(p in labels for p, labels in zip(top1, scored.labels, strict=True))


def changes(two):
    """The text of the Changes page, without markup."""
    html = dict(site_files(read_site(two.entries)))["changes.html"].decode()
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_scores_before_and_after(two):
    """Each accepted state is kept with its score; the page shows both sides of each change."""
    n, (first, second, third) = two.main.n, (right(two, seed) for seed in (0, 5, 6))
    (board,) = (b for b in read_site(two.entries).boards if b.benchmark == "imagenet-hard")
    (entry,) = board.entries
    assert [(e.top1.n_correct, e.tier) for e in entry.earlier] == [
        (first, "re-scored"),
        (second, "re-scored"),
    ]
    assert (entry.top1.n_correct, entry.tier) == (third, "self-reported")
    a, b, c = (f"{100 * k / n:.2f} %" for k in (first, second, third))
    said = changes(two)
    assert f"Net on ImageNet-Hard: {a} before, {b} after" in said
    assert f"Net on ImageNet-Hard: {b} before, {c} after" in said
    record = accepted(two, MAIN)
    assert [e["top1"]["n_correct"] for e in record["earlier"]] == [first, second]
    assert accepted(two, MAIN)["earlier"] == record["earlier"]  # the same state again adds nothing
    assert "earlier" not in accepted(two, ON_4K)
    assert changes(two).count("before,") == 2


def test_a_record_of_other_images_is_no_score_before(two):
    """Nor is one on another entry."""
    path = two.main.root / "verified" / f"{MAIN}.json"
    record = json.loads(path.read_text())
    for changed in ({"fingerprint": "0" * 64}, {"entry": "Lab__Other"}):
        path.write_text(json.dumps(record | changed))
        assert "before," not in changes(two)


def test_withdrawn_entries_are_listed(two):
    """Who and why, by the day; a damaged record is named and stops nothing."""
    assert "Withdrawn Lab__Gone by github:alice: wrong weights" in changes(two)
    (two.main.root / "withdrawn" / "Lab__X.json").write_text("{}")
    said = changes(two)
    assert "Lab__Gone by github:alice" in said
    assert "the record of a withdrawal is left out:" in said


def test_the_model_elsewhere(two):
    """Each entry names the other with its score and rank, on the page and in the download."""
    site = read_site(two.entries)
    files = dict(site_files(site))
    entries = {e.id: e for board in site.boards for e in board.entries}
    for id, other in ((MAIN, ON_4K), (ON_4K, MAIN)):
        (said,) = json.loads(files[f"downloads/entries/{id}.json"])["also_on"]
        assert said["id"] == other
        assert said["top1"]["n_correct"] == entries[other].top1.n_correct
        assert (said["place"], said["entries"]) == (1, 1)
        html = files[f"entries/{id}.html"].decode()
        assert re.search(rf'Also on <a href="\.\./entries/{other}\.html">ImageNet-Hard', html)
        assert f"{100 * entries[other].top1.accuracy:.2f}&nbsp;%, rank 1 of 1." in html


def test_all_answers_in_two_files(two, tmp_path):
    """Top-1 classes as they were submitted, right and wrong as scored; the first is imported as it is."""
    two.submit(two.main, name="Other", seed=7)
    files = dict(site_files(read_site(two.entries)))
    (top1_file,) = (n for n in files if re.fullmatch(r"downloads/imagenet-hard-[0-9a-f]{8}-top1\.parquet", n))
    top1, correct = (
        pq.read_table(io.BytesIO(files[name])) for name in (top1_file, top1_file.replace("-top1", "-correct"))
    )
    ids = list(two.main.gold.ids)
    for id, seed in ((MAIN, 6), ("Lab__Other", 7)):
        expected = two.main.scored(seed).predictions
        assert top1["id"].to_pylist() == correct["id"].to_pylist() == ids == list(expected.ids)
        assert top1[id].to_pylist() == expected.top5[:, 0].tolist()
        assert sum(correct[id].to_pylist()) == right(two, seed)
    (tmp_path / "top1.parquet").write_bytes(files[top1_file])
    again = read_answer_table(tmp_path / "top1.parquet")
    assert sorted(again.models) == [MAIN, "Lab__Other"]
    assert np.asarray(again.models[MAIN]).ravel().tolist() == top1[MAIN].to_pylist()


def test_one_of_a_kind_is_counted_as_one(tmp_path):
    """One entry on one image reads so, on every page."""
    two = Two(tmp_path)
    two.main.n = 1
    from tests.leaderboard.boards import Board

    one = Board(tmp_path / "one", n=1, name="one")
    two.entries, two.golds = one.entries, one.golds
    assert two.submit(one) == 0
    files = dict(site_files(read_site(one.entries)))
    for name, data in files.items():
        if name.endswith(".html"):
            text = re.sub(r"<[^>]+>", "", data.decode())
            assert not re.search(r"(?<![\d.,])1 (images|entries|results|labels)\b", text), name
    assert "1 entry on 1 image, each scored again" in files["index.html"].decode()
