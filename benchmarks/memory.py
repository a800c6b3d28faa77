"""Peak memory does not depend on the number of images.

    python benchmarks/memory.py [--images 200 2000]

Each size runs in a process of its own, the 20 sample images repeated; prints the peak resident set.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from record import record

RUN = """
import sys, tempfile
from pathlib import Path
from images import Repeated
from imagenet_hard.classifiers.registry import load_classifier
from imagenet_hard.dataset.load import load_dataset
from imagenet_hard.engine.job import Job
from imagenet_hard.engine.run import score_together
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.engine.store import Store

images = Repeated(load_dataset("sample"), int(sys.argv[1]))
with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "s.sqlite", "k") as store:
    job = Job(load_classifier("efficientnet_lite0"), RunSettings(device="cpu"), store)
    ((_, report),) = score_together([job], images)
print(report.peak_memory_bytes)
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, nargs=2, default=[200, 2000])
    options = parser.parse_args()
    peaks = []
    for n in options.images:
        done = subprocess.run(
            [sys.executable, "-c", RUN, str(n)],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent,
        )
        peaks.append(int(done.stdout.split()[-1]))
        print(f"{n:>7} images: peak {peaks[-1] / 2**20:.0f} MiB")
    record(
        f"peak memory of evaluation, {options.images[1]} images",
        [peaks[1] / 2**20],
        reference=[peaks[0] / 2**20],
        unit="MiB",
    )
    print(f"ratio {peaks[1] / peaks[0]:.3f} for {options.images[1] / options.images[0]:.0f} times the images")


if __name__ == "__main__":
    main()
