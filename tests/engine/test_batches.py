"""Batches of one job: what is kept, in which order, and what ends it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.engine.batches import Batches
from imagenet_hard.engine.prepare import KNOWN
from imagenet_hard.engine.store import Row


class Recording:
    """A predictor that notes what is asked of it; the "pixels" are class indices."""

    optimizations: list[str] = []  # noqa: RUF012
    ahead, name, precision, odd = None, "recording", "fp32", -1

    def __init__(self, device: str = "cpu", size: int = 4, fits: int = 99) -> None:
        self.device, self.batch_size, self.fits = torch.device(device), size, fits
        self.calls: list[str] = []

    @property
    def images(self):
        return self.batch_size

    def launch(self, pixels, ids):
        if len(pixels) > self.fits:
            raise torch.OutOfMemoryError
        assert len(pixels) == len(ids)
        self.calls.append(f"launch {len(pixels)}")
        logits = torch.nn.functional.one_hot(torch.tensor(pixels), 1000).float()
        return torch.where(torch.tensor(pixels)[:, None] == self.odd, float("-inf"), logits)

    def shrink(self):
        if self.batch_size == 1:
            return False
        self.batch_size //= 2
        return True


def fed(predictor, n=10, wants=lambda row, pixels: True):
    kept = []

    def keep(rows, scores):
        predictor.calls.append(f"keep {len(rows)}")
        kept.append((rows, scores))

    batches = Batches(lambda: predictor, wants, keep)
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


def test_an_accelerator_has_the_next_batch_while_the_last_one_is_kept():
    """On a CPU there is nothing to overlap."""
    one, other = Recording("cpu"), Recording("meta")
    fed(one, 8)
    fed(other, 8)
    assert one.calls == ["launch 4", "keep 4", "launch 4", "keep 4"]
    assert other.calls == ["launch 4", "launch 4", "keep 4", "keep 4"]


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_logits_that_are_not_finite_name_their_image(device):
    """Also where they would not show in the top 5; batches before it are kept."""
    predictor = Recording(device)
    predictor.odd = 6
    batches, kept = fed(predictor)
    assert isinstance(batches.error, ClassifierError)
    assert "recording gave NaN or infinite logits in fp32 for image '6' (and 0 more" in str(batches.error)
    assert [row.id for rows, _ in kept for row in rows] == ["0", "1", "2", "3"]


def test_a_failed_job_lets_go_of_its_memory():
    """The error is kept, with its trace; what the model's frames held is not."""
    import weakref

    held = []

    class Failing(Recording):
        def launch(self, pixels, ids):
            activations = torch.zeros(10)
            held.append(weakref.ref(activations))
            raise ClassifierError("it fails") from ValueError("inside")

    batches, _ = fed(Failing())
    assert held[0]() is None
    assert batches.error.__traceback__ is not None
    assert isinstance(batches.error.__cause__, ValueError)


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
