"""The hardness filter against the paper's protocol, on the same images, in one run.

    python benchmarks/curation.py [--data FOLDER] [--images N] [--protocol N] [--repeats N] [--model NAME]...
        [--way WAY]... [--growth]

The protocol looks at every image under all 324 zooms: decode, resize and crop for each zoom, batches
of 16 through the plain network in float32, with torchvision's transforms. Ours runs in float32, with
bfloat16 screening, and by OpenVINO where it is installed (its graph is exported once before, and kept).
Images are taken evenly from the folder; survivors must be identical. The protocol takes the same time for
every image, 10 to 20 s on two cores, so it runs on a few of them only (--protocol N). The ways are run in
turns, --repeats times; ratios are medians over the repeats. The limit is the bare forward of the crops that
ours ran, plus the bare decode of the images and the bare cutting of the same zooms (each scale of an image
resized once), each on all cores with nothing else.
--growth shows time and memory against the number of images instead.
"""

from __future__ import annotations

import argparse
import io
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from record import record
from torchvision import transforms

from imagenet_hard.base.runtime import available_cores
from imagenet_hard.base.types import Example
from imagenet_hard.curation.recipe import Recipe, SourceSpec
from imagenet_hard.curation.records import FilterProgress, OpenSource
from imagenet_hard.curation.score.classifiers import ZoomClassifier, load_classifiers, seconds_per_crop
from imagenet_hard.curation.score.crops import Candidate
from imagenet_hard.curation.score.hardness import HardnessFilter
from imagenet_hard.curation.score.verdicts import CropQueues
from imagenet_hard.curation.store import FILE, CurationStore
from imagenet_hard.dataset.benchmark import Benchmark
from imagenet_hard.dataset.decode import decode
from imagenet_hard.dataset.load import load_dataset
from imagenet_hard.engine.allocator import keep_activations
from imagenet_hard.engine.forward import Forward
from imagenet_hard.engine.openvino import openvino_version
from imagenet_hard.engine.settings import RunSettings, resolve_device
from imagenet_hard.imagenet.zoom import ZoomGrid, origin

BATCH = 16


def protocol(images: Benchmark, classifiers: Sequence[ZoomClassifier]) -> tuple[set[str], float]:
    """Survivors, and the seconds that the paper's protocol takes for them."""
    survivors, start = set(), time.perf_counter()
    for example in images:
        solved = False
        for who in classifiers:
            described = who.model.transform.describe()
            finish = transforms.Compose(
                [transforms.ToTensor(), transforms.Normalize(described["mean"], described["std"])]
            )
            zooms = list(who.grid)
            for i in range(0, len(zooms), BATCH):
                batch = []
                for zoom in zooms[i : i + BATCH]:
                    image = Image.open(io.BytesIO(example.image)).convert("RGB")
                    resize = transforms.Resize(zoom.scale, transforms.InterpolationMode.BICUBIC)
                    resized = resize(image)
                    left, top = origin(resized.size, zoom.row, zoom.column)
                    batch.append(finish(resized.crop((left, top, left + 224, top + 224))))
                with torch.no_grad():
                    predicted = who.model.module(torch.stack(batch)).argmax(dim=1)
                solved |= bool(np.isin(predicted.numpy(), example.labels).any())
        if not solved:
            survivors.add(example.id)
    return survivors, time.perf_counter() - start


@dataclass
class Work:
    """What a run of ours did: crops by queue, and the zooms of each image that were cut."""

    crops: dict[str, int]
    zooms: dict[str, list[int]]


@dataclass
class Runs:
    """One way's repeats: seconds of each, of its limit, and what came of it."""

    seconds: list[float]
    limits: list[float]
    survivors: set[str]
    zooms: int


FP32 = RunSettings(device="cpu")
WAYS = {
    "fp32": (FP32, False),
    "screened": (FP32, True),
    "openvino": (replace(FP32, runtime="openvino"), False),
}
"""Settings, and whether bfloat16 screens."""


def ours(
    images: Benchmark,
    classifiers: Sequence[ZoomClassifier],
    settings: RunSettings,
    *,
    screening: bool = False,
    exhaustive: bool = False,
    looked: Callable[[CurationStore], None] = lambda store: None,
) -> tuple[set[str], FilterProgress, Work]:
    """Survivors, the last progress, and what was done for it; ``looked`` sees the scores."""
    source = OpenSource(SourceSpec(variant="imagenet", path="images"), images, None)
    zooms: dict[str, list[int]] = {}
    cut = Candidate.crops

    def noting(self: Candidate, grid: ZoomGrid, wanted: list[int]) -> Any:
        zooms.setdefault(self.record.id, []).extend(wanted)
        return cut(self, grid, wanted)

    Candidate.crops = noting  # type: ignore[method-assign]
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            CurationStore(Path(folder) / FILE, create=True) as store,
        ):
            screened = [c.id for c in classifiers] if screening else []
            queues = CropQueues(classifiers, settings, screened)
            run = HardnessFilter([source], queues, store, settings, exhaustive=exhaustive)
            progress = run.run()
            looked(store)
            crops = {f"{name} fp32": queue.n_crops for name, queue in run.queues.exact.items()}
            crops |= {f"{name} bf16": queue.n_crops for name, queue in run.queues.screens.items()}
            hard = {record.id for record in store.images() if record.state == "hard"}
            return hard, progress, Work(crops, zooms)
    finally:
        Candidate.crops = cut  # type: ignore[method-assign]


def limit(
    images: Benchmark, classifiers: Sequence[ZoomClassifier], work: Work, settings: RunSettings
) -> tuple[float, float]:
    """Seconds for the bare parts of what ours ran, host and device, each with nothing else."""
    grid = classifiers[0].grid

    def prepare(example: Example) -> int:
        image = decode(example.image).convert("RGB")
        return sum(1 for _ in grid.crops(image, work.zooms.get(example.id, [])))

    with ThreadPoolExecutor(available_cores()) as pool, keep_activations():
        examples = list(images)
        start = time.perf_counter()
        list(pool.map(prepare, examples))
        host = time.perf_counter() - start
        device = 0.0
        pixels = [np.asarray(decode(e.image).convert("RGB").resize((224, 224))) for e in examples[:BATCH]]
        for name, n in work.crops.items():
            who = next(c for c in classifiers if c.id == name.split()[0])
            settings = replace(settings, precision="bf16" if name.endswith("bf16") else "fp32")
            forward = Forward(who.model, settings, resolve_device(settings.device))
            size = forward.batch_size
            batch = [pixels[i % len(pixels)] for i in range(size)]
            forward.logits(batch, ["x"] * size)
            times = []
            for _ in range(16):
                start = time.perf_counter()
                forward.logits(batch, ["x"] * size)
                times.append(time.perf_counter() - start)
            device += statistics.median(times) / size * n
    print(f"limit            {host:.1f} s to decode and cut, {device:.1f} s of forward passes", flush=True)
    return host, device


def ways(asked: Sequence[str] | None) -> list[str]:
    """Those that are asked for, or all that can be had."""
    return [way for way in asked or WAYS if way != "openvino" or openvino_version() is not None]


def warm_up(classifiers: Sequence[ZoomClassifier], way: str) -> None:
    """Whatever is made once."""
    for who in classifiers:
        seconds_per_crop(who, WAYS[way][0])


def evenly(images: Benchmark, n: int) -> Benchmark:
    """``n`` images spread over all of them; where there are not as many, they come again under other ids."""
    if n > len(images):
        rows = [i % len(images) for i in range(n)]
        ids = [f"{i}/{images.ids[row]}" for i, row in enumerate(rows)]
    else:
        rows = np.linspace(0, len(images) - 1, n).astype(int).tolist()
        ids = [images.ids[row] for row in rows]
    labels = [images.labels[row] for row in rows]
    return Benchmark(images.about, ids, labels, [""] * n, lambda i: images[rows[i]].image)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="sample", help="folder of labelled images")
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--protocol", type=int, default=4, help="images for the protocol [default: 4]")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--model", action="append", help="default: efficientnet_lite0")
    parser.add_argument("--way", action="append", choices=WAYS, help="default: all")
    parser.add_argument("--growth", action="store_true")
    options = parser.parse_args()
    models = options.model or ["efficientnet_lite0"]
    recipe = Recipe.model_validate(
        {
            "name": "benchmark",
            "version": "1.0.0",
            "sources": [{"variant": "imagenet", "path": "images"}],
            "classifiers": [{"model": model} for model in models],
        }
    )
    classifiers = load_classifiers(recipe)
    everything = load_dataset(options.data)
    if options.growth:
        grow(everything, classifiers, options.images)
        return
    images = evenly(everything, options.images)
    n = len(images)
    few = evenly(images, min(options.protocol, n))
    expected, seconds = protocol(few, classifiers)
    slow = seconds / len(few)
    print(f"{n} images, {', '.join(models)}, {available_cores()} cores")
    print(f"protocol         {slow:7.3f} s/image on {len(few)} images", flush=True)
    runs: dict[str, Runs] = {way: Runs([], [], set(), 0) for way in ways(options.way)}
    for way in runs:
        warm_up(classifiers, way)
    for _ in range(options.repeats):
        for way, run in runs.items():
            settings, screening = WAYS[way]
            run.survivors, progress, work = ours(images, classifiers, settings, screening=screening)
            run.zooms = progress.crops
            run.seconds.append(progress.seconds)
            print(f"{way:16} {progress.seconds:.1f} s", flush=True)
            run.limits.append(sum(limit(images, classifiers, work, settings)))
    first = next(iter(runs.values()))
    for way, run in runs.items():
        each = [s / n for s in run.seconds]
        record(
            f"hardness filter ({way}), a real image, against the protocol",
            each,
            reference=[slow] * len(each),
            limit=[s / n for s in run.limits],
        )
        shares = [b / s for b, s in zip(run.limits, run.seconds, strict=True)]
        times = [a / s for a, s in zip(first.seconds, run.seconds, strict=True)]
        same = "identical" if run.survivors & set(few.ids) == expected else "DIFFERENT"
        alike = "identical" if run.survivors == first.survivors else "DIFFERENT"
        name, median = f"ours, {way}", statistics.median(each)
        print(
            f"{name:16} {median:7.3f} s/image (spread {min(each):.3f}..{max(each):.3f})  "
            f"{slow / median:6.1f} x the protocol, {statistics.median(shares):.2f} of the limit, "
            f"{statistics.median(times):.2f} x {next(iter(runs))}; {run.zooms / n:.1f} zooms an image, "
            f"{len(run.survivors)} survivors, {same} on the protocol's, {alike} to {next(iter(runs))}'s",
            flush=True,
        )


def grow(images: Benchmark, classifiers: Sequence[ZoomClassifier], most: int) -> None:
    """Time and peak memory for more and more images (repeated where there are not enough)."""
    for n in (most // 4, most // 2, most):
        found, progress, _ = ours(evenly(images, n), classifiers, FP32)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(
            f"{n:6} images  {progress.seconds:7.1f} s  {1000 * progress.seconds / n:6.1f} ms/image  "
            f"{len(found)} survivors  peak {peak} MiB",
            flush=True,
        )


if __name__ == "__main__":
    main()
