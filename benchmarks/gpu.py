"""Everything on a GPU against the bare forward and the bare decode, in one run and one table.

    python benchmarks/gpu.py [--data FOLDER] [--images N] [--part NAME]... [--device DEVICE]

It needs a CUDA device, a CUDA build of torch, the package and nothing else: weights are random, and the 20
sample images are repeated where no folder is given. Ten minutes give the whole answer. The limit is the
slower of the bare forward (of batches that lie on the device) and of the bare decode on all cores, since
the two overlap; "of both" is their sum over our time: above 1 they do. Predictions have to be the CPU's,
near-ties aside. --device cpu runs each part without a GPU, to see that it works; its figures then mean
nothing.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from evaluation import bare_decode
from images import Repeated
from torch import nn

from curation import evenly, limit
from curation import ours as filtered
from imagenet_hard.base.runtime import available_cores
from imagenet_hard.base.tables import Table
from imagenet_hard.base.types import Precision, Predictions
from imagenet_hard.classifiers.base import Classifier
from imagenet_hard.classifiers.custom import from_module
from imagenet_hard.classifiers.transform import Transform
from imagenet_hard.curation.score.classifiers import ZoomClassifier
from imagenet_hard.dataset.benchmark import Benchmark
from imagenet_hard.dataset.load import load_dataset
from imagenet_hard.engine.engine import LocalEngine, open_engine
from imagenet_hard.engine.forward import Forward, exact_float32
from imagenet_hard.engine.job import Build, Job, RunReport
from imagenet_hard.engine.settings import RunSettings, device_name, resolve_device
from imagenet_hard.engine.store import Store
from imagenet_hard.imagenet.zoom import ZoomGrid
from imagenet_hard.tta.settings import build_predictor, tta_settings

NEAR_TIE = 1e-3
"""Of the margin of a prediction on the CPU, below which the GPU may give another."""

VIEWS = 16


@dataclass(frozen=True)
class Run:
    """What is asked for. ``images``: of an evaluation; ``few``: whose predictions the CPU gives as well."""

    device: torch.device
    source: Benchmark
    images: int
    few: int
    models: dict[str, Callable[[], Classifier]]

    @property
    def settings(self) -> RunSettings:
        return RunSettings(device=str(self.device))

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


@dataclass(frozen=True)
class Row:
    """One line of the table: seconds of the whole and of its bare parts; ``good``: it is as it must be."""

    what: str
    ours: float | None = None
    forward: float | None = None
    decode: float | None = None
    said: str = ""
    good: bool = True

    def cells(self) -> tuple[str, ...]:
        share = both = ""
        if self.ours and self.forward is not None and self.decode is not None:
            share = f"{max(self.forward, self.decode) / self.ours:.2f}"
            both = f"{(self.forward + self.decode) / self.ours:.2f}"
        seconds = ("" if each is None else f"{each:.3g}" for each in (self.ours, self.forward, self.decode))
        return (self.what, *seconds, share, both, self.said if self.good else f"WRONG: {self.said}")


class RandomClip(nn.Module):
    """The image tower of a CLIP ViT-L/14 and a head of 1000 texts, all random."""

    def __init__(self) -> None:
        super().__init__()
        import open_clip

        self.tower = open_clip.create_model("ViT-L-14", pretrained=None).visual
        self.register_buffer("head", nn.functional.normalize(torch.randn(768, 1000), dim=0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 100 * nn.functional.normalize(self.tower(x), dim=1) @ self.head


def random_model(make: Callable[[], nn.Module], transform: Transform | None = None) -> Classifier:
    torch.manual_seed(0)
    return from_module(make(), transform or Transform(256, (224, 224), "bilinear"))


def torchvision_model(name: str) -> nn.Module:
    import torchvision

    model: nn.Module = torchvision.models.get_model(name)
    return model


MODELS: dict[str, Callable[[], Classifier]] = {
    "resnet50": partial(random_model, partial(torchvision_model, "resnet50")),
    "vit_b_32": partial(random_model, partial(torchvision_model, "vit_b_32")),
    "CLIP ViT-L/14": partial(random_model, RandomClip),
}


def scored(
    classifier: Classifier,
    images: Repeated,
    settings: RunSettings,
    build: Build = Forward,
    engine: Any = None,
) -> tuple[Predictions, RunReport]:
    with Store(None, "benchmark") as store:
        job = Job(classifier, settings, store, build=build)
        (outcome,) = (engine or LocalEngine()).score([job], images)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome[0].predictions, outcome[1]


def timed(work: Callable[[], Any], run: Run, repeats: int = 3) -> tuple[float, Any]:
    """Median seconds after one that warms up, and what came of it."""
    found, times = work(), []
    for _ in range(repeats):
        run.wait()
        start = time.perf_counter()
        found = work()
        run.wait()
        times.append(time.perf_counter() - start)
    return statistics.median(times), found


def bare_forward(classifier: Classifier, n: int, precision: Precision, run: Run) -> float:
    """Seconds for ``n`` images that lie on the device already."""
    size = run.settings.first_batch_size(run.device.type)
    module = classifier.module.to(run.device, memory_format=torch.channels_last)
    height, width = classifier.spec.input_size or (224, 224)
    x = torch.randn(size, 3, height, width, device=run.device).contiguous(memory_format=torch.channels_last)
    cast = torch.autocast(run.device.type, torch.bfloat16) if precision == "bf16" else nullcontext()

    def some() -> None:
        with torch.inference_mode(), exact_float32(), cast:
            for _ in range(batches):
                module(x)

    batches = min(4, math.ceil(n / size))
    seconds, _ = timed(some, run)
    return seconds * n / (batches * size)


def agreement(got: Predictions, expected: Predictions) -> tuple[str, int]:
    """In words, and how many predictions differ where no near-tie decides."""
    differ = got.top5[:, 0] != expected.top5[:, 0]
    wrong = int((differ & (expected.margin >= NEAR_TIE)).sum())
    return f"{int((~differ).sum())} of {len(differ)} predictions are the CPU's", wrong


def evaluation(run: Run) -> Iterator[Row]:
    """Each model in each precision."""
    images, few = Repeated(run.source, run.images), Repeated(run.source, run.few)
    for name, make in run.models.items():
        classifier = make()
        expected, _ = scored(classifier, few, RunSettings(device="cpu"))
        decode, _ = timed(partial(bare_decode, [images[i] for i in range(run.images)], classifier), run, 1)
        precisions: tuple[Precision, ...] = ("fp32", "bf16")
        for precision in precisions:
            settings = replace(run.settings, precision=precision)
            ours, _ = timed(partial(scored, classifier, images, settings), run)
            said, wrong = agreement(scored(classifier, few, settings)[0], expected)
            forward = bare_forward(classifier, run.images, precision, run)
            # bfloat16 may fall either way where the margin is small, and random weights have small margins.
            good = wrong == 0 or precision == "bf16"
            yield Row(f"evaluation {precision}, {name}", ours, forward, decode, said, good)


def _filter(run: Run, what: str, *, exhaustive: bool) -> Iterator[Row]:
    classifier = next(iter(run.models.values()))()
    who, n = ZoomClassifier("x", classifier, ZoomGrid()), max(1, run.few // 4)
    images = evenly(run.source, n)
    expected, _, _ = filtered(images, [who], RunSettings(device="cpu"), exhaustive=exhaustive)
    found, progress, work = filtered(images, [who], run.settings, exhaustive=exhaustive)
    host, device = limit(images, [who], work, run.settings)
    alike = found == expected
    said = f"{len(found)} of {n} survive, {'as' if alike else 'not as'} on the CPU"
    yield Row(f"{what}, {progress.crops} zooms", progress.seconds, device, host, said, alike)


def curation(run: Run) -> Iterator[Row]:
    """The hardness filter."""
    return _filter(run, "hardness filter", exhaustive=False)


def study(run: Run) -> Iterator[Row]:
    """Every zoom of every image."""
    return _filter(run, "zoom study", exhaustive=True)


def zoom_tta(run: Run) -> Iterator[Row]:
    """The mean over views; the bare decode is that of one view, so that cutting is ours to hide."""
    classifier, n = next(iter(run.models.values()))(), max(1, run.images // VIEWS)
    images, build = Repeated(run.source, n), partial(build_predictor, tta_settings("zoom", views=VIEWS))
    expected, _ = scored(classifier, Repeated(run.source, run.few), RunSettings(device="cpu"), build)
    ours, _ = timed(lambda: scored(classifier, images, run.settings, build), run)
    decode, _ = timed(lambda: bare_decode([images[i] for i in range(n)], classifier), run, 1)
    got, _ = scored(classifier, Repeated(run.source, run.few), run.settings, build)
    said, wrong = agreement(got, expected)
    forward = bare_forward(classifier, n * VIEWS, "fp32", run)
    yield Row(f"zoom TTA of {VIEWS} views", ours, forward, decode, said, wrong == 0)


class Hungry(nn.Module):
    """Takes more memory than there is for more than a few images."""

    def __init__(self, inner: nn.Module, most: int) -> None:
        super().__init__()
        self.inner, self.most = inner, most

    def forward(self, x: torch.Tensor) -> Any:
        if len(x) > self.most:
            if x.is_cuda:
                torch.empty(2 * torch.cuda.mem_get_info(x.device)[1], dtype=torch.uint8, device=x.device)
            raise torch.OutOfMemoryError("no GPU here to run out of")
        return self.inner(x)


def out_of_memory(run: Run) -> Iterator[Row]:
    """The batch size is halved until it fits; the predictions stay."""
    classifier = next(iter(run.models.values()))()
    images, first = Repeated(run.source, run.few), run.settings.first_batch_size(run.device.type)
    expected, _ = scored(classifier, images, run.settings)
    hungry = replace(classifier, module=Hungry(classifier.module, first // 4))
    got, report = scored(hungry, images, run.settings)
    wrong = agreement(got, expected)[1]
    said = f"batches of {first} became {report.batch_size}, {wrong} predictions changed"
    yield Row("memory that runs out", said=said, good=report.batch_size == first // 4 and wrong == 0)


def copies(run: Run) -> Iterator[Row]:
    """A batch of pixels to the device, as a transform takes it, against memory that is not pinned."""
    classifier = next(iter(run.models.values()))()
    size = run.settings.first_batch_size(run.device.type)
    pixels = [np.zeros((224, 224, 3), np.uint8)] * size
    ours, batch = timed(lambda: classifier.transform.batch(pixels, run.device), run)
    stacked = torch.zeros_like(batch, device="cpu")
    plain, _ = timed(lambda: stacked.to(run.device), run)
    said = f"{size} images; as float32 that is not pinned {1000 * plain:.2f} ms"
    yield Row("pixels to the device", ours, said=said)


def ray(run: Run) -> Iterator[Row]:
    """One replica a GPU."""
    classifier, images = next(iter(run.models.values()))(), Repeated(run.source, run.images)
    expected, _ = scored(classifier, images, run.settings)
    with open_engine("ray", address="local", device=run.device.type) as engine:
        assert engine.workers is not None
        engine.workers.wait_for_all(120)
        got, report = scored(classifier, images, RunSettings(), engine=engine)
        there = torch.cuda.device_count() if run.device.type == "cuda" else available_cores()
        said, wrong = agreement(got, expected)
        said = f"{engine.workers.n} replicas on {there}; {said.replace('the CPU', 'one device')}"
        good = wrong == 0 and engine.workers.n == there
    yield Row("Ray, start-up apart", report.seconds, said=said, good=good)


PARTS = {
    "evaluation": evaluation,
    "curation": curation,
    "study": study,
    "tta": zoom_tta,
    "memory": out_of_memory,
    "copies": copies,
    "ray": ray,
}


def measure(run: Run, parts: list[str]) -> list[Row]:
    """The rows, each told as it comes; a part that fails is a row."""
    rows = []
    for name in parts:
        try:
            for row in PARTS[name](run):
                print(*row.cells(), sep="  ", file=sys.stderr, flush=True)
                rows.append(row)
        except Exception as error:
            rows.append(Row(name, said=f"{type(error).__name__}: {error}", good=False))
    return rows


def table(rows: list[Row]) -> str:
    header = ("", "ours, s", "forward, s", "decode, s", "of the limit", "of both", "")
    return Table(header, [row.cells() for row in rows], "lrrrrrl").markdown()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="sample")
    parser.add_argument("--images", type=int, default=4096)
    parser.add_argument("--few", type=int, default=64, help="images that the CPU scores as well")
    parser.add_argument("--part", action="append", choices=PARTS, help="default: all")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print(
            f"Nothing was measured: torch {torch.__version__} sees no CUDA device. This needs an NVIDIA GPU, "
            "its driver (nvidia-smi shows it) and a CUDA build of torch (torch.version.cuda is "
            f"{torch.version.cuda}); with --device cpu each part runs, for its logic alone."
        )
        return 0
    device = resolve_device(options.device)
    run = Run(device, load_dataset(options.data), options.images, options.few, MODELS)
    rows = measure(run, options.part or list(PARTS))
    print(f"{device_name(device)}, {available_cores()} cores, torch {torch.__version__}\n")
    print(table(rows))
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
