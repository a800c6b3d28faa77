"""The command: what it prints in each form, its exit codes, and hashes that stand for images."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from imagenet_hard.cli.main import group, run
from imagenet_hard.dataset.load import load_dataset


def call(*args: object) -> int:
    return run(group, ["copies", *map(str, args), "--quiet"], "imagenet-hard")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four photographs of the sample without labels: two as they are, one smaller, and one that is broken."""
    made = tmp_path_factory.mktemp("training")
    sample = load_dataset("sample")
    for i in (0, 1):
        (made / f"same{i}.jpg").write_bytes(sample[i].image)
    with Image.open(io.BytesIO(sample[2].image)) as image:
        image.convert("RGB").resize((150, 150)).save(made / "small.jpg", quality=85)
    (made / "broken.jpg").write_bytes(b"no image")
    return made


def test_none_found(capsys):
    assert call("sample") == 0
    assert capsys.readouterr().out == "no copies\n"


def test_as_json(folder, capsys):
    assert call("sample", folder, "--json") == 1
    out, err = capsys.readouterr()
    got, ids = json.loads(out), load_dataset("sample").ids
    assert got["images"] == {"sample": 20, str(folder): 4}
    assert got["unread"] == {str(folder): ["broken.jpg"]}
    assert [(c["id"], c["copy"], c["relation"]) for c in got["copies"]] == [
        (ids[0], "same0.jpg", "identical bytes"),
        (ids[1], "same1.jpg", "identical bytes"),
        (ids[2], "small.jpg", "near-copy"),
    ]
    assert {c["images"] for c in got["copies"]} == {str(folder)}
    assert f"1 image of {folder} could not be decoded, and only their bytes were compared: broken.jpg" in err


def test_as_csv_and_as_a_table(folder, capsys):
    assert call("sample", folder, "--csv") == 1
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["copy"] for row in rows] == ["same0.jpg", "same1.jpg", "small.jpg"]
    assert float(rows[0]["similarity"]) == 1
    assert call("sample", folder) == 1
    assert "identical bytes" in capsys.readouterr().out


def test_several_others(folder, capsys):
    assert call(folder, "sample", folder, "--json") == 1
    got = json.loads(capsys.readouterr().out)
    assert [c["images"] for c in got["copies"]].count("sample") == 3


def test_hashes_stand_for_images(folder, tmp_path, capsys):
    path = tmp_path / "private.hashes"
    assert call(folder, "--write", path) == 0
    out, err = capsys.readouterr()
    assert out.strip() == str(path)
    assert "1 image could not be decoded" in err
    assert call("sample", path, "--json") == 1
    relations = [copy["relation"] for copy in json.loads(capsys.readouterr().out)["copies"]]
    assert relations == ["identical bytes", "identical bytes", "near-copy by hash"]
    assert call(path, path, "--json") == 1


@pytest.mark.parametrize("more", [["sample"], ["--json"], ["--csv"]])
def test_write_goes_alone(tmp_path, more, capsys):
    assert call("sample", "--write", tmp_path / "x", *more) == 2
    assert "--write only writes the hashes of A" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_json_or_csv():
    assert call("sample", "--json", "--csv") == 2


def test_what_is_not_there(tmp_path, capsys):
    assert call("sample", tmp_path / "nowhere") == 2  # before the hours that hashing the first may take
    assert call(tmp_path / "nowhere") == 2
    assert "unknown data set" in capsys.readouterr().err
    assert call(tmp_path) == 1
    assert f"no image in {tmp_path}" in capsys.readouterr().err
