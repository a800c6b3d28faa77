"""Evaluation: ours against the notebook's loop and timm's way, on the same images, in one run.

    python benchmarks/evaluation.py [--data FOLDER] [--images N] [--repeats N] [--model NAME]

The loop is the paper's notebook: a DataLoader of batch 32 with 2 workers over PIL images, float32.
timm's way is that of its validate.py: the same with a batch of 256, 4 workers, channels last and
inference mode. The limit is the bare forward (channels last, batch 16, activations kept in the heap)
plus the bare decode-and-transform, each on all cores with nothing else. Ratios are medians over
interleaved repeats, since machines are noisy. Without --data the 20 sample images are repeated.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import torch
from images import Repeated
from PIL import Image
from record import record
from torchvision import transforms

from imagenet_hard.base.runtime import available_cores
from imagenet_hard.base.types import Example
from imagenet_hard.classifiers.base import Classifier
from imagenet_hard.classifiers.registry import load_classifier
from imagenet_hard.dataset.decode import decode
from imagenet_hard.dataset.load import load_dataset
from imagenet_hard.engine.allocator import keep_activations
from imagenet_hard.engine.job import Job
from imagenet_hard.engine.run import score_together
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.engine.store import Store


class Images(torch.utils.data.Dataset[Any]):
    """The examples through torchvision's transforms, as both references do it."""

    def __init__(self, examples: list[Example], classifier: Classifier) -> None:
        t = classifier.transform.describe()
        self.examples = examples
        self.steps = transforms.Compose(
            [
                transforms.Resize(t["resize"], transforms.InterpolationMode(t["interpolation"])),
                transforms.CenterCrop(t["crop"]),
                transforms.ToTensor(),
                transforms.Normalize(t["mean"], t["std"]),
            ]
        )

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> torch.Tensor:
        image = Image.open(io.BytesIO(self.examples[index].image)).convert("RGB")
        tensor: torch.Tensor = self.steps(image)
        return tensor


def loop(images: Images, classifier: Classifier) -> torch.Tensor:
    """The notebook's loop."""
    module = classifier.module.to(memory_format=torch.contiguous_format)
    with torch.no_grad():
        batches = torch.utils.data.DataLoader(images, batch_size=32, num_workers=2)
        return torch.cat([module(x).argmax(1) for x in batches])


def timm_way(images: Images, classifier: Classifier) -> torch.Tensor:
    """validate.py with --channels-last: its defaults of batch 256 and 4 workers."""
    module = classifier.module.to(memory_format=torch.channels_last)
    with torch.inference_mode():
        batches = torch.utils.data.DataLoader(images, batch_size=256, num_workers=4)
        return torch.cat([module(x.contiguous(memory_format=torch.channels_last)).argmax(1) for x in batches])


def ours(benchmark: Repeated, classifier: Classifier, precision: str) -> torch.Tensor:
    with Store(None, "benchmark") as store:
        settings = RunSettings(device="cpu", precision=precision)  # type: ignore[arg-type]
        (outcome,) = score_together([Job(classifier, settings, store)], benchmark)  # type: ignore[arg-type]
    if isinstance(outcome, Exception):
        raise outcome
    scored, _ = outcome
    return torch.tensor(scored.predictions.top5[:, 0].astype(int))  # sorted by id, as the images are


def bare_decode(examples: list[Example], classifier: Classifier) -> None:
    with ThreadPoolExecutor(available_cores()) as pool:
        for _ in pool.map(lambda e: classifier.transform.pixels(decode(e.image)), examples):
            pass


def bare_forward(n: int, classifier: Classifier, precision: str) -> None:
    module = classifier.module.to(memory_format=torch.channels_last)
    height, width = classifier.spec.input_size or (224, 224)
    x = torch.randn(16, 3, height, width).contiguous(memory_format=torch.channels_last)
    cast = torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext()
    with keep_activations(), torch.inference_mode(), cast:
        for _ in range(-(-n // 16)):
            module(x)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="sample")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", default="efficientnet_lite0")
    options = parser.parse_args()
    n = options.images
    benchmark = Repeated(load_dataset(options.data), n)
    examples = [benchmark[i] for i in range(n)]
    classifier = load_classifier(options.model)
    images = Images(examples, classifier)
    contestants: dict[str, Callable[[], Any]] = {
        "loop": lambda: loop(images, classifier),
        "timm": lambda: timm_way(images, classifier),
        "ours fp32": lambda: ours(benchmark, classifier, "fp32"),
        "ours bf16": lambda: ours(benchmark, classifier, "bf16"),
        "decode": lambda: bare_decode(examples, classifier),
        "forward fp32": lambda: bare_forward(n, classifier, "fp32"),
        "forward bf16": lambda: bare_forward(n, classifier, "bf16"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    answers: dict[str, Any] = {}
    for _ in range(options.repeats):
        for name, contestant in contestants.items():
            start = time.perf_counter()
            answers[name] = contestant()
            seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{options.model}, {n} images, {available_cores()} cores, medians of {options.repeats}")
    for name, values in seconds.items():
        rate = n / median[name]
        spread = f"{min(values):.2f}..{max(values):.2f}"
        print(f"{name:<13} {median[name]:7.2f} s  {rate:6.1f} images/s  (spread {spread})")
    for precision in ("fp32", "bf16"):
        mine = seconds[f"ours {precision}"]
        limit = [d + f for d, f in zip(seconds["decode"], seconds[f"forward {precision}"], strict=True)]
        record(
            f"evaluation {precision}, {options.model}, against the notebook's loop",
            mine,
            reference=seconds["loop"],
            limit=limit,
        )
        print(
            f"ours {precision}: {ratio(seconds['loop'], mine):.2f} x the loop, "
            f"{ratio(seconds['timm'], mine):.2f} x timm, {ratio(limit, mine):.2f} of the limit "
            f"(which is {ratio(seconds['loop'], limit):.2f} x the loop); "
            f"{int((answers[f'ours {precision}'] == answers['loop']).sum())} of {n} predictions equal"
        )


def ratio(reference: list[float], mine: list[float]) -> float:
    """Median over the repeats of the ratio within a repeat."""
    return statistics.median(r / m for r, m in zip(reference, mine, strict=True))


if __name__ == "__main__":
    main()
