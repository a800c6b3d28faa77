"""Zoom test-time augmentation against MEMO at the same number of views: accuracy and seconds per image.

    python benchmarks/tta.py [FOLDER] [--images N] [--views N] [--repeats N] [--model NAME]

FOLDER: any that `--dataset` takes [default: the sample images]. Every method sees
the same images, clean and corrupted; seconds are those of scoring, loading apart. Accuracy has 95 % Wilson
intervals, differences to `none` an exact McNemar test.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from record import record

from imagenet_hard.classifiers.registry import load_classifier
from imagenet_hard.curation.recipe import SourceSpec
from imagenet_hard.curation.sources.opening import open_source
from imagenet_hard.dataset.benchmark import Benchmark
from imagenet_hard.dataset.load import load_dataset
from imagenet_hard.evaluation.compare import compare
from imagenet_hard.evaluation.result import read_result
from imagenet_hard.evaluation.run import evaluate
from imagenet_hard.imagenet.classes import wnids
from imagenet_hard.tta.methods import METHODS
from imagenet_hard.tta.settings import tta_settings


def spread(images: Benchmark, n: int) -> Benchmark:
    """``n`` images taken evenly."""
    n = min(n, len(images))
    rows = [i * len(images) // n for i in range(n)]
    return Benchmark(
        images.about,
        [images.ids[i] for i in rows],
        [images.labels[i] for i in rows],
        [images.origins[i] for i in rows],
        lambda i: images[rows[i]].image,
    )


def table(name: str, images: Benchmark, model: str, views: int, repeats: int) -> None:
    """One line a method; the ratio of zoom to MEMO's times from the same run."""
    seconds: dict[str, list[float]] = {method: [] for method in METHODS}
    pairs = {}
    for _ in range(repeats):
        for method in METHODS:
            tta = tta_settings(method, views=None if method == "none" else views)
            with tempfile.TemporaryDirectory() as out:
                classifier = load_classifier(model)
                result = evaluate(classifier, images, device="cpu", tta=tta, out=out)
                (path,) = Path(out).rglob("*.json")
                pairs[method] = read_result(path)
            seconds[method].append(result.runtime.seconds / result.runtime.n_scored)
    print(f"{name}: {len(images)} images, {views} views, {model}")
    for method, (result, _) in pairs.items():
        top1 = result.metrics.top1
        p = "" if method == "none" else f"  McNemar p against none {against(pairs, method):.3f}"
        print(
            f"  {method:10} {100 * top1.accuracy:6.2f} % ({100 * top1.low:.2f} to {100 * top1.high:.2f})"
            f"  {statistics.median(seconds[method]):.3f} s/image{p}"
        )
    for memo in ("memo", "zoom-memo"):
        print(f"  zoom against {memo}: McNemar p {compare(pairs['zoom'], pairs[memo]).mcnemar_p:.3f}")
        record(
            f"zoom TTA of {views} views, {name}, an image, against {memo}",
            seconds["zoom"],
            reference=seconds[memo],
        )
        ratio = statistics.median(seconds[memo]) / statistics.median(seconds["zoom"])
        print(f"  zoom is {ratio:.1f} times as fast as {memo}")


def against(pairs: dict, method: str) -> float:
    return compare(pairs[method], pairs["none"]).mcnemar_p


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", nargs="?", default="sample")
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--views", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--corruption", default="gaussian_noise")
    parser.add_argument("--severity", type=int, default=3)
    given = parser.parse_args()
    clean = spread(load_dataset(given.folder), given.images)
    table("clean", clean, given.model, given.views, given.repeats)
    with tempfile.TemporaryDirectory() as tree:
        for example in clean:  # as the wnid folders that ImageNet-C is made from
            place = Path(tree) / wnids()[example.labels[0]] / Path(example.id).name
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(example.image)
        spec = SourceSpec(
            variant="imagenet-c",
            path=tree,
            make=True,
            corruptions=(given.corruption,),
            severities=(given.severity,),
        )
        name = f"{given.corruption} {given.severity}"
        table(name, open_source(spec, Path()).images, given.model, given.views, given.repeats)


if __name__ == "__main__":
    main()
