"""Batches of one job: what is kept, in which order, and what ends it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.engine.job import Job, JobProgress
from imagenet_hard.engine.prepare import KNOWN
from imagenet_hard.engine.run import Batches, score_together
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.engine.store import Row, Store
from tests.engine.small import benchmark, classifier


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


class Kept:
    """A store that notes in a predictor's calls what it is given."""

    def __init__(self, calls: list[str]) -> None:
        self.calls, self.batches = calls, []

    def rows(self):
        return {}

    def remove(self, ids):
        assert not list(ids)

    def add(self, rows, *scores):
        self.calls.append(f"keep {len(rows)}")
        self.batches.append((rows, scores))


def fed(predictor, pixels=range(10)):
    """What is known of the job in the end, and its batches: image ``i`` has ``pixels[i]``."""
    store = Kept(predictor.calls)
    batches = Batches(predictor, JobProgress(store))
    for i, each in enumerate(pixels):
        batches.take(Row(f"{i}", (i,), "", ""), each)
    batches.flush()
    return batches.progress, store.batches


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_every_image_is_kept_once_with_its_own_scores(device):
    """On whatever device, the last batch included."""
    progress, kept = fed(Recording(device))
    assert progress.error is None
    assert [row.id for rows, _ in kept for row in rows] == [str(i) for i in range(10)]
    assert np.concatenate([scores[0][:, 0] for _, scores in kept]).tolist() == list(range(10))


def test_an_accelerator_has_the_next_batch_while_the_last_one_is_kept():
    """On a CPU there is nothing to overlap."""
    one, other = Recording("cpu"), Recording("meta")
    fed(one, range(8))
    fed(other, range(8))
    assert one.calls == ["launch 4", "keep 4", "launch 4", "keep 4"]
    assert other.calls == ["launch 4", "launch 4", "keep 4", "keep 4"]


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_logits_that_are_not_finite_name_their_image(device):
    """Also where they would not show in the top 5; batches before it are kept."""
    predictor = Recording(device)
    predictor.odd = 6
    progress, kept = fed(predictor)
    assert isinstance(progress.error, ClassifierError)
    assert "recording gave NaN or infinite logits in fp32 for image '6' (and 0 more" in str(progress.error)
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

    progress, _ = fed(Failing())
    assert held[0]() is None
    assert progress.error.__traceback__ is not None
    assert isinstance(progress.error.__cause__, ValueError)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_out_of_memory_halves_and_loses_nothing(device):
    """What is under way is finished at the size that it was begun with."""
    predictor = Recording(device, size=8, fits=3)
    progress, kept = fed(predictor, range(11))
    assert progress.error is None
    assert predictor.batch_size == 2
    assert [row.id for rows, _ in kept for row in rows] == [str(i) for i in range(11)]
    predictor = Recording(device, size=4, fits=0)
    progress, kept = fed(predictor)
    assert isinstance(progress.error, ClassifierError)
    assert "batch size 1: give a smaller" in str(progress.error)
    assert not kept


def test_what_is_not_wanted_is_left_out():
    """As rows that the store has."""
    progress, kept = fed(Recording(), [i if i % 2 == 0 else KNOWN for i in range(10)])
    assert [row.id for rows, _ in kept for row in rows] == ["0", "2", "4", "6", "8"]
    assert (progress.n_scored, progress.n_resumed) == (5, 5)


def test_the_first_error_ends_the_job_and_stays():
    """As one of a transform: nothing more is run."""
    progress, kept = fed(Recording(), [*range(6), ClassifierError("the transform failed"), 7])
    assert str(progress.error) == "the transform failed"
    assert len(kept) == 1


def test_a_predictor_that_cannot_be_built_ends_its_job_alone():
    """The other one of the pass is scored."""

    def build(*args):
        raise ClassifierError("no such thing")

    good, bad = (Job(classifier(), RunSettings(device="cpu"), Store(None, "k")) for _ in range(2))
    (scored, _), error = score_together([good, dataclasses.replace(bad, build=build)], benchmark(5))
    assert len(scored.predictions) == 5
    assert str(error) == "no such thing"
