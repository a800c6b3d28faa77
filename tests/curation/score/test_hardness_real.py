"""The hardness filter killed at work, and on real images with real networks: the protocol's survivors."""

from __future__ import annotations

import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from imagenet_hard.classifiers.registry import load_classifier
from imagenet_hard.classifiers.transform_policy import with_policy
from imagenet_hard.curation.recipe import SourceSpec
from imagenet_hard.curation.records import OpenSource
from imagenet_hard.curation.score import screening
from imagenet_hard.curation.score.classifiers import ZoomClassifier
from imagenet_hard.curation.store import CurationStore
from imagenet_hard.dataset.decode import decode
from imagenet_hard.dataset.load import load_dataset
from imagenet_hard.engine.allocator import keep_activations
from imagenet_hard.engine.forward import Forward
from imagenet_hard.engine.openvino import openvino_version
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.imagenet.zoom import PAPER_SCALES, ZoomGrid
from tests.base.forked import started
from tests.curation.small import SETTINGS, Made, made, net, run
from tests.imagenet.test_zoom import cut, resized

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def score_slowly(data: Made, log: Path, path: Path) -> None:
    """The filter on ``data``, with a pause before each batch, whose crops it writes down."""
    plain = Forward.logits

    def slow(self, pixels, ids):
        time.sleep(0.01)
        with log.open("a") as file:
            for id, p in zip(ids, pixels, strict=True) if len(ids) > 1 else ():  # one: a near-tie is settled
                file.write(f"{self.classifier is net(0).model} {id} {hash(p.tobytes())}\n")
        return plain(self, pixels, ids)

    Forward.logits = slow
    with CurationStore(path, create=True) as store:
        run(store, [data.source()], [net(0), net(1)])


def test_killed_at_random_moments(tmp_path):
    """`kill -9` twenty times: the same survivors, and nothing scored twice but the batches in flight."""
    log, path = tmp_path / "log", tmp_path / "scores.sqlite"
    data, rng, kills = made(30), random.Random(0), 0
    for _ in range(60):
        process = started(score_slowly, data, log, path)
        if kills < 20:
            time.sleep(rng.uniform(0.01, 0.15))
            process.kill()
            kills += 1
        process.join()
        if process.exitcode == 0:
            break
    assert kills >= 10
    with CurationStore(path) as store:
        assert store.summary().complete
        assert {survivor.id for survivor in store.survivors()} == data.hard
    lines = log.read_text().splitlines()
    whole = [line for line in lines if line.count(" ") == 2]
    assert len(whole) - len(set(whole)) <= kills * SETTINGS.batch_size
    with closing(sqlite3.connect(path)) as db, db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_real_images_survive_as_in_the_protocol(shared, tmp_path):
    """20 real images, two real networks, every third scale: the exhaustive protocol's, by either runtime."""
    images, source, classifiers = real(shared, PAPER_SCALES[::3])
    expected = survivors(images, classifiers)
    for runtime in ("torch", "openvino") if openvino_version() else ("torch",):
        with CurationStore(tmp_path / f"{runtime}.sqlite", create=True) as store:
            run(store, [source], classifiers, RunSettings(device="cpu", runtime=runtime))
            assert {survivor.id for survivor in store.survivors()} == expected, runtime


def test_real_images_survive_the_screening(shared, tmp_path, monkeypatch):
    """With bfloat16 before, which is enough for most crops, under every twelfth scale at half the size.

    CPUs without units for it take half a second for a crop of 224 pixels, so few are compared, and batches
    are small.
    """
    monkeypatch.setattr(screening, "CALIBRATION", 16)
    images, source, classifiers = real(shared, PAPER_SCALES[::12], 112)
    with CurationStore(tmp_path / "scores.sqlite", create=True) as store:
        done = run(store, [source], classifiers, RunSettings(device="cpu", batch_size=4), [classifiers[0].id])
        found = {survivor.id for survivor in store.survivors()}
        skipped = sum(int(store.views(id)[classifiers[0].id].screened.sum()) for id in found)
    assert found == survivors(images, classifiers)
    assert done.tolerances[classifiers[0].id].compared >= 16
    assert skipped > 16


def real(shared, scales, size=224):
    """20 photographs, as a benchmark and a source, and two networks that look at them under these scales.

    ``size``: of a crop; whatever it is, it shows what these scales show at 224 pixels.
    """
    images = load_dataset(shared / "data/imagenet-samples").take(20)
    policy, grid = {"crop": size, "interpolation": "bicubic"}, ZoomGrid.for_size(size, scales)
    classifiers = [
        ZoomClassifier(name, with_policy(load_classifier(name), policy), grid)
        for name in ("efficientnet_lite0", "efficientnet_lite1")
    ]
    return images, OpenSource(SourceSpec(variant="imagenet", path="x"), images, None), classifiers


def survivors(images, classifiers) -> set[str]:
    """Ids of the images that no zoom solves; of these photographs there is one at least."""
    with keep_activations():  # the allocator changes the time, not the numbers
        found = {each.id for each in images if not any(solves(who, each) for who in classifiers)}
    assert found
    return found


def solves(who, example) -> bool:
    """Whether a zoom does, by the protocol; the scale of the standard view first, where most are solved."""
    image = decode(example.image, id=example.id).convert("RGB")
    scales = sorted(who.grid.scales, key=lambda scale: abs(scale - who.grid.standard_scale))
    return any(np.isin(predictions(who, image, scale), example.labels).any() for scale in scales)


def predictions(who, image: Image.Image, scale: int) -> np.ndarray:
    """int (9,): a plain pass over the image resized to this scale and cut at each anchor."""
    large = resized(image, scale)
    pixels = [cut(large, z.row, z.column, who.grid.size) for z in who.grid if z.scale == scale]
    with torch.inference_mode():
        return who.model.module(who.model.transform.batch(pixels, "cpu")).argmax(dim=1).numpy()
