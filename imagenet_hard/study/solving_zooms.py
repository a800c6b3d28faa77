"""Which zooms solve which image, for the explorer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from imagenet_hard.base.errors import ResultError
from imagenet_hard.leaderboard.site.explore import Zooms
from imagenet_hard.study.matrix import FILE, read_matrix


def solving_zooms(path: Path) -> Zooms:
    """Of a study's ``matrix.npz``, or of the work folder that ``study report`` left it in.

    Raises:
        ResultError: there is none, or it cannot be read.
    """
    places = [path / FILE, path / "report" / FILE] if path.is_dir() else [path]
    file = next((each for each in places if each.is_file()), None)
    if file is None:
        raise ResultError(
            f"there is no {FILE} in {path}: expected what `imagenet-hard study report` wrote, or its --work"
        )
    matrix = read_matrix(file)
    names = tuple(matrix.info.classifiers)
    right = np.stack([matrix.correct(name) for name in names], axis=1)
    ids = (id for each in matrix.info.images for id in each.ids)
    return Zooms(names, matrix.info.scales, dict(zip(ids, right, strict=True)))
