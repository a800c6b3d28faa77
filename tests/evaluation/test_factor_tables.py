"""Tables of factors: ImageNet-X's layout and CSV, how images are found in them, what is refused."""

from __future__ import annotations

import json

import pytest

from imagenet_hard.base.errors import DatasetError, ResultError
from imagenet_hard.evaluation.factor_tables import read_factors, read_image_hashes

VAL = "ILSVRC2012_val_{:08d}.JPEG"


def row(number, pose=0, background=0, **more):
    """A line as ImageNet-X has it."""
    words = {"justification": "a word, or two", "one_word": "word"}
    return (
        {"file_name": VAL.format(number), "class": 7, "pose": pose, "background": background} | words | more
    )


def jsonl(tmp_path, *rows):
    path = tmp_path / "factors.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return path


def test_imagenet_x_lines_and_ids_of_any_layout(tmp_path):
    """Found by the original file's name, whatever the id is like; words are no factors."""
    found = read_factors(jsonl(tmp_path, row(1, pose=1), row(2), row(3, 1, 1)))
    assert (found.by, found.names) == ("file_name", ("pose", "background"))
    assert found.present.tolist() == [[True, False], [False, False], [True, True]]
    ids = [f"imagenet/{VAL.format(3)[:-5]}", VAL.format(1), f"imagenet-c/fog/3/{VAL.format(3)}", "17"]
    assert found.found(ids, {}).tolist() == [2, 0, 2, -1]


def test_csv_by_id_and_by_hash(tmp_path):
    """The same by CSV; where rows are hashes, with a list of the images' hashes."""
    path = tmp_path / "f.csv"
    path.write_text("id,blurred,night\nn01440764/a.jpg,1,0\nb.png,0,1\n")
    found = read_factors(path)
    assert found.found(["n01440764/a.jpg", "x", "b"], {}).tolist() == [0, -1, 1]
    path.write_text(f"sha256,blurred\n{'ab' * 32},1\n{'cd' * 32},0\n")
    images = tmp_path / "images.csv"
    images.write_text(f"id,sha256,labels\n7,{'cd' * 32},1\n8,{'00' * 32},1\n")
    assert read_factors(path).found(["7", "8", "9"], read_image_hashes(images)).tolist() == [1, -1, -1]
    with pytest.raises(ResultError, match="give --hashes"):
        read_factors(path).found(["7"], {})


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([row(1, pose=2)], r":1: 'pose' is 2: expected 0 or 1"),
        ([row(1), row(2, pose="yes")], r":2: 'pose' is 'yes'"),
        ([row(1), row(1)], ":2: the image .* is there twice"),
        ([row(1), row(2, night=1)], ":2: got the keys"),
        ([{"pose": 1}], "expected one of id, file_name"),
        ([{"file_name": "a", "class": 3}], "1 to 200 factors"),
        ([{"file_name": 3, "pose": 1}], "expected the name of an image"),
        ([[1]], "expected a JSON object"),
        ([], "has no image"),
    ],
)
def test_what_is_refused(tmp_path, lines, said):
    with pytest.raises(ResultError, match=said):
        read_factors(jsonl(tmp_path, *lines))


def test_other_files_and_other_images_are_refused(tmp_path):
    path = tmp_path / "factors.jsonl"
    path.write_text("file_name,pose\na,1\n")
    with pytest.raises(ResultError, match="expected a JSON object a line, or a file called .csv"):
        read_factors(path)
    path = tmp_path / "f.csv"
    path.write_text("file_name,pose,pose\na,1,1\n")
    with pytest.raises(ResultError, match="a column is there twice"):
        read_factors(path)
    path.write_text("file_name,pose\nx/a.jpg,1\ny/a.jpg,0\n")
    with pytest.raises(ResultError, match="has none of the 2 images: file_name is such as 'x/a.jpg'"):
        read_factors(path).found(["1", "2"], {})
    with pytest.raises(DatasetError, match="has 2 names that fit the image 'a.jpg'"):
        read_factors(path).found(["a.jpg"], {})


def test_a_row_is_one_image(tmp_path):
    """Files of one name in other folders are other images; what is made of one image has its row."""
    path = tmp_path / "f.csv"
    path.write_text("file_name,pose\nn01443537/1.JPEG,1\nILSVRC2012_val_00000293.JPEG,0\n")
    made = [f"c/{kind}/ILSVRC2012_val_00000293" for kind in ("fog", "snow")]
    ids = ["n01440764/1.JPEG", "n01443537/1.JPEG", *made]
    assert read_factors(path).found(ids, {}).tolist() == [-1, 0, 1, 1]
    path.write_text("file_name,pose\nart_0.jpg,1\n")
    ids = ["n01440764/art_0.jpg", "n01443537/art_0.jpg"]
    with pytest.raises(DatasetError, match="'art_0.jpg', which fits '{}' and '{}'".format(*ids)):
        read_factors(path).found([f"imagenet-r/{id}" for id in ids], {})
