"""``imagenet-hard curate build`` with what the store knows beyond the survivors' closest views."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from imagenet_hard.cli.main import group, run
from imagenet_hard.curation.recipe import load_recipe
from imagenet_hard.curation.review.decisions import DecisionRow, append_decision
from imagenet_hard.curation.score.run import score
from imagenet_hard.curation.sources import open_sources
from imagenet_hard.curation.store import FILE, CurationStore
from imagenet_hard.imagenet.classes import wnids
from tests.curation.small import SETTINGS, made, net

pytest.importorskip("datasets")

RECIPE = (
    "name: tiny\nversion: 1.0.0\nsources: [{variant: imagenet, path: val}]\nclassifiers: [{model: net0}]\n"
)


def test_a_label_that_any_zoom_predicts_takes_the_image_out(tmp_path, monkeypatch, capsys):
    """Also a zoom that is none of the nine that a reviewer sees; the command says which image and why."""
    monkeypatch.chdir(tmp_path)
    for i, (data, labels) in enumerate(zip(made().data, made().labels, strict=True)):
        folder = tmp_path / "val" / wnids()[labels[0]]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i}.jpg").write_bytes(data)
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    recipe = load_recipe("tiny.yaml")
    work = tmp_path / "curated/tiny"
    score(recipe, open_sources(recipe, tmp_path), work, SETTINGS, classifiers=[net()])
    with CurationStore(work / FILE, create=True) as store:
        survivors = store.survivors()
        chosen = survivors[0]
        farthest = int(store.views(chosen.id)["net0"].deficit.argmax())
        record = next(each for each in store.images() if each.id == chosen.id)
        record.views = store.views(chosen.id)
        record.views["net0"].predicted[farthest] = 777
        store.write([record])
    assert 777 not in {view.predicted for view in (*chosen.standard, *chosen.closest)}
    time = datetime(2026, 1, 31, tzinfo=UTC)
    row = DecisionRow(chosen.id, "relabel", "", (777,), "ann", time, chosen.image_sha256)
    append_decision(work / "decisions/ann.csv", row)
    args = ["curate", "build", "--recipe", "tiny.yaml", "--quiet"]
    assert run(group, [*args, "--json"], "imagenet-hard") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["answered"] == [chosen.id]
    assert (report["n"], report["relabelled"], report["reviewed"]) == (len(survivors) - 1, 0, 1)
    assert run(group, args, "imagenet-hard") == 0
    assert f"1 are out because a zoom predicts a label that reviewers gave them: {chosen.id}" in (
        capsys.readouterr().out
    )
