"""From a folder of entries to the site's data: re-scored, ranked per benchmark, nothing left out."""

from __future__ import annotations

import json
import shutil
from copy import copy

import numpy as np
import pytest

from imagenet_hard.base.errors import UsageError
from imagenet_hard.imagenet.superclasses import superclass_of
from imagenet_hard.leaderboard.board import accept
from imagenet_hard.leaderboard.entry import read_entry
from imagenet_hard.leaderboard.importing import write_imported
from imagenet_hard.leaderboard.published import load_published, published_on
from imagenet_hard.leaderboard.site.build import site_files
from imagenet_hard.leaderboard.site.from_entries import read_site
from imagenet_hard.leaderboard.site.provenance import provenance
from imagenet_hard.leaderboard.verify.run import verify
from tests.leaderboard.boards import Board, change
from tests.leaderboard.v2 import import_v2


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Three entries of different skill on one benchmark, submitted once."""
    made = Board(tmp_path_factory.mktemp("template") / "board")
    for seed, skill in enumerate((2.0, 9.0, 5.0)):
        made.submit(name=f"Model {seed}", seed=seed, skill=skill)
    return made


@pytest.fixture
def board(template, tmp_path):
    """A copy of the template that a test may change."""
    made = copy(template)
    made.root = tmp_path / "board"
    shutil.copytree(template.root, made.root)
    return made


def test_entries_are_scored_again_and_ranked(board):
    """Counts, groups and classes are those of the predictions; the best comes first."""
    site = read_site(board.entries)
    (made,) = site.boards
    assert made.title == "ImageNet-Hard"
    assert made.fingerprint == board.gold.info.fingerprint
    right = [e.top1.n_correct for e in made.entries]
    assert right == sorted(right, reverse=True)
    assert made.entries[0].name == "Model 1"
    for i, e in enumerate(made.entries):
        scored = board.scored(int(e.name[-1]), {"0": 2.0, "1": 9.0, "2": 5.0}[e.name[-1]])
        hits = [int(p) in each for p, each in zip(scored.predictions.top5[:, 0], scored.labels, strict=True)]
        assert made.correct[i].tolist() == hits
        assert sum(rate.n_correct for rate in e.origins.values()) == sum(hits)
        assert sum(rate.n_total for rate in e.n_labels.values()) == board.n
        for name, rate in e.superclasses.items():
            inside = [any(superclass_of()[label] == name for label in each) for each in scored.labels]
            assert rate.n_total == sum(inside) > 0
            assert rate.n_correct == sum(hit for hit, there in zip(hits, inside, strict=True) if there)
        assert sum(rate.n_total for rate in e.superclasses.values()) >= board.n
        expected = np.zeros(1000, dtype=int)
        for each, hit in zip(scored.labels, hits, strict=True):
            expected[list(each)] += hit
        assert list(e.per_class.n_correct) == expected.tolist()
        assert e.calibration is not None
        titles = ["Model", "Benchmark", "Protocol", "Run", "Environment"]
        assert [group.title for group in provenance(e)] == titles


def test_metrics_of_packages_are_the_entrys_and_nothing_of_the_boards(board):
    """Every file of the page is the same with and without them, and so is every check but for its time."""

    def said():
        (report,) = verify([folder], golds=board.golds)
        return [(c.name, c.outcome, c.detail) for c in report.checks], dict(
            site_files(read_site(board.entries))
        )

    folder = next(board.entries.iterdir())
    before = said()
    own = {"best": {"package": "my-metrics 1.0", "values": 0.999}}
    change(folder, "result", "package_metrics", to=own)
    assert read_entry(folder).result.package_metrics["best"].values == 0.999
    assert said() == before


def test_the_tier_is_the_boards_not_the_submitters(board):
    """Without a report an entry is self-reported; with one it has that report's tier and checks."""
    folder = next(board.entries.iterdir())
    (report,) = verify([folder], golds=board.golds)
    accept(board.root / "verified", read_entry(folder), report)
    tiers = {e.id: (e.tier, bool(e.checks)) for e in read_site(board.entries).boards[0].entries}
    assert tiers.pop(folder.name) == ("re-scored", True)
    assert set(tiers.values()) == {("self-reported", False)}


def test_benchmarks_are_never_mixed(board, tmp_path):
    """Entries of another fingerprint have a board, ranks and data files of their own."""
    other = Board(tmp_path / "other", n=40)
    folder = other.submit(name="Elsewhere")
    folder.rename(board.entries / folder.name)
    for path in other.golds.iterdir():
        path.rename(board.golds / path.name)
    site = read_site(board.root)
    assert [len(b.entries) for b in site.boards] == [3, 1]
    assert site.boards[1].entries[0].rank.high == 1
    assert len({b.slug for b in site.boards}) == len({b.title for b in site.boards}) == 2
    assert f"board-{site.boards[1].slug}.html" in dict(site_files(site))


def test_an_entry_that_lies_is_left_out_and_named(board):
    """A typed score that the predictions contradict is not shown, and stops nobody else's page."""
    folder = next(board.entries.iterdir())
    value = json.loads((folder / "entry.json").read_text())
    change(folder, "result", to=None)
    change(folder, "claim", "n_correct", to=value["claim"]["n_correct"] + 1)
    change(folder, "claim", "n_top5", to=value["claim"]["n_total"])
    site = read_site(board.entries)
    assert folder.name not in [e.id for e in site.boards[0].entries]
    (told,) = site.left_out
    assert told.startswith(f"{folder.name} is left out: top-1 is claimed to be")
    page = dict(site_files(site))["changes.html"].decode()
    assert f"<li>{folder.name} is left out: top-1 is claimed" in page


def test_what_is_the_submitters_word(board):
    """Marked on the page of every entry; less of it where the model was run again."""
    files = dict(site_files(read_site(board.entries)))
    page = files[f"entries/{next(board.entries.iterdir()).name}.html"].decode()
    assert "Training data, device, speed and software are the submitter&#39;s word; so are weights" in page
    assert 'href="../verification.html">More' in page
    assert '<h2 id="word">' in files["verification.html"].decode()


def test_wrong_folders_are_named(board, tmp_path):
    """A missing folder, and one that is none of entries."""
    with pytest.raises(UsageError, match="there is no folder"):
        read_site(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="is not a folder of entries"):
        read_site(board.golds)


def test_no_entries_but_published_tables(tmp_path):
    """The shipped tables fill the front page; OpenCLIP's 68 checkpoints are among them."""
    (tmp_path / "entries").mkdir()
    tables = load_published()
    assert max(len(table.rows) for table in tables) == 68
    files = dict(site_files(read_site(tmp_path / "entries", tables)))
    assert "There is no re-scored entry yet" in files["index.html"].decode()


def test_published_tables_stand_under_their_benchmark_alone(board, tmp_path):
    """Under ImageNet-Hard all of them, those of its number of images first; under another set none."""
    tables = load_published()
    other = Board(tmp_path / "other", name="imagenet-v2", source="folder", revision=None)
    other.submit()
    (hard,), (v2,) = (read_site(each.entries, tables).boards for each in (board, other))
    assert published_on(v2.benchmark, v2.n, tables) == []
    assert [t.release.n for t in published_on(hard.benchmark, hard.n, tables)] == [
        13_630,
        11_350,
        10_980,
        10_980,
    ]
    on_11_350 = published_on(hard.benchmark, 11_350, tables)
    assert [t.release.n for t in on_11_350] == [11_350, 13_630, 10_980, 10_980]
    page = dict(site_files(read_site(other.entries, tables)))["index.html"].decode()
    assert "Reported elsewhere" not in page
    assert "13,630" in dict(site_files(read_site(board.entries, tables)))["index.html"].decode()


@pytest.mark.slow
def test_imagenet_v2_end_to_end(shared, tmp_path):
    """67 real models through import, verification and assembly: resnet50 63.33 / 84.65, 6 of 66 apart.

    None is flagged: the thresholds leave room for ports of one network's weights.
    """
    folder = shared / "data" / "predictions" / "imagenetv2-matched-frequency"
    found = import_v2(folder)
    assert (len(found.entries), found.gold.info.n) == (67, 10_000)
    (claim,) = (entry.claim for entry, _ in found.entries if entry.name == "resnet50")
    assert (claim.n_correct, claim.n_top5) == (6333, 8465)
    write_imported(tmp_path, found, accepted=True)
    site = read_site(tmp_path / "entries")
    (board,) = site.boards
    assert [(e.id, c.detail) for e in board.entries if e.report for c in e.report.flags] == []
    entry = next(e for e in board.entries if e.name == "resnet50")
    assert (entry.top1.n_correct, entry.top5.n_correct, entry.tier) == (6333, 8465, "re-scored")
    assert entry.calibration is None
    assert {e.tier for e in board.entries} == {"re-scored"}
    assert (len(board.entries), board.neighbours_apart) == (67, 6)
    page = dict(site_files(site))[f"entries/{entry.id}.html"].decode()
    assert "carry no probabilities" in page
