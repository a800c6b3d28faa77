"""Original files by ids, as folders, recipes and releases write them."""

from __future__ import annotations

import pytest

from imagenet_hard.imagenet.originals import original_file


@pytest.mark.parametrize(
    ("id", "expected"),
    [
        ("ILSVRC2012_val_00000293.JPEG", "ILSVRC2012_val_00000293.JPEG"),
        ("imagenet/ILSVRC2012_val_00000293", "ILSVRC2012_val_00000293.JPEG"),
        ("n02105412/ILSVRC2012_val_00000293_n02105412.png", "ILSVRC2012_val_00000293.JPEG"),
        ("imagenet-c/fog/3/ILSVRC2012_val_00000293", "ILSVRC2012_val_00000293.JPEG"),
        ("val\\ILSVRC2012_val_00000293.JPEG", "ILSVRC2012_val_00000293.JPEG"),
        ("ILSVRC2012_val_000002931", ""),
        ("xILSVRC2012_val_00000293", ""),
        ("25949dd0704552263197b05a8359771a4192ff45", "25949dd0704552263197b05a8359771a4192ff45.jpeg"),
        (
            "imagenet-v2/0/25949dd0704552263197b05a8359771a4192ff45.jpeg",
            "25949dd0704552263197b05a8359771a4192ff45.jpeg",
        ),
        ("imagenet-sketch/n01440764/sketch_13.JPEG", "n01440764/sketch_13.JPEG"),
        ("imagenet-r/n01443537/art_0.jpg", "n01443537/art_0.jpg"),
        ("art_0.jpg", "art_0.jpg"),
        (
            "n01498041/0.000116_digital clock _ digital clock_0.865662.jpg",
            "n01498041/0.000116_digital clock _ digital clock_0.865662.jpg",
        ),
        ("17", ""),
        ("photo.jpg", ""),
        ("", ""),
    ],
)
def test_original_file(id, expected):
    assert original_file(id) == expected
