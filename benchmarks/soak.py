"""A soak: many images through decoding, transform and store; memory must stay flat.

    python benchmarks/soak.py [--data FOLDER] [--images N] [--engine local|ray]

The classifier is the mean colour and one layer, so nearly all of the time goes into what is soaked. The
process's resident set is noted ten times along the way; flat means that the second half adds no more than
2 %. Without --data the 20 sample images are repeated.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch
from images import Repeated
from record import record

from imagenet_hard.classifiers.custom import from_module
from imagenet_hard.dataset.load import load_dataset
from imagenet_hard.engine.engine import open_engine
from imagenet_hard.engine.job import Job
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.engine.store import Store

POINTS = 10
FLAT = 1.02


class MeanColour(torch.nn.Module):
    """Logits from the mean of each channel."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(3, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layer(x.mean((2, 3)))
        return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="sample")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--engine", choices=["local", "ray"], default="local")
    options = parser.parse_args()
    images = Repeated(load_dataset(options.data), options.images, in_memory=False)
    process, start = psutil.Process(), time.perf_counter()
    seen, sizes = 0, list[float]()
    address = "local" if options.engine == "ray" else None

    def told(n: int) -> None:
        nonlocal seen
        seen += n
        if seen >= (len(sizes) + 1) * options.images // POINTS:
            everyone = [process, *process.children(recursive=True)] if options.engine == "ray" else [process]
            sizes.append(sum(p.memory_info().rss for p in everyone) / 2**20)
            rate = seen / (time.perf_counter() - start)
            print(f"{seen:>8} images  {sizes[-1]:7.0f} MiB  {rate:6.0f} images/s", flush=True)

    with (
        tempfile.TemporaryDirectory() as folder,
        Store(Path(folder) / "s.sqlite", "k") as store,
        open_engine(options.engine, address=address, device="cpu") as engine,
    ):
        job = Job(from_module(MeanColour()), RunSettings(device="cpu"), store, told)
        (outcome,) = engine.score([job], images)  # type: ignore[arg-type]
        if isinstance(outcome, Exception):
            raise outcome
        assert len(outcome[0].predictions) == options.images
        print(f"{options.images} rows, {(Path(folder) / 's.sqlite').stat().st_size / 2**20:.0f} MiB on disk")
    half = sizes[POINTS // 2 - 1]
    record(
        f"soak ({options.engine}): memory after {options.images} images, against half as many",
        [sizes[-1]],
        reference=[half],
        unit="MiB",
    )
    print(f"memory at the end is {sizes[-1] / half:.3f} of that after half of the images")
    return 0 if sizes[-1] <= FLAT * half else 1


if __name__ == "__main__":
    sys.exit(main())
