"""The 67 models of the ImageNet-V2 test bed (Recht et al., arXiv 1902.10811), as entries."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

from imagenet_hard.leaderboard.answer_tables import read_answer_table
from imagenet_hard.leaderboard.imagenet_top1 import torchvision_top1
from imagenet_hard.leaderboard.importing import Imported, gold_of_labels, import_answers
from imagenet_hard.leaderboard.plain_text import Link

V2_SOURCE = Link(label="ImageNetV2", url="https://github.com/modestyachts/ImageNetV2")
V2_DATE = dt.date(2019, 2, 13)
"""Day of the paper that the predictions go with."""
V2_TORCHVISION = re.compile(r"alexnet|densenet\d+|resnet\d+|squeezenet1_\d|vgg\d+(_bn)?")
"""Models of the test bed whose weights are torchvision's first ones; the others came from elsewhere."""


def import_v2(folder: Path) -> Imported:
    """The models in a folder with ``top5.parquet`` and ``labels.parquet``."""
    return import_answers(
        read_answer_table(folder / "top5.parquet"),
        gold_of_labels(folder / "labels.parquet", "imagenet-v2-matched-frequency"),
        org="ImageNetV2",
        submitter="modestyachts",
        links=[V2_SOURCE],
        date=V2_DATE,
        imagenet=lambda name: (
            torchvision_top1(name, "IMAGENET1K_V1") if V2_TORCHVISION.fullmatch(name) else None
        ),
    )
