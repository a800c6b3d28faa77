"""How hard the wrong names of "choices" are: the figures of docs/generative.md.

    python benchmarks/distractors.py FOLDER

FOLDER holds top-5 predictions of models and the labels, as `leaderboard import` reads them. Each model in
turn is the one that is asked, its family not among the known ones. Counted is how many of its wrong top-1
answers are among the four wrong names that it would have been given: by chance, with the nearest classes in
WordNet, with a table of what the known models say of other images, and with one of the same images.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from estimate import family

from imagenet_hard.base.types import Predictions
from imagenet_hard.evaluation.generative.distractors import Distractors, distractors_of, nearest
from imagenet_hard.leaderboard.answer_tables import read_answer_table
from imagenet_hard.leaderboard.importing import gold_of_labels

NAMES = 4
"""Wrong ones that are given."""


def main() -> None:
    folder = Path(sys.argv[1])
    table = read_answer_table(folder / "top5.parquet")
    gold = gold_of_labels(folder / "labels.parquet", "measured")
    labels = np.array([dict(zip(gold.ids, gold.labels, strict=True))[id][0] for id in table.ids])
    half = np.random.default_rng(0).random(len(labels)) < 0.5
    shares = defaultdict[str, list[float]](list)
    near = np.array([nearest(index)[:NAMES] for index in range(1000)])

    def known(without: str, images: np.ndarray) -> np.ndarray:
        """int (1000, NAMES): of each class the wrong names, by all families but one, on some images."""
        ids = tuple(np.array(table.ids)[images])
        n = len(ids)
        flat = (np.zeros((n, 5), np.float32), np.zeros(n, np.float32))
        others = [name for name in table.models if family(name) != without]
        predictions = [Predictions(ids, table.models[name][images], *flat) for name in others]
        about = {"benchmark": "measured", "fingerprint": gold.info.fingerprint}
        found: Distractors = distractors_of(predictions, [(i,) for i in labels[images]], others, **about)
        return np.array([found.of(index, [index])[:NAMES] for index in range(1000)])

    for one in sorted({family(name) for name in table.models}):
        same = known(one, np.ones(len(labels), np.bool_))
        halves = known(one, half), known(one, ~half)
        elsewhere = np.where(half[:, None], halves[1][labels], halves[0][labels])
        for name in table.models:
            if family(name) == one:
                said = table.models[name][:, 0]
                wrong = said != labels
                for title, given in (
                    ("nearest in WordNet", near[labels]),
                    ("known models, other images", elsewhere),
                    ("known models, the same images", same[labels]),
                ):
                    shares[title].append(float((given == said[:, None])[wrong].any(axis=1).mean()))
    print(f"{len(table.models)} models, {len(labels):,} images; wrong answers among the {NAMES} wrong names")
    print(f"by chance: {100 * NAMES / 999:.1f} %")
    for title, each in shares.items():
        print(f"{title}: {100 * np.mean(each):.1f} % ({100 * min(each):.1f} to {100 * max(each):.1f} %)")


if __name__ == "__main__":
    main()
