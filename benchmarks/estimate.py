"""How good an estimate from a few hundred images is, on real models: the table of docs/estimate.md.

    python benchmarks/estimate.py [FOLDER] [--draws N] [--sequences N]

FOLDER holds top-5 predictions of models and the labels, as `leaderboard import` reads them; without it models
are made up (a logistic model of skill and difficulty, in families). Each model in turn is the new one, its
family not among the known ones. Compared with a random sample of as many images are the root mean square
error and the images that are saved; counted is how often the interval holds the truth, for these models and
for such as are unlike the known ones.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from math import sqrt
from pathlib import Path

import numpy as np
from record import record

from imagenet_hard.evaluation.estimation import (
    STRATA,
    allocate,
    confidence_sequence,
    difficulty_of,
    strata_of,
    stratified,
)

NUMBERS = (240, 300, 480, 960)
TARGETS = (3.0, 2.0, 1.0)
FAMILIES = ("inception", "nasnet", "resnext", "resnet", "vgg", "densenet", "dpn", "fv", "squeezenet")

Case = tuple[np.ndarray, np.ndarray]
"""Who is right, bool (n,), and the difficulty of each image, float (n,)."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--sequences", type=int, default=4, help="of each model")
    options = parser.parse_args()
    correct, families = measured(options.folder) if options.folder else made_up()
    m, n = correct.shape
    print(f"{m} models in {len(set(families))} families, {n:,} images, {STRATA} strata\n")
    cases = dict(populations(correct, families))
    print(
        "| images | random: RMSE | ours | saved | median | half-width (random) | coverage |",
        end="",
    )
    others = [name for name in cases if name != "real"]
    print("".join(f" {name} |" for name in others) + "\n" + "|---" * (7 + len(others)) + "|")
    for number in NUMBERS:
        errors, random, ratios, widths, held = fixed(cases["real"], number, options.draws)
        unlike = [fixed(cases[name], number, options.draws)[4] for name in others]
        saved = random / errors
        width = 196 * sqrt(random)
        print(
            f"| {number} | {100 * sqrt(random):.2f} | {100 * sqrt(errors):.2f} | {saved:.2f} x | "
            f"{ratios:.2f} x | {100 * widths:.2f} ({width:.1f}) | {100 * held:.1f} % | "
            + " | ".join(f"{100 * each:.1f} %" for each in unlike)
            + " |",
            flush=True,
        )
        name = f"estimate from {number} images: error, against a random sample"
        record(name, [100 * sqrt(errors)], reference=[100 * sqrt(random)], unit="points")
    print(
        "\n| until | population | images | most | holds at the end | throughout |\n|---|---|---|---|---|---|"
    )
    for target in TARGETS:
        for name, each in cases.items():
            images, most, last, all_ = until(each, target, options.sequences)
            print(
                f"| {target:g} | {name} | {images:.0f} | {most} | {100 * last:.1f} % | {100 * all_:.1f} % |",
                flush=True,
            )


def measured(folder: Path) -> tuple[np.ndarray, list[str]]:
    """bool (m, n), who is right; the family of each model."""
    from imagenet_hard.leaderboard.answer_tables import read_answer_table
    from imagenet_hard.leaderboard.answers import Answers
    from imagenet_hard.leaderboard.importing import gold_of_labels
    from imagenet_hard.leaderboard.rescore import rescore

    table = read_answer_table(folder / "top5.parquet")
    gold = gold_of_labels(folder / "labels.parquet", "measured")
    names = sorted(table.models)
    answers = (Answers.without_probabilities(table.ids, table.models[name]) for name in names)
    return np.stack([rescore(each, gold).correct for each in answers]), [family(name) for name in names]


def family(name: str) -> str:
    """`se_resnet50` -> "se", `resnet_v2_50_tf` -> "resnet"."""
    if name.startswith("se"):
        return "se"
    return next((each for each in FAMILIES if each in name), re.split(r"[0-9_]", name)[0])


def made_up(n: int = 10_000) -> tuple[np.ndarray, list[str]]:
    """As ``measured``: 12 families of 5, which share a part of what they find hard."""
    rng = np.random.default_rng(0)
    hardness, rows, families = rng.normal(0, 2.5, n), [], []
    for one in range(12):
        own = rng.normal(0, 0.8, n)
        for _ in range(5):
            logit = rng.normal(0.8, 0.6) - hardness - own + rng.normal(0, 0.5, n)
            rows.append(rng.random(n) < 1 / (1 + np.exp(-logit)))
            families.append(f"family {one}")
    return np.stack(rows), families


def populations(correct: np.ndarray, families: list[str]) -> Iterator[tuple[str, list[Case]]]:
    """Name -> new models with what the known ones say."""
    family_of = np.array(families)
    real = [
        (right, difficulty_of(correct[family_of != one]))
        for right, one in zip(correct, families, strict=True)
    ]
    yield "real", real
    n, rng = correct.shape[1], np.random.default_rng(0)
    turned = []
    for right, shares in real[::4]:
        order = np.lexsort((rng.random(n), shares))
        other = np.empty(n, np.bool_)
        other[order] = right[order[::-1]]
        turned.append((other, shares))
    yield "hard for easy", turned
    classes = [rng.permutation(n) < n // 1000 for _ in range(20)]  # of a thousandth of the images each
    shares = real[0][1]
    yield "always one class", [(each, shares) for each in classes]
    yield "all but one class", [(~each, shares) for each in classes]
    yield "at random", [(rng.random(n) < p, shares) for p in (0.05, 0.2, 0.5, 0.8, 0.95) for _ in range(4)]


def laid_out(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """The stratum of each image, and the size of each stratum."""
    place = strata_of(case[1], np.random.default_rng(1).random(len(case[1])))
    return place, np.bincount(place)


def fixed(cases: list[Case], number: int, draws: int) -> tuple[float, float, float, float, float]:
    """Mean square errors of ours and of a random sample, the median of their ratios; half-width; coverage."""
    ours, random, widths, held = [], [], [], []
    for i, case in enumerate(cases):
        place, sizes = laid_out(case)
        right, n, truth = np.bincount(place, weights=case[0]).astype(int), len(place), case[0].mean()
        drawn, rng = allocate(number, sizes), np.random.default_rng(i)
        seen = rng.hypergeometric(right, sizes - right, drawn, size=(draws, len(sizes)))
        _, low, high = stratified(seen, drawn, sizes)
        p = right / sizes
        spread = p * (1 - p) * sizes / np.maximum(sizes - 1, 1)
        ours.append(((sizes / n) ** 2 * (1 - drawn / sizes) * spread / drawn).sum())
        random.append(truth * (1 - truth) * (1 - number / n) / number * n / (n - 1))
        widths.append((high - low).mean() / 2)
        held.append(((low <= truth + 1e-12) & (truth <= high + 1e-12)).mean())
    ratios = np.array(random) / np.maximum(ours, 1e-12)
    return (*map(float, (np.mean(ours), np.mean(random), np.median(ratios), np.mean(widths), np.mean(held))),)


def until(cases: list[Case], target: float, sequences: int) -> tuple[float, int, float, float]:
    """Images until the half-width is reached, on average and at most; how often the truth is held."""
    images, last, all_ = [], [], []
    for i, case in enumerate(cases):
        place, sizes = laid_out(case)
        guess, truth = np.bincount(place, weights=case[1]) / sizes, case[0].mean()
        rng = np.random.default_rng(i)
        for _ in range(sequences):
            values = np.zeros((max(sizes), len(sizes)))
            for h, size in enumerate(sizes):
                values[:size, h] = rng.permutation(case[0][place == h])
            low, high = confidence_sequence(values, sizes, guess, target=target / 100)
            inside = (low <= truth + 1e-9) & (truth <= high + 1e-9)
            stop = int(np.argmax(high - low <= target / 50))
            images.append(int(np.minimum(sizes, stop + 1).sum()))
            last.append(inside[stop])
            all_.append(inside[: stop + 1].all())
    return float(np.mean(images)), max(images), float(np.mean(last)), float(np.mean(all_))


if __name__ == "__main__":
    main()
