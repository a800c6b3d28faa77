"""Label values and label files, the good and the bad."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from imagenet_hard.dataset.label_files import read_label_file
from imagenet_hard.dataset.labels import checked
from imagenet_hard.errors import DatasetError


@pytest.mark.parametrize(
    ("value", "labels"),
    [(0, (0,)), (999, (999,)), ([3, 1, 3], (1, 3)), ((7,), (7,)), (np.int64(5), (5,)), ([np.int16(5)], (5,))],
)
def test_labels_become_sorted_tuples(value: object, labels: tuple[int, ...]) -> None:
    """One or many, plain or numpy integers, repeats dropped."""
    found = checked(value, "row 0")
    assert found == labels
    assert all(type(label) is int for label in found)


@pytest.mark.parametrize("value", [None, -1, [], [-1], [None], [3, -1]])
def test_no_label_says_so(value: object) -> None:
    """Test sets carry -1, None or an empty list."""
    with pytest.raises(
        DatasetError, match=r"row 4 of x is without labels: got .*Test splits cannot be scored"
    ):
        checked(value, "row 4 of x")


@pytest.mark.parametrize("value", [1000, -2, 3.0, "3", True, [1, 1000], [[1]], {"a": 1}])
def test_a_label_out_of_range_names_the_row(value: object) -> None:
    """Only integers in 0..999 are classes."""
    with pytest.raises(
        DatasetError, match=r"row 4 of x has the label .* expected an integer class index in 0\.\.999"
    ):
        checked(value, "row 4 of x")


def test_one_too_high_hints_at_counting_from_one() -> None:
    """Caffe's lists go from 1 to 1000."""
    with pytest.raises(
        DatasetError, match="count from 1 in the order of the wnids, subtract 1.*id 490 and index 65"
    ):
        checked(1000, "row 0")


def write(folder: Path, name: str, text: str) -> Path:
    """A file ``name`` with ``text``."""
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "# comment\na.jpg 1\n\nb c.jpg 2,0\nd n01443537\n"),
        ("a.txt", "a.jpg\t1\r\nb c.jpg\tn01440764,n01484850\r\nd\t1\r\n"),
        ("a.csv", "file,label\na.jpg,1\nb c.jpg,2;0\nd,n01443537\n"),
        ("a.csv", 'Label,Other,Filename\n1,x,a.jpg\n"2, 0",y,b c.jpg\n[1],z,d\n'),
        ("a.json", '{"a.jpg": 1, "b c.jpg": [2, "n01440764"], "d": ["n01443537"]}'),
        ("a.JSON", '\ufeff{"a.jpg": "1", "b c.jpg": [2, 0, 2], "d": "1"}'),
    ],
)
def test_label_files_people_have(tmp_path: Path, name: str, text: str) -> None:
    """Indices and wnids, one or several, names with blanks, a byte-order mark."""
    assert read_label_file(write(tmp_path, name, text)) == {"a.jpg": (1,), "b c.jpg": (0, 2), "d": (1,)}


def test_a_json_list_is_keyed_by_validation_image(tmp_path: Path) -> None:
    """Place 0 is ILSVRC2012_val_00000001; an empty list excludes the image."""
    table = read_label_file(write(tmp_path, "real.json", "[[], [970, 795], 5]"))
    assert table == {
        "ILSVRC2012_val_00000001": (),
        "ILSVRC2012_val_00000002": (795, 970),
        "ILSVRC2012_val_00000003": (5,),
    }


def test_the_released_files(shared: Path) -> None:
    """val.txt has 50,000 labels; ReaL leaves 3,163 images out and has up to 9 labels."""
    val = read_label_file(shared / "data" / "labels" / "val.txt")
    real = read_label_file(shared / "data" / "labels" / "real.json")
    assert len(val) == len(real) == 50_000
    assert sum(not labels for labels in real.values()) == 3_163
    assert max(map(len, real.values())) == 9
    raw = json.loads((shared / "data" / "labels" / "real.json").read_text())
    assert all(set(real[f"ILSVRC2012_val_{i + 1:08d}"]) == set(raw[i]) for i in range(0, 50_000, 997))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "a.jpg 1\n65\n", r"a\.txt, line 2: got '65', expected 'NAME LABEL'"),
        ("a.txt", "a.jpg 1000\n", r"a\.txt, line 1 has the label 1000: .*count from 1"),
        (
            "a.txt",
            "a.jpg tench\n",
            r"a\.txt, line 1 has the label 'tench': expected a class index in 0\.\.999",
        ),
        ("a.txt", "a.jpg n99999999\n", "has the label 'n99999999': expected .* one of the 1000 wnids"),
        (
            "a.txt",
            "a.jpg 1\na.jpg 2\n",
            r"a\.txt, line 2 gives 'a\.jpg' the labels \(2,\), but \(1,\) came before",
        ),
        ("a.txt", "", r"a\.txt is empty: expected a \.txt file of 'NAME LABEL' lines"),
        ("a.csv", "x,y\n1,2\n", r"a\.csv: got the header x, y, expected one column of names \(such as file"),
        ("a.csv", "", r"a\.csv: got the header \(none\)"),
        ("a.csv", "file,label\na.jpg,-3\n", r"a\.csv, line 2 has the label -3"),
        ("a.json", "{", r"a\.json is no JSON"),
        ("a.json", "3", r"a\.json: got a JSON int, expected"),
        ("a.json", '{"a.jpg": 1.5}', r"a\.json, 'a\.jpg' has the label 1\.5"),
        ("a.json", '{"a.jpg": null}', r"a\.json, 'a\.jpg' has the label None"),
        ("a.xml", "<a/>", r"a\.xml cannot be read: expected a \.txt file"),
    ],
)
def test_bad_label_files_name_the_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    """Every message says where, what was got, and what is expected."""
    with pytest.raises(DatasetError, match=message):
        read_label_file(write(tmp_path, name, text))


def test_a_missing_label_file(tmp_path: Path) -> None:
    """The path is named."""
    with pytest.raises(DatasetError, match=r"none\.txt cannot be read"):
        read_label_file(tmp_path / "none.txt")
