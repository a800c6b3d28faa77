"""Label files, the good and the bad."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.dataset.ground_truth import ground_truth
from imagenet_hard.dataset.label_files import plain_name, read_label_file
from imagenet_hard.imagenet.classes import devkit_order, wnids


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
        ("a.JSON", '\ufeff{"a.jpg": "1", "b c.jpg": [2, 0], "d": "1"}'),
        ("a.txt", "a.jpg 1.0\nb c.jpg 2 0\nd 1\n"),
        ("a.txt", "a.jpg 1\nb c.jpg 2, 0\nd 1\n"),
        ("a.txt", "a.jpg;1\nb c.jpg;2;0\nd;1\n"),
        ("a.txt", 'a.jpg|1\n"b c.jpg" [0, 2]\nd: 1\n'.replace("d: 1", "d | 1")),
        ("a.lst", "a.jpg: 1\nb c.jpg: 2 0\nd N01443537\n"),
        ("a.txt", "file,label\na.jpg,1\nb c.jpg,2 0\nd,1\n"),
        ("a.csv", "a.jpg,1\nb c.jpg,2,0\nd,1\n"),
        ("a.tsv", "file\tlabel\na.jpg\t1\nb c.jpg\t2 0\nd\t1\n"),
        ("a.csv", "File Name;Class Index\na.jpg;1.0\nb c.jpg;2,0\nd;1\n"),
        ("a.csv", ',id,file,label\n0,7,a.jpg,1\n1,8,b c.jpg,"[2, 0]"\n2,9,d,1\n'),
        (
            "a.csv",
            "file,label,wnid\na.jpg,goldfish,n01443537\nb c.jpg,7,n01440764 n01484850\nd,1,n01443537\n",
        ),
        (
            "a.jsonl",
            '{"file": "a.jpg", "label": 1}\n{"file": "b c.jpg", "label": [2, 0]}\n'
            '{"file": "d", "label": "1"}',
        ),
        (
            "a.json",
            '[{"name": "a.jpg", "labels": 1.0}, {"name": "b c.jpg", "labels": [0, 2]}, '
            '{"name": "d", "labels": 1}]',
        ),
        ("a.txt", '{"a.jpg": 1, "b c.jpg": [2, 0], "d": 1}'),
        ("a.txt", "./a.jpg 1\nhttps://host.org/b%20c.jpg?size=1 2 0\n\\d 1\n"),
    ],
)
def test_label_files_people_have(tmp_path: Path, name: str, text: str) -> None:
    """Indices and wnids, one or several, in any form, names with blanks, a byte-order mark."""
    assert read_label_file(write(tmp_path, name, text)) == {"a.jpg": (1,), "b c.jpg": (0, 2), "d": (1,)}


def test_multi_hot_vectors_in_json(tmp_path: Path) -> None:
    """One 0 or 1 for each class is no list of the classes 0 and 1; without a 1 the image is excluded."""
    hot = {f"{i}.jpg": [int(k in (i, 900)) for k in range(1000)] for i in (0, 1, 417)}
    table = read_label_file(write(tmp_path, "hot.json", json.dumps(hot | {"none.jpg": [0] * 1000})))
    assert table == {"0.jpg": (0, 900), "1.jpg": (1, 900), "417.jpg": (417, 900), "none.jpg": ()}


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.json", '{"a.jpg": [2, 0, 2]}'), ("a.txt", "a.jpg 2,0,2"), ("a.csv", 'file,label\na.jpg,"0 1 0"\n')],
)
def test_numbers_that_repeat_are_never_classes(tmp_path: Path, name: str, text: str) -> None:
    """They are bits, or counts, of something."""
    with pytest.raises(DatasetError, match=r"has the label list \[.*\]: class numbers do not repeat"):
        read_label_file(write(tmp_path, name, text))


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
        ("a.txt", "a.jpg 1 0.97\n", r"a\.txt, line 1 has the label '0\.97'"),
        ("a.txt", "a.jpg n01751748 490\n", r"line 1 has a wnid and a number that disagree: n01751748 490"),
        (
            "a.txt",
            "1\n65\n",
            r"a\.txt has 2 labels without names: such a file is read where it is the ground",
        ),
        ("a.txt", f"a.jpg {'9' * 5000}\n", r"a\.txt, line 1 has the label '999"),
        ("a.csv", f"file,label\na.jpg,{'1' * 200_000}\n", r"a\.csv cannot be read: field larger than"),
        ("a.json", "[" * 100_000, r"a\.json is not JSON"),
        ("a.csv", "file,label\na.jpg,nan\n", r"a\.csv, line 2 has the label 'nan'"),
        (
            "a.json",
            '[{"file": "a", "label": 1}, {"file": "b"}]',
            r"a\.json, record 2 has no 'file' or no 'label'",
        ),
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
        (
            "a.csv",
            "file,Label,label\na.jpg,1,2\n",
            r"a\.csv has 2 columns with the same name, 'Label' and 'label': which one is meant\?",
        ),
        (
            "a.tsv",
            "file\tfile\tlabel\na.jpg\tb.jpg\t2\n",
            r"a\.tsv has 2 columns with the same name, 'file' and",
        ),
        (
            "a.jsonl",
            '{"file": "a", "label": 1, "Label": 2}\n' * 2,
            r"a\.jsonl has 2 columns with the same name",
        ),
        ("a.json", '{"a": 1, "b": 2, "a": 3}', r"a\.json gives 'a' the value 3, but 1 came before"),
        ("a.csv", "file,label\na.jpg,-3\n", r"a\.csv, line 2 has the label -3"),
        ("a.json", "{", r"a\.json is not JSON"),
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
    """The path is named, and what is there under nearly the same name."""
    with pytest.raises(DatasetError, match=r"none\.txt cannot be read"):
        read_label_file(tmp_path / "none.txt")
    write(tmp_path, "val_labels.txt", "a 1")
    with pytest.raises(
        DatasetError, match=r"val_label\.txt cannot be read: .*Did you mean .*/val_labels\.txt\?"
    ):
        read_label_file(tmp_path / "val_label.txt")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["a.jpg 1\n", "file;label\na.jpg;1\n", '{"a.jpg": 1}'])
def test_encodings(tmp_path: Path, encoding: str, text: str) -> None:
    """Windows writes UTF-16, with a byte-order mark or without."""
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    assert read_label_file(tmp_path / "a.txt") == {"a.jpg": (1,)}


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    """Nothing is guessed."""
    (tmp_path / "a.txt").write_bytes("caf\xe9.jpg 1\n".encode("latin-1"))
    with pytest.raises(DatasetError, match="Expected UTF-8 or UTF-16"):
        read_label_file(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("val/a.jpg", "val/a.jpg"),
        ("./val//a.jpg", "val/a.jpg"),
        (r"val\n01440764\a.jpg", "val/n01440764/a.jpg"),
        (' "a b.jpg" ', "a b.jpg"),
        ("https://host.org/x/a%20b.jpg?v=1", "x/a b.jpg"),
        ("/data/val/a.jpg", "data/val/a.jpg"),
    ],
)
def test_names_become_plain(name: str, plain: str) -> None:
    """Slashes between the parts, and no more than the path."""
    assert plain_name(name) == plain


def test_kaggles_boxes(tmp_path: Path) -> None:
    """LOC_val_solution.csv has a wnid and four numbers a box; Tiny ImageNet's annotations one box."""
    solution = (
        "ImageId,PredictionString\n"
        "ILSVRC2012_val_00048981,n03995372 85 1 499 272 \n"
        "ILSVRC2012_val_00037956,n03481172 131 0 499 254 n03481172 1 2 3 4 n01751748 5 6 7 8 \n"
    )
    assert read_label_file(write(tmp_path, "LOC_val_solution.csv", solution)) == {
        "ILSVRC2012_val_00048981": (wnids().index("n03995372"),),
        "ILSVRC2012_val_00037956": (65, wnids().index("n03481172")),
    }
    assert read_label_file(
        write(tmp_path, "val_annotations.txt", "val_0.JPEG\tn01751748\t0\t32\t44\t62\n")
    ) == {"val_0.JPEG": (65,)}


def test_the_ground_truth_without_names(shared: Path, tmp_path: Path) -> None:
    """50,000 lines in the order of the images: as indices, from 1, in the development kit's ids, as wnids."""
    val = shared / "data" / "labels" / "val.txt"
    expected = {name.partition(".")[0]: labels for name, labels in read_label_file(val).items()}
    truth = [labels[0] for labels in expected.values()]
    ids = {index: id for id, index in enumerate(devkit_order(), start=1)}
    forms = {
        "index": [str(index) for index in truth],
        "from one": [str(index + 1) for index in truth],
        "kit": [str(ids[index]) for index in truth],
        "wnid": [wnids()[index] for index in truth],
    }
    assert forms["kit"][:5] == ["490", "361", "171", "822", "297"]  # as in the released file
    assert all(ground_truth(lines) == truth for lines in forms.values())
    assert read_label_file(write(tmp_path, "kit.txt", "\n".join(forms["kit"]) + "\n")) == expected
    for other in (truth[::-1], [(index + 1) % 1000 for index in truth], truth[1:]):
        assert ground_truth([str(index) for index in other]) is None
    with pytest.raises(DatasetError, match=r"50,000 labels without names: .* and this one is not"):
        read_label_file(write(tmp_path, "list.json", json.dumps(truth[::-1])))


def test_a_list_that_numbers_the_images_is_no_label_file(tmp_path: Path) -> None:
    """ImageSets/CLS-LOC/val.txt has the place of each image beside its name."""
    lines = "".join(f"ILSVRC2012_val_{i:08d} {i}\n" for i in range(1, 20))
    with pytest.raises(DatasetError, match=r"val\.txt numbers the images.* Give the ground truth"):
        read_label_file(write(tmp_path, "val.txt", lines))


def test_labels_without_a_gap_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """They may be class indices; a list with a gap is no reason for a word."""
    with caplog.at_level(logging.WARNING):
        read_label_file(write(tmp_path, "gap.txt", "".join(f"{i}.jpg {i}\n" for i in range(1, 30) if i != 5)))
        assert not caplog.records
        read_label_file(write(tmp_path, "full.txt", "".join(f"{i}.jpg {i}\n" for i in range(1, 30))))
    assert "full.txt has the labels 1 to 29 and no others" in caplog.text
