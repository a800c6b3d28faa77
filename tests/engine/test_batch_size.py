"""The fastest batch size: chosen by time alone, remembered, and never beyond memory."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.engine import batch_size
from imagenet_hard.engine.batch_size import choose_batch_size, fastest, seconds_per_image
from imagenet_hard.engine.engine import LocalEngine
from imagenet_hard.engine.settings import RunSettings
from tests.engine.small import classifier

CPU = RunSettings(device="cpu")


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=6))
def test_the_largest_of_the_fastest(times):
    """None is faster by more than 3 %, and no larger one is as fast."""
    ladder = [2**i for i in range(len(times))]
    found = fastest(dict(zip(ladder, times, strict=True)).__getitem__, ladder)
    best = min(times)
    assert times[ladder.index(found)] * 0.97 <= best
    assert all(t * 0.97 > best for size, t in zip(ladder, times, strict=True) if size > found)


def test_memory_ends_the_ladder():
    """Sizes that do not fit are no candidates; if none fits, that is said."""

    def seconds(size):
        if size > 8:
            raise torch.OutOfMemoryError
        return 1 / size

    assert fastest(seconds, (4, 8, 16, 32)) == 8
    with pytest.raises(ClassifierError, match="out of memory at batch size 16"):
        fastest(seconds, (16, 32))


def test_it_is_measured_once(tmp_path, monkeypatch):
    """A second run finds the same, whatever the clock says; a damaged file is measured again."""
    monkeypatch.setenv("IMAGENET_HARD_CACHE", str(tmp_path))
    monkeypatch.setitem(batch_size.LADDERS, "cpu", (2, 4))
    engine = LocalEngine()

    def chosen(seed, seconds):
        monkeypatch.setattr(batch_size, "seconds_per_image", lambda c, s, n: seconds[n])
        return choose_batch_size("fastest", classifier(seed), CPU, engine)

    assert chosen(0, {2: 1.0, 4: 2.0}) == 2
    assert chosen(0, {2: 2.0, 4: 1.0}) == 2
    assert chosen(1, {2: 2.0, 4: 1.0}) == 4
    for file in tmp_path.rglob("*.json"):
        file.write_text("{")
    assert chosen(0, {2: 2.0, 4: 1.0}) == 4


def test_a_number_that_was_cut_short_is_not_believed(tmp_path, monkeypatch):
    """Of "64" a "6" may be left: no such number is a size, for any device, so it is measured again."""
    for ladder in batch_size.LADDERS.values():
        assert not any(int(str(n)[:k]) in ladder for n in ladder for k in range(1, len(str(n))))
    monkeypatch.setenv("IMAGENET_HARD_CACHE", str(tmp_path))
    monkeypatch.setattr(batch_size, "seconds_per_image", lambda c, s, n: 1.0 if n == 64 else 2.0)
    assert choose_batch_size("fastest", classifier(), CPU, LocalEngine()) == 64
    (file,) = tmp_path.rglob("*.json")
    assert file.read_text() == "64"
    for damaged in ("6", "", "[64]", '"x"'):
        file.write_text(damaged)
        assert choose_batch_size("fastest", classifier(), CPU, LocalEngine()) == 64


def test_only_fastest_is_measured(monkeypatch):
    """A number and the automatic size are taken as they are."""
    monkeypatch.setattr(batch_size, "measured_batch_size", None)
    assert [choose_batch_size(x, classifier(), CPU, LocalEngine()) for x in (None, 5)] == [None, 5]


def test_a_real_classifier_is_timed():
    """Seconds of an image, at the size that is asked for."""
    assert 0 < seconds_per_image(classifier(), CPU, 2) < 1
