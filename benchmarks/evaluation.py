"""Evaluation: ours against the notebook's loop and timm's way, on the same images, in one run.

    python benchmarks/evaluation.py [--data FOLDER] [--images N] [--repeats N] [--model NAME] [--weights FILE]
        [--way WAY]... [--bare] [--overlap] [--whole]

The loop is the paper's notebook: a DataLoader of batch 32 with 2 workers over PIL images, float32.
timm's way is that of its validate.py: the same with a batch of 256, 4 workers, channels last and
inference mode. The limit is the bare forward (channels last, batch 16, activations kept in the heap)
plus the bare decode-and-transform, each on all cores with nothing else. Ratios are medians over
interleaved repeats, since machines are noisy. Without --data the 20 sample images are repeated. Where
OpenVINO is installed (the extra cpu) it is measured as well, against a bare forward of its own and against
torch; its graph is exported once before, and kept. "--weights random" writes random ones to a file, for an
architecture of torchvision whose own are not at hand: graphs are kept only of weights that have a name.
--overlap decodes while the network runs as well, in place of turns (docs/decisions/0002); --whole gives
OpenVINO each batch in one piece as well, in place of parts beside each other (docs/decisions/0014).
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

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
from imagenet_hard.engine.openvino import converted, openvino_version
from imagenet_hard.engine.prepare import overlapped
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


WAYS = {
    "fp32": RunSettings(device="cpu"),
    "bf16": RunSettings(device="cpu", precision="bf16"),
    "openvino": RunSettings(device="cpu", runtime="openvino"),
}


def ours(benchmark: Repeated, classifier: Classifier, settings: RunSettings) -> torch.Tensor:
    with Store(None, "benchmark") as store:
        (outcome,) = score_together([Job(classifier, settings, store)], benchmark)  # type: ignore[arg-type]
    if isinstance(outcome, Exception):
        raise outcome
    scored, _ = outcome
    return torch.tensor(scored.predictions.top5[:, 0].astype(int))  # sorted by id, as the images are


def ours_overlapped(benchmark: Repeated, classifier: Classifier, settings: RunSettings) -> torch.Tensor:
    """Decoding beside the network, as on an accelerator."""
    with mock.patch("imagenet_hard.engine.run.in_turns", overlapped):
        return ours(benchmark, classifier, settings)


def bare_decode(examples: list[Example], classifier: Classifier) -> None:
    with ThreadPoolExecutor(available_cores()) as pool:
        for _ in pool.map(lambda e: classifier.transform.pixels(decode(e.image)), examples):
            pass


def bare_module(classifier: Classifier, settings: RunSettings) -> Callable[[torch.Tensor], Any]:
    """What only computes, with one batch of noise."""
    module = classifier.module.to(memory_format=torch.channels_last)
    return module if settings.runtime == "torch" else converted(classifier, module, noise(classifier), "fp32")


def noise(classifier: Classifier) -> torch.Tensor:
    height, width = classifier.spec.input_size or (224, 224)
    return torch.randn(16, 3, height, width).contiguous(memory_format=torch.channels_last)


def bare_forward(n: int, classifier: Classifier, module: Callable[[torch.Tensor], Any], way: str) -> None:
    x = noise(classifier)
    cast = torch.autocast("cpu", torch.bfloat16) if way == "bf16" else nullcontext()
    with keep_activations(), torch.inference_mode(), cast:
        for _ in range(-(-n // 16)):
            module(x)


def load(model: str, weights: str | None) -> Classifier:
    """``weights``: a file, or "random"; None: the model's own."""
    if weights != "random":
        return load_classifier(model, weights=weights)
    torch.manual_seed(0)
    module = load_classifier(f"torchvision.models:{model}").module
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "random.pth"
        torch.save(module.state_dict(), file)
        return load_classifier(f"torchvision:{model}", weights=str(file))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="sample")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--weights", metavar="FILE", help="or random")
    parser.add_argument("--way", action="append", choices=WAYS, help="default: all")
    parser.add_argument("--overlap", action="store_true", help="beside turns")
    parser.add_argument("--whole", action="store_true", help="OpenVINO's of whole batches as well")
    parser.add_argument("--bare", action="store_true", help="without the loop and timm's way")
    options = parser.parse_args()
    n = options.images
    benchmark = Repeated(load_dataset(options.data), n)
    examples = [benchmark[i] for i in range(n)]
    classifier = load(options.model, options.weights)
    images = Images(examples, classifier)
    contestants: dict[str, Callable[[], Any]] = {
        "loop": lambda: loop(images, classifier),
        "timm": lambda: timm_way(images, classifier),
        "decode": lambda: bare_decode(examples, classifier),
    }
    ways = [way for way in options.way or WAYS if way != "openvino" or openvino_version() is not None]
    for way in ways:
        module = bare_module(classifier, WAYS[way])
        contestants[f"ours {way}"] = partial(ours, benchmark, classifier, WAYS[way])
        if options.overlap:
            contestants[f"overlap {way}"] = partial(ours_overlapped, benchmark, classifier, WAYS[way])
        contestants[f"forward {way}"] = partial(bare_forward, n, classifier, module, way)
        if way == "openvino" and options.whole:
            with mock.patch("imagenet_hard.engine.openvino.part_of", lambda n, threads: n):
                module = bare_module(classifier, WAYS[way])
            contestants["forward whole"] = partial(bare_forward, n, classifier, module, way)
        ours(Repeated(load_dataset(options.data), 16), classifier, WAYS[way])  # whatever is made once
    if options.bare:
        del contestants["loop"], contestants["timm"]
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    answers: dict[str, Any] = {}
    for _ in range(options.repeats):
        for name, contestant in contestants.items():
            start = time.perf_counter()
            answers[name] = contestant()
            seconds[name].append(time.perf_counter() - start)
            print(f"{name}: {seconds[name][-1]:.2f} s", file=sys.stderr, flush=True)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{options.model}, {n} images, {available_cores()} cores, medians of {options.repeats}")
    for name, values in seconds.items():
        rate = n / median[name]
        spread = f"{min(values):.2f}..{max(values):.2f}"
        print(f"{name:<16} {median[name]:7.2f} s  {rate:6.1f} images/s  (spread {spread})")
    for way in ways:
        mine = seconds[f"ours {way}"]
        limit = [d + f for d, f in zip(seconds["decode"], seconds[f"forward {way}"], strict=True)]
        said = [f"{ratio(limit, mine):.2f} of the limit"]
        for reference in ("loop", "timm", "ours fp32", f"overlap {way}"):
            if reference in seconds and reference != f"ours {way}":
                equal = int((answers[f"ours {way}"] == answers[reference]).sum())
                said.append(
                    f"{ratio(seconds[reference], mine):.2f} x {reference} (the limit "
                    f"{ratio(seconds[reference], limit):.2f} x), {equal} of {n} predictions equal"
                )
        print(f"ours {way}: {'; '.join(said)}")
        if "loop" in seconds:
            title = f"evaluation {way}, {options.model}, against the notebook's loop"
            record(title, mine, reference=seconds["loop"], limit=limit)


def ratio(reference: list[float], mine: list[float]) -> float:
    """Median over the repeats of the ratio within a repeat."""
    return statistics.median(r / m for r, m in zip(reference, mine, strict=True))


if __name__ == "__main__":
    main()
