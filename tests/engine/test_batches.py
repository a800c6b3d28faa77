"""Batches of one job: what is kept, in which order, and what ends it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imagenet_hard.engine.batches import Batches
from imagenet_hard.engine.prepare import KNOWN
from imagenet_hard.engine.store import Row
from imagenet_hard.errors import ClassifierError


class Recording:
    """A predictor that notes what is asked of it; the "pixels" are class indices."""

    optimizations: list[str] = []  # noqa: RUF012
    ahead = None

    def __init__(self, device: str = "cpu", size: int = 4, fits: int = 99) -> None:
        self.device, self.batch_size, self.fits = torch.device(device), size, fits
        self.calls: list[str] = []

    @property
    def images(self):
        return self.batch_size

    def launch(self, pixels):
        if len(pixels) > self.fits:
            raise torch.OutOfMemoryError
        self.calls.append(f"launch {len(pixels)}")
        return pixels

    def finish(self, launched, ids):
        self.calls.append(f"finish {len(launched)}")
        assert len(launched) == len(ids)
        return torch.nn.functional.one_hot(torch.tensor(launched), 1000).float()

    def shrink(self):
        if self.batch_size == 1:
            return False
        self.batch_size //= 2
        return True


def fed(predictor, n=10, wants=lambda row, pixels: True):
    kept = []
    batches = Batches(lambda: predictor, wants, lambda rows, scores: kept.append((rows, scores)))
    for i in range(n):
        batches.take(Row(f"{i}", (i,), "", ""), i)
    batches.flush()
    return batches, kept


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_every_image_is_kept_once_with_its_own_scores(device):
    """On whatever device, the last batch included."""
    batches, kept = fed(Recording(device))
    assert batches.error is None
    assert [row.id for rows, _ in kept for row in rows] == [str(i) for i in range(10)]
    assert np.concatenate([scores[0][:, 0] for _, scores in kept]).tolist() == list(range(10))


def test_an_accelerator_gets_the_next_batch_before_the_last_one_is_waited_for():
    """On a CPU there is nothing to overlap."""
    one, other = Recording("cpu"), Recording("meta")
    fed(one, 8)
    fed(other, 8)
    assert one.calls == ["launch 4", "finish 4", "launch 4", "finish 4"]
    assert other.calls == ["launch 4", "launch 4", "finish 4", "finish 4"]


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_out_of_memory_halves_and_loses_nothing(device):
    """What is under way is finished at the size that it was begun with."""
    predictor = Recording(device, size=8, fits=3)
    batches, kept = fed(predictor, 11)
    assert batches.error is None
    assert predictor.batch_size == 2
    assert [row.id for rows, _ in kept for row in rows] == [str(i) for i in range(11)]
    predictor = Recording(device, size=4, fits=0)
    batches, kept = fed(predictor)
    assert isinstance(batches.error, ClassifierError)
    assert "batch size 1: give a smaller" in str(batches.error)
    assert not kept


def test_what_is_not_wanted_is_left_out():
    """As rows that the store has."""
    _, kept = fed(Recording(), wants=lambda row, pixels: pixels is not KNOWN and int(row.id) % 2 == 0)
    assert [row.id for rows, _ in kept for row in rows] == ["0", "2", "4", "6", "8"]


def test_the_first_error_ends_the_job_and_stays():
    """Also one of building it, or of a transform; nothing more is run."""
    predictor = Recording()
    kept = []
    batches = Batches(lambda: predictor, lambda row, pixels: True, lambda rows, scores: kept.append(rows))
    for i in range(6):
        batches.take(Row(f"{i}", (i,), "", ""), i)
    batches.take(Row("bad", (0,), "", ""), ClassifierError("the transform failed"))
    batches.take(Row("7", (0,), "", ""), 7)
    batches.flush()
    assert str(batches.error) == "the transform failed"
    assert len(kept) == 1

    def build():
        raise ClassifierError("no such thing")

    batches = Batches(build, lambda row, pixels: True, lambda rows, scores: None)
    batches.take(Row("0", (0,), "", ""), 0)
    batches.flush()
    assert str(batches.error) == "no such thing"
