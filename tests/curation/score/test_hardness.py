"""The hardness filter: its survivors are those of the protocol, whatever happens on the way."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from imagenet_hard.base.errors import ClassifierError, DatasetError
from imagenet_hard.curation.score import hardness, screening, verdicts
from imagenet_hard.curation.score.crops import Candidate
from imagenet_hard.curation.score.hardness import HardnessFilter
from imagenet_hard.curation.score.images import UndecidedImages
from imagenet_hard.curation.score.verdicts import CropQueue, CropQueues, Verdict
from imagenet_hard.curation.store import CurationStore
from imagenet_hard.dataset.decode import decode
from imagenet_hard.engine.forward import Forward
from imagenet_hard.engine.openvino import openvino_version
from imagenet_hard.imagenet.resizing import resize_shorter
from tests.curation.small import GRID, SETTINGS, Made, by_protocol, made, net, run
from tests.engine.small import keep_graphs


def hard(store: CurationStore) -> set[str]:
    return {survivor.id for survivor in store.survivors()}


def open_store(folder: Path) -> CurationStore:
    return CurationStore(folder / "scores.sqlite", create=True)


def test_survivors_are_those_of_the_protocol(tmp_path):
    """Two networks, 30 images, 27 zooms: the same survivors as one plain forward pass a crop."""
    data = made(30)
    with open_store(tmp_path) as store:
        done = run(store, [data.source()], [net(0), net(1)])
        assert hard(store) == data.hard
        records = {record.id: record for record in store.images()}
        by_id = dict(zip(data.ids, data.data, strict=True))
        for record in records.values():
            if record.state == "solved":
                seed = int(record.classifier[-1])
                assert by_protocol(by_id[record.id], net(seed))[record.zoom] in record.labels
                assert store.views(record.id) == {}
        progress = done.progress()
    assert (progress.done, progress.solved, progress.hard, progress.failed) == (30, 20, 10, 0)
    assert progress.crops < 30 * 54 * 0.75  # most images left early


@pytest.mark.skipif(openvino_version() is None, reason="needs the extra: pip install '.[cpu]'")
@pytest.mark.parametrize("runtime", ["openvino", "auto"])
def test_the_runtime_changes_no_verdict(tmp_path, monkeypatch, runtime):
    """Near-ties are settled by torch: were all of them near, each number that is kept would be torch's."""
    keep_graphs(monkeypatch)
    data, seen = made(), {}
    for name, how in (("torch", SETTINGS), ("other", replace(SETTINGS, runtime=runtime))):
        with open_store(tmp_path / name) as store:
            run(store, [data.source()], [net(0), net(1)], how)
            assert hard(store) == data.hard
    monkeypatch.setattr(verdicts, "NEAR_TIE", np.inf)
    for name, how in (("torch near", SETTINGS), ("other near", replace(SETTINGS, runtime=runtime))):
        with open_store(tmp_path / name) as store:
            run(store, [data.source()], [net(0)], how)
            views = {id: store.views(id)["net0"] for id in hard(store)}
            seen[name] = {id: (each.deficit.tolist(), each.predicted.tolist()) for id, each in views.items()}
    assert seen["torch near"] == seen["other near"]


def test_views_of_survivors_are_whole(tmp_path):
    """Every zoom of every network, with the class that the protocol predicts, and a positive deficit."""
    data = made()
    with open_store(tmp_path) as store:
        store.remember(standard=f'{{"net0": {GRID.standard}, "net1": {GRID.standard}}}')
        run(store, [data.source()], [net(0), net(1)])
        by_id = dict(zip(data.ids, data.data, strict=True))
        for survivor in store.survivors():
            views = store.views(survivor.id)
            for seed in (0, 1):
                got = views[f"net{seed}"]
                assert got.tried.all()
                assert (got.deficit > 0).all()
                np.testing.assert_array_equal(got.predicted, by_protocol(by_id[survivor.id], net(seed)))
            assert [view.classifier for view in survivor.standard] == ["net0", "net1"]
            deficits = [view.deficit for view in survivor.closest]
            assert deficits == sorted(deficits)
            smallest = min(float(v.deficit.min()) for v in views.values())
            assert deficits[0] == pytest.approx(smallest)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(12)), batch=st.sampled_from([1, 3, 8, 16]), swap=st.booleans())
def test_no_order_matters(tmp_path_factory, order, batch, swap):
    """Images shuffled, other batch sizes, classifiers swapped: the same survivors."""
    data = made()
    classifiers = [net(1), net(0)] if swap else [net(0), net(1)]
    with open_store(tmp_path_factory.mktemp("order")) as store:
        run(store, [data.source(order=order)], classifiers, replace(SETTINGS, batch_size=batch))
        assert hard(store) == data.hard


def test_masks_cut_the_classes(tmp_path):
    """With a mask the argmax is over its classes only, as the protocol says."""
    data = made()
    mask = np.zeros(1000, np.bool_)
    mask[[label for (label,) in data.labels]] = True
    mask[:40] = True
    expected = {
        id
        for id, image, labels in zip(data.ids, data.data, data.labels, strict=True)
        if not np.isin(by_protocol(image, net(0), mask), labels).any()
    }
    with open_store(tmp_path) as store:
        run(store, [data.source(mask=mask)], [net(0)])
        assert hard(store) == expected


def test_exhaustive_records_every_zoom(tmp_path):
    """Also of solved images, and right exactly where the protocol is right."""
    data = made(12)
    with open_store(tmp_path) as store:
        run(store, [data.source()], [net(0), net(1)], exhaustive=True)
        for id, image, labels in zip(data.ids, data.data, data.labels, strict=True):
            views = store.views(id)
            for seed in (0, 1):
                expected = np.isin(by_protocol(image, net(seed)), labels)
                np.testing.assert_array_equal(views[f"net{seed}"].deficit < 0, expected)
        assert hard(store) == {id for id in data.hard if id in data.ids}


def test_screening_keeps_the_survivors(tmp_path, monkeypatch):
    """bfloat16 sorts out most crops, and float32's survivors remain."""
    monkeypatch.setattr(screening, "CALIBRATION", 32)
    data = made()
    with open_store(tmp_path) as store:
        done = run(store, [data.source()], [net(0), net(1)], screened=["net0", "net1"])
        assert hard(store) == data.hard
        assert done.queues.screens["net0"].n_crops > 0
        skipped = sum(int(v.screened.sum()) for id in hard(store) for v in store.views(id).values())
    assert skipped > 0


def test_a_larger_difference_reopens_what_was_skipped(tmp_path, monkeypatch):
    """A tolerance that turns out too small is made good: the crops it let pass are run in float32."""
    monkeypatch.setattr(screening, "CALIBRATION", 1)
    data = made()
    with open_store(tmp_path) as store:
        first = HardnessFilter([data.source()], CropQueues([net(0)], SETTINGS, ["net0"]), store, SETTINGS)
        first.tolerances["net0"].compared, first.tolerances["net0"].largest = 10, -1.0  # skips everything
        # The first comparison of the run lifts it; what was skipped until then is reopened at the end.
        first.run()
        expected = {
            id
            for id, image, labels in zip(data.ids, data.data, data.labels, strict=True)
            if not np.isin(by_protocol(image, net(0)), labels).any()
        }
        assert hard(store) == expected


@pytest.mark.parametrize("later", [(), ("net1",), ("net0", "net1")])
def test_what_was_skipped_is_checked_whatever_is_screened_later(tmp_path, monkeypatch, later):
    """Whether screening is worth it is measured at each start, and may come out otherwise on a resume."""
    data, nets = made(), [net(0), net(1)]
    with open_store(tmp_path) as store:
        monkeypatch.setattr(screening.Tolerance, "needs_exact", lambda self, screened: False)
        monkeypatch.setattr(hardness, "reopen", lambda store, tolerances: [])
        run(store, [data.source()], nets, screened=["net0"])
        assert hard(store) > data.hard  # as if killed before what was skipped had been checked
        monkeypatch.undo()
        store.remember(**{"tolerance:net0": json.dumps([300, 5.0, 900])})
        run(store, [data.source()], nets, screened=later)
        assert hard(store) == data.hard


class Stop(Exception):
    """Stands for a kill between two batches."""


def test_an_interrupted_run_goes_on(tmp_path, monkeypatch):
    """Stopped before every fourth batch, over and over: the same survivors, and no crop scored twice."""
    data = made()
    plain = Forward.logits
    budget, runs, done = 0, 0, False
    scored: list[tuple[str, str, bytes]] = []

    def counted(self, pixels, ids):
        nonlocal budget
        if len(ids) > 1:  # a single crop may be a near-tie being settled
            if budget == 0:
                raise Stop
            budget -= 1
            name = self.classifier.spec.weights_sha256
            scored.extend((name, id, p.tobytes()) for id, p in zip(ids, pixels, strict=True))
        return plain(self, pixels, ids)

    monkeypatch.setattr(Forward, "logits", counted)
    while not done:
        budget, runs = 3, runs + 1
        with contextlib.suppress(Stop), open_store(tmp_path) as store:
            run(store, [data.source()], [net(0), net(1)])
            assert hard(store) == data.hard
            done = True
    assert runs > 5
    assert len(scored) == len(set(scored))
    with open_store(tmp_path) as store:
        budget = 0  # nothing is left to do
        run(store, [data.source()], [net(0), net(1)])


def test_an_image_that_cannot_be_decoded_is_named(tmp_path):
    """It is undecided, with its reason; the others are decided; mended, it is scored in the next run."""
    data = made(6)
    whole = data.data[4]
    broken = replace(data, data=[*data.data[:4], whole[: len(whole) // 2], data.data[5]])
    with open_store(tmp_path) as store:
        done = run(store, [broken.source(state="1")], [net(0), net(1)])
        assert done.progress().failed == 1
        (failed,) = [record for record in store.images() if record.state == "failed"]
        assert failed.id == data.ids[4]
        assert "cannot be decoded" in failed.error
        run(store, [data.source(state="2")], [net(0), net(1)])
        assert {record.state for record in store.images()} <= {"solved", "hard"}
        assert hard(store) == {id for id in data.hard if id in data.ids}


@pytest.mark.parametrize("error", [MemoryError(), ValueError("image has wrong mode")])
def test_an_image_whose_zooms_cannot_be_made_is_undecided(tmp_path, monkeypatch, error):
    """By name and with its reason, while the others are decided; made, it is scored in the next run."""
    data = made(6)
    plain = Candidate.crops

    def failing(self, grid, zooms):
        if self.record.id == data.ids[2]:
            raise error
        return plain(self, grid, zooms)

    with open_store(tmp_path) as store:
        with monkeypatch.context() as patched:
            patched.setattr(Candidate, "crops", failing)
            done = run(store, [data.source()], [net(0), net(1)])
            assert done.progress().failed == 1
        why = store.summary().failures[data.ids[2]]
        assert why.startswith(f"net0: its zooms cannot be made ({type(error).__name__}")
        assert {record.id for record in store.images() if record.state == "hard"} == {data.ids[5]}
        run(store, [data.source()], [net(0), net(1)])
        assert hard(store) == data.hard & set(data.ids)


def test_an_image_too_large_for_memory_is_undecided(tmp_path, monkeypatch):
    """Decoding may need more than there is: that ends no run."""
    data = made(6)

    def failing(found, *, id, exif):
        if id == data.ids[4]:
            raise MemoryError
        return decode(found, id=id, exif=exif)

    monkeypatch.setattr("imagenet_hard.curation.score.images.decode", failing)
    with open_store(tmp_path) as store:
        run(store, [data.source()], [net(0), net(1)])
        failures = store.summary().failures
        assert failures == {data.ids[4]: f"image {data.ids[4]!r} does not fit into the memory that is left"}
        assert hard(store) == data.hard & set(data.ids)


def test_lines_of_pixels_are_decided_like_any_image(tmp_path):
    """1 x 3000 and 3000 x 1 among others, as the protocol does it with the whole resized image."""
    lines = [Image.new("RGB", size, (9 * i, 90, 200)) for i, size in enumerate([(1, 900), (900, 1)])]
    out = []
    for line in lines:
        stream = io.BytesIO()
        line.save(stream, "PNG")
        out.append(stream.getvalue())
    seen = [set(by_protocol(each, net(0)).tolist()) for each in out]
    labels = [(min(seen[0]),), (next(c for c in range(1000) if c not in seen[1]),)]
    data = Made(["imagenet/0", "imagenet/1"], out, labels, {"imagenet/1"})
    whole = partial(resize_shorter, most=0)
    with patch("imagenet_hard.imagenet.zoom.resize_shorter", whole), open_store(tmp_path) as store:
        run(store, [data.source()], [net(0)])
        assert hard(store) == data.hard


def test_an_image_that_fails_under_one_classifier_only(tmp_path, monkeypatch):
    """Solved by the other one, it is solved; unsolved, it is undecided and says why. No other suffers."""
    data = made(9)
    bad = {data.ids[1], data.ids[2]}  # 1 is solved by net1, 2 by none
    plain = Forward.logits

    def failing(self, pixels, ids):
        if self.classifier is net(0).model and bad & set(ids):
            raise ClassifierError(f"NaN for {sorted(bad & set(ids))}")
        return plain(self, pixels, ids)

    monkeypatch.setattr(Forward, "logits", failing)
    with open_store(tmp_path) as store:
        run(store, [data.source()], [net(0), net(1)])
        states = {record.id: record for record in store.images()}
    assert states[data.ids[1]].state == "solved"
    assert states[data.ids[1]].classifier == "net1"
    assert states[data.ids[2]].state == "failed"
    assert "net0: NaN for" in states[data.ids[2]].error
    assert {id for id, record in states.items() if record.state == "hard"} == data.hard & set(data.ids) - bad


class Changed(torch.nn.Module):
    """A network with ``value`` for every other class."""

    def __init__(self, inner, value):
        super().__init__()
        self.inner, self.value = inner, value

    def forward(self, x):
        return self.inner(x).masked_fill(torch.arange(1000) % 2 == 1, self.value)


def changed_net(value):
    who = net(0)
    return replace(who, model=replace(who.model, module=Changed(who.model.module, value)))


def test_a_class_that_is_never_predicted_ranks_last(tmp_path):
    """-inf is the log of a probability of 0, no failure: the verdicts are those of the protocol."""
    data, who = made(9), changed_net(-torch.inf)
    with open_store(tmp_path) as store:
        run(store, [data.source()], [who], exhaustive=True)
        states = {record.id: record.state for record in store.images()}
        views = {id: store.views(id)["net0"] for id in data.ids}
    for id, image, labels in zip(data.ids, data.data, data.labels, strict=True):
        expected = by_protocol(image, who)
        right = np.isin(expected, labels)
        np.testing.assert_array_equal(views[id].predicted, expected)
        np.testing.assert_array_equal(views[id].deficit < 0, right)
        assert np.isposinf(views[id].deficit).all() == (labels[0] % 2 == 1)
        assert states[id] == ("solved" if right.any() else "hard")


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_no_logit_is_refused(tmp_path, value):
    """NaN and +inf say nothing about any class."""
    with open_store(tmp_path) as store, pytest.raises(ClassifierError, match="NaN or infinite logits"):
        run(store, [made(9).source()], [changed_net(value)])


def test_a_classifier_that_fails_on_everything_ends_the_run(tmp_path, monkeypatch):
    """That is no matter of one image."""

    def failing(self, pixels, ids):
        raise ClassifierError("the network is broken")

    monkeypatch.setattr(Forward, "logits", failing)
    with open_store(tmp_path) as store, pytest.raises(ClassifierError, match="the network is broken"):
        run(store, [made(9).source()], [net(0)])


def test_changed_bytes_are_refused(tmp_path):
    """A scored image with other bytes is named, once its files show that they were touched."""
    data = made(9)
    other = replace(data, data=[data.data[1], *data.data[1:]])
    with open_store(tmp_path) as store:
        run(store, [data.source(state="1")], [net(0)])
        run(store, [data.source(state="touched")], [net(0)])  # the same content: fine
        with pytest.raises(DatasetError, match=r"1 images have other bytes \(imagenet/000\)"):
            run(store, [other.source(state="3")], [net(0)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: replace(d, ids=["imagenet/new", *d.ids[1:]]), r"1 scored images are gone \(imagenet/000"),
        (lambda d: replace(d, labels=[(5, 6), *d.labels[1:]]), r"1 have other labels \(imagenet/000"),
        (
            lambda d: replace(d, ids=[*d.ids, "x"], data=[*d.data, b""], labels=[*d.labels, (1,)]),
            "were added",
        ),
    ],
)
def test_another_listing_is_refused(tmp_path, change, message):
    """Images added, gone or relabelled since the store was begun."""
    data = made(9)
    with open_store(tmp_path) as store:
        run(store, [data.source()], [net(0)])
        with pytest.raises(DatasetError, match=message):
            run(store, [change(data).source()], [net(0)])


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_near_ties_are_settled_in_a_batch_of_their_own(tmp_path, monkeypatch, share):
    """The verdict of a near-tie does not depend on its neighbours, to the last bit; others' does a little.

    Half of the verdicts count as near-ties, or all. Neighbours are made to matter, as on some devices.
    """
    data, plain = made(9), Forward.logits

    def uneven(self, pixels, ids):
        others = np.stack(pixels).astype(np.float64)
        shift = 1e-5 * np.abs(others - others.mean(axis=0)).mean(axis=(1, 2, 3))  # 0 among one's own copies
        return plain(self, pixels, ids) * torch.tensor(1 + shift, dtype=torch.float32)[:, None]

    with open_store(tmp_path / "alone") as store:
        run(store, [data.source()], [net(0)], exhaustive=True)
        deficits = np.concatenate([np.abs(store.views(id)["net0"].deficit) for id in data.ids])
    near_tie = float(np.quantile(deficits, share)) * 1.001
    monkeypatch.setattr("imagenet_hard.curation.score.verdicts.NEAR_TIE", near_tie)
    monkeypatch.setattr(Forward, "logits", uneven)
    found = []
    for order in (range(9), range(8, -1, -1)):
        with open_store(tmp_path / str(order)) as store:
            run(store, [data.source(order=order)], [net(0)], exhaustive=True)
            found.append(np.stack([store.views(id)["net0"].deficit for id in data.ids]))
    settled = np.abs(found[0]) < near_tie * 0.99
    assert settled.mean() > share - 0.1
    np.testing.assert_array_equal(found[0][settled], found[1][settled])
    np.testing.assert_allclose(found[0], found[1], rtol=0.05)
    if share < 1:
        assert (found[0][~settled] != found[1][~settled]).any()


def test_a_screening_that_fails_leaves_the_verdict_to_float32(tmp_path, monkeypatch):
    """NaN in bfloat16 says nothing about float32."""
    data = made()
    plain = Forward.logits

    def failing(self, pixels, ids):
        if self.precision == "bf16":
            raise ClassifierError("NaN")
        return plain(self, pixels, ids)

    monkeypatch.setattr(Forward, "logits", failing)
    monkeypatch.setattr(
        CropQueue, "_one_by_one", lambda self, batch, error: [Verdict(c, error="NaN") for c in batch]
    )
    with open_store(tmp_path) as store:
        run(store, [data.source()], [net(0), net(1)], screened=["net0", "net1"])
        assert hard(store) == data.hard


def test_huge_images_take_turns(tmp_path, monkeypatch):
    """When their pixels leave no room for a window of them, one at a time is decided."""
    monkeypatch.setattr(hardness, "MAX_PIXELS", 1)
    data = made(6)
    with open_store(tmp_path) as store:
        run(store, [data.source()], [net(0), net(1)])
        assert hard(store) == data.hard & set(data.ids)


def test_fewer_huge_images_are_decoded_ahead(tmp_path, monkeypatch):
    """As many as fit into a number of pixels, going by those before; small ones by the chunk."""
    data, sizes = made(30), []
    for pixels in (1, 3 * 4000, 10**9):
        monkeypatch.setattr("imagenet_hard.curation.score.images.CHUNK_PIXELS", pixels)
        chunks = []

        class Pool:
            def map(self, function, chunk, chunks=chunks):
                chunks.append(len(chunk))
                return map(function, chunk)

        with open_store(tmp_path / str(pixels)) as store:
            found = list(
                UndecidedImages([data.source()], store, exif=False).candidates(Pool(), lambda: iter(()))
            )
        assert [each.record.id for each in found] == data.ids
        sizes.append(chunks)
    assert sizes[0] == [8] + [1] * 22
    assert all(1 <= size <= 10 for size in sizes[1][1:])
    assert sizes[2] == [8, 22]


def test_memory_is_bounded_by_the_window(tmp_path, monkeypatch):
    """However many images there are, only a window of them is decoded at a time."""
    data = made(30)
    most = 0
    plain = CropQueue.run

    def watched(self):
        nonlocal most
        most = max(most, len(filter_._active))
        return plain(self)

    monkeypatch.setattr(CropQueue, "run", watched)
    with open_store(tmp_path) as store:
        one = replace(SETTINGS, batch_size=1)
        filter_ = HardnessFilter([data.source()], CropQueues([net(0)], one), store, one)
        filter_.run()
    assert 0 < most <= 8
