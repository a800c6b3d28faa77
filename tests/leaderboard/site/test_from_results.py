"""A page from results alone: the board's page and ranks, without labels, entries or a network."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.types import BenchmarkInfo, Selection
from imagenet_hard.cli.leaderboard import command
from imagenet_hard.cli.main import run
from imagenet_hard.evaluation.metrics import Metrics
from imagenet_hard.evaluation.result import write_result
from imagenet_hard.imagenet.mask import class_mask
from imagenet_hard.leaderboard.site.build import build_site
from imagenet_hard.leaderboard.site.from_entries import read_site
from imagenet_hard.leaderboard.site.from_results import read_results
from tests.evaluation.scored import make_result, make_scored
from tests.leaderboard.boards import standard

N = 80


def save(folder, scored, stem, **changes):
    """A result with its predictions, as an evaluation leaves them."""
    result = make_result(scored, name=changes.pop("name", stem), **changes)
    return write_result(folder, result, scored.predictions, stem=stem)


@pytest.fixture
def results(tmp_path):
    """Three models of different skill on 80 images."""
    for seed, skill in enumerate((2.0, 9.0, 5.0)):
        save(tmp_path / "results" / "imagenet-hard", make_scored(N, seed, skill)[0], f"model-{seed}")
    return tmp_path / "results"


def test_ranks_and_comparisons_are_those_of_the_predictions(results):
    """Order, counts, groups, classes and who is told apart, from the labels that only this test knows."""
    (board,) = read_results([results]).boards
    assert (board.title, board.n, board.labelled) == ("ImageNet-Hard", N, False)
    scored = {f"model-{seed}": make_scored(N, seed, skill)[0] for seed, skill in enumerate((2.0, 9.0, 5.0))}
    right = {}
    for name, each in scored.items():
        top1 = each.predictions.top5[:, 0].tolist()
        right[name] = np.array([p in labels for p, labels in zip(top1, each.labels, strict=True)])
    order = sorted(right, key=lambda name: -right[name].sum())
    assert [e.name for e in board.entries] == order == ["model-1", "model-2", "model-0"]
    assert [e.rank.place for e in board.entries] == [1, 2, 3]
    for i, e in enumerate(board.entries):
        assert board.correct[i].tolist() == right[e.name].tolist()
        origins = np.array(scored[e.name].origins)
        assert {k: r.n_correct for k, r in e.origins.items()} == {
            k: right[e.name][origins == k].sum() for k in sorted(set(origins))
        }
        assert e.per_class == Metrics.from_scored(scored[e.name]).per_class
        assert sum(rate.n_total for rate in e.n_labels.values()) == N
    a, b = right["model-1"], right["model-0"]
    table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    assert mcnemar(table, exact=True).pvalue < 1e-4
    assert not board.tied[0, 2]


def test_agrees_with_the_board_of_the_same_results(tmp_path):
    """Places, ranges, intervals and calibration are those that the board gives to the entries."""
    board = standard(tmp_path)
    (of_entries,), (of_results,) = (
        read_site(board.entries).boards,
        read_results([board.root / "results"]).boards,
    )
    kept = ("rank", "top1", "top5", "origins", "n_labels", "per_class", "calibration")
    places = {e.predictions_sha256: i for i, e in enumerate(of_results.entries)}
    order = [places[e.predictions_sha256] for e in of_entries.entries]  # equal scores go by id, which differ
    for entry, i in zip(of_entries.entries, order, strict=True):
        result = of_results.entries[i]
        assert [getattr(entry, name) for name in kept] == [getattr(result, name) for name in kept]
    assert (of_entries.tied == of_results.tied[np.ix_(order, order)]).all()
    np.testing.assert_array_equal(of_entries.kappa, of_results.kappa[np.ix_(order, order)])


def test_other_images_and_other_classes_stand_apart(results):
    """A subset and a mask have a page of their own, which says what they are."""
    scored = make_scored(N, 7)[0]
    part = make_scored(40, 7)[0]
    info = BenchmarkInfo(
        name="imagenet-hard",
        source="taesiri/imagenet-hard",
        n=40,
        fingerprint="e" * 64,
        selection=Selection(kind="sample", n=40, total=N, seed=3, ids_sha256="a" * 64),
    )
    save(results / "subset", part, "model-0", benchmark=info)
    protocol = make_result(scored).protocol.model_copy(update={"classes": class_mask("imagenet-a")})
    save(results / "masked", scored, "masked", protocol=protocol)
    boards = read_results([results]).boards
    assert [(b.title, len(b.entries)) for b in boards] == [
        ("ImageNet-Hard", 3),
        ("ImageNet-Hard among imagenet-a", 1),
        ("ImageNet-Hard sample-40-seed-3", 1),
    ]
    assert len({b.slug for b in boards}) == 3
    ids = [e.id for b in boards for e in b.entries]
    assert sorted(ids) == ["masked", "model-0", "model-0-2", "model-1", "model-2"]


def test_results_of_one_model_are_told_apart(results):
    """Names get weights, then protocol, then the file's name: as much as it takes."""
    folder = results / "imagenet-hard"
    for seed, tag, precision in ((3, "V1", "fp32"), (4, "V2", "fp32"), (5, "V2", "bf16"), (6, "V2", "bf16")):
        scored = make_scored(N, seed)[0]
        protocol = make_result(scored).protocol.model_copy(update={"precision": precision})
        save(folder, scored, f"again-{seed}", name="resnet50", tag=tag, protocol=protocol)
    (board,) = read_results([results]).boards
    names = {e.id: e.name for e in board.entries}
    assert names["model-1"] == "model-1"
    assert names["again-3"] == "resnet50, V1"
    assert names["again-4"] == "resnet50, V2, native fp32"
    assert names["again-5"] == "resnet50, V2, native bf16, again-5"


def test_a_result_given_twice_counts_once(results, tmp_path):
    """A folder and a file in it; a built page that lies among the results is passed over."""
    build_site(read_results([results]), results / "page")
    files = sorted((results / "imagenet-hard").glob("*.json"))
    site = read_results([results, files[0], results / "imagenet-hard"])
    assert [len(b.entries) for b in site.boards] == [3]
    assert site.left_out == ()


def test_what_cannot_be_read_is_named(results):
    """In a folder it is left out by name, also on the page; given itself it is an error."""
    lost = results / "imagenet-hard" / "model-2.json"
    lost.with_suffix(".parquet").unlink()
    (results / "notes.json").write_text("{}")
    (results / "vlm.matched.json").write_text("{}")  # what `imagenet-hard match` writes beside a result
    site = read_results([results])
    assert [e.name for e in site.boards[0].entries] == ["model-1", "model-0"]
    of_notes, of_lost = site.left_out
    assert "notes.json" in of_notes
    assert "model-2" in of_lost
    with pytest.raises(ResultError, match="model-2.parquet"):
        read_results([lost])


def test_results_that_contradict_each_other_are_refused(results):
    """The same answer to the same image cannot be right in one result and wrong in another."""
    path = results / "imagenet-hard" / "model-0.json"
    scored = make_scored(N, 1, 9.0)[0]
    labels = tuple((999,) if k == 0 else each for k, each in enumerate(scored.labels))
    # One label in place of one or more: counts per class and number of labels give it away first.
    other = type(scored)(scored.predictions, labels, scored.origins, scored.image_sha256)
    changed = make_result(other, name="changed")
    write_result(path.parent, changed, other.predictions, stem="changed")
    with pytest.raises(
        ResultError, match=r"changed\.json and .*model-0\.json|model-0\.json and .*changed\.json"
    ):
        read_results([results])
    # Labels of two images exchanged: all counts of labels stay.
    one, two = next(
        (i, j)
        for i in range(N)
        for j in range(i)
        if len(scored.labels[i]) == len(scored.labels[j])
        and int(scored.predictions.top5[i, 0]) in scored.labels[i]
    )
    swapped = list(scored.labels)
    swapped[one], swapped[two] = swapped[two], swapped[one]
    other = type(scored)(scored.predictions, tuple(swapped), scored.origins, scored.image_sha256)
    write_result(path.parent, make_result(other, name="changed"), other.predictions, stem="changed")
    with pytest.raises(ResultError, match="contradict each other: both answer class"):
        read_results([results])


def test_a_result_that_says_too_much_is_still_shown(tmp_path):
    """Names without end or without a letter, and numbers that no model has, break no page."""
    for seed, name in enumerate(("x" * 5000, "x" * 5000, "", "../<b>\u2028")):
        scored = make_scored(20, seed)[0]
        model = make_result(scored).model.model_copy(
            update={"name": name, "tag": "y" * 5000, "parameters": 10**400}
        )
        save(tmp_path / "r", scored, f"{'z' * 200}-{seed}", model=model)
    site = read_results([tmp_path / "r"])
    build_site(site, tmp_path / "page")
    names = {e.name for e in site.boards[0].entries}
    assert len(names) == 4
    assert "unnamed" in names
    assert len({e.id for e in site.boards[0].entries}) == 4


def preview(*args):
    """The exit code of ``imagenet-hard leaderboard preview ARGS``."""
    return run(command, ["preview", *map(str, args)], "imagenet-hard leaderboard")


def test_the_command(results, tmp_path, capsys):
    """Prints where to look; what was left out is named; the page says what it is."""
    (results / "notes.json").write_text("{}")
    assert preview(results, "--out", tmp_path / "page") == 0
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path / 'page' / 'index.html'}\n"
    assert "3 results on 1 benchmark" in captured.err
    assert f"Left out: {results / 'notes.json'}" in captured.err
    page = (tmp_path / "page" / "index.html").read_text()
    assert "3 results on 80 images, as they say themselves" in page
    assert "nothing was scored again" in page
    assert "scored again from" not in page
    assert "leaderboard preview</code>" in page
    assert "notes.json" in (tmp_path / "page" / "changes.html").read_text()
    entry = (tmp_path / "page" / "entries" / "model-1.html").read_text()
    assert "submitter&#39;s word" not in entry


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["nowhere"], "there is no file or folder nowhere"),
        (["empty"], "there is no result in empty; expected what `imagenet-hard eval` writes"),
        (["notes"], "there is no result in notes: notes/a.json: Input should be an object"),
        (["notes/a.json"], "notes/a.json"),
        (["text.txt"], "text.txt is not a result"),
        ([], "Missing argument 'RESULTS...'"),
    ],
)
def test_wrong_input_is_named(tmp_path, monkeypatch, capsys, given, message):
    """No traceback: what, where, and what was expected."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.json").write_text(json.dumps([1]))
    (tmp_path / "text.txt").write_text("x")
    assert preview(*given) in (1, 2)
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err


def test_without_labels_the_page_says_so(results, tmp_path, visit):
    """In the browser: ranking, comparison and an entry's page work; unknown labels are a dash."""
    shutil.rmtree(tmp_path / "page", ignore_errors=True)
    build_site(read_results([results]), tmp_path / "page")
    watched = visit(tmp_path / "page")
    page = watched.open("index.html")
    assert page.locator("#table tbody tr .col-name a").all_inner_texts() == ["model-1", "model-2", "model-0"]
    assert page.locator("#compare-result dd b").count() == 5
    page = watched.open("entries/model-1.html")
    assert page.locator("#flips-result tbody td").first.inner_text() == "–"
    assert page.locator("#class-rows tr").count() > 50
    page = watched.open("images/imagenet-hard-abababab-none.html")
    assert "Results do not hold the images’ labels." in page.inner_text("main")
