"""The zooms that solve each image, as the explorer takes them."""

from __future__ import annotations

import numpy as np
import pytest

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.types import ModelSpec
from imagenet_hard.study.matrix import Images, Matrix, MatrixInfo, write_matrix
from imagenet_hard.study.solving_zooms import solving_zooms

MODEL = ModelSpec(backend="custom", name="a", transform={})


def test_each_image_has_its_own(tmp_path):
    """From the file, and from the folders that a report leaves it in."""
    info = MatrixInfo(
        recipe="r",
        recipe_sha256="0",
        scales=(224, 256),
        classifiers={"A": MODEL, "B": MODEL},
        images=(
            Images(source="s", variant="v", ids=("x", "y"), sha256=("1", "2")),
            Images(source="t", variant="w", ids=("z",), sha256=("3",)),
        ),
    )
    right = np.random.default_rng(0).random((2, 3, 18)) < 0.5
    write_matrix(Matrix(info, np.packbits(right, axis=2)), tmp_path / "report" / "matrix.npz")
    for path in (tmp_path, tmp_path / "report", tmp_path / "report" / "matrix.npz"):
        zooms = solving_zooms(path)
        assert (zooms.classifiers, zooms.scales) == (("A", "B"), (224, 256))
        assert {id: each.tolist() for id, each in zooms.bits.items()} == {
            id: right[:, i].tolist() for i, id in enumerate("xyz")
        }
    with pytest.raises(ResultError, match="there is no matrix.npz in .*imagenet-hard study report"):
        solving_zooms(tmp_path / "elsewhere")
