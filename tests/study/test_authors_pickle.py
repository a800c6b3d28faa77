"""The authors' pickle: read as pandas reads it, and never run."""

from __future__ import annotations

import pickle
import struct
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imagenet_hard.base.errors import ResultError
from imagenet_hard.cli.main import group, run
from imagenet_hard.imagenet.zoom import PAPER_SCALES, ZoomGrid
from imagenet_hard.study import authors_pickle
from imagenet_hard.study.authors_pickle import MODELS, SETS, read_authors_pickle
from imagenet_hard.study.matrix import read_matrix

pd = pytest.importorskip("pandas")

SIZES = {"imagenet_1k": 11, "imagenet_IN_plus_real": 9, "objectnet": 5}
ANCHORS = [(row, column) for row in range(3) for column in range(3)]


def frame(n: int, seed: int, *, shuffled: bool = True) -> Any:
    """As the authors' notebooks make one: a part for each anchor, its scales as rows, images as columns."""
    rng = np.random.default_rng(seed)
    parts = [
        pd.DataFrame({f"LOC:{r}_{c}_Size:{s}": rng.integers(0, 2, n) == 1 for s in PAPER_SCALES}).T
        for r, c in ANCHORS
    ]
    whole = pd.concat(parts)
    whole.columns = pd.Index([str(i) for i in range(n)], dtype=object)
    whole.index = pd.Index(list(whole.index), dtype=object)
    return whole[list(rng.permutation(whole.columns))] if shuffled else whole


@pytest.fixture(scope="module")
def tables() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for k, (name, n) in enumerate(SIZES.items()):
        for i, model in enumerate(("resnet18", "vit32", "clip_vit_l_14")):
            found[name][model] = frame(n, 10 * k + i)
    return found


def written(path: Path, value: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_every_bit_is_where_pandas_has_it(tables, tmp_path, protocol):
    """Each model, set, image and zoom; images by their numbers, zooms in the grid's order."""
    matrix = read_authors_pickle(written(tmp_path / "c.pkl", tables, protocol))
    assert [each.source for each in matrix.info.images] == ["imagenet", "imagenet-real+original", "objectnet"]
    assert matrix.info.images[2].ids == tuple(f"objectnet/{i}" for i in range(5))
    for name, per_model in tables.items():
        for model, table in per_model.items():
            mine = matrix.correct(model, SETS[name])
            for zoom, place in zip(ZoomGrid(), range(324), strict=True):
                row = table.loc[f"LOC:{zoom.row}_{zoom.column}_Size:{zoom.scale}"]
                assert [row[str(i)] for i in range(len(mine))] == mine[:, place].tolist()
    spec = matrix.info.classifiers["vit32"]
    assert (spec.backend, spec.name, spec.tag) == ("torchvision", "vit_b_32", "IMAGENET1K_V1")


def test_numbers_as_columns_and_several_blocks(tables, tmp_path):
    """As pandas leaves a table without names, and one whose columns were set one by one."""
    plain = frame(4, 1, shuffled=False)
    expected = plain.to_numpy()
    plain.columns = range(4)
    pieces = frame(4, 1, shuffled=False)
    pieces.insert(4, "4", pieces["0"].to_numpy().copy())
    for table, n in ((plain, 4), (pieces, 5)):
        path = written(tmp_path / "c.pkl", {"objectnet": {"resnet18": table}})
        matrix = read_authors_pickle(path)
        assert matrix.info.n_images == n
        scale_major = matrix.correct("resnet18")[:4].reshape(4, 36, 9).transpose(0, 2, 1).reshape(4, 324)
        np.testing.assert_array_equal(scale_major.T, expected)


def test_the_command_makes_a_matrix_that_is_reported_on(tables, tmp_path, capsys):
    """Accuracies are those of the notebooks' lines, and the paper's figures stand beside them."""
    path = written(tmp_path / "c.pkl", tables)
    assert run(group, ["study", "import", str(path), "--out", str(tmp_path / "out")], "x") == 0
    printed = capsys.readouterr()
    assert "25 images of 3 data sets, 3 classifiers, 324 zooms" in printed.err
    matrix = read_matrix(Path(printed.out.strip()))
    table = tables["objectnet"]["vit32"]
    mine = matrix.correct("vit32", "objectnet")
    assert mine.any(axis=1).mean() == np.mean(table.max(axis=0))
    assert mine[:, ZoomGrid().standard].mean() == table.loc["LOC:1_1_Size:256"].mean()
    args = ["study", "report", "--matrix", str(tmp_path / "out/matrix.npz"), "--out", str(tmp_path / "out")]
    assert run(group, args, "x") == 0
    assert "69.45" in (tmp_path / "out/accuracy.csv").read_text()


MARKER: list[str] = []


class Evil:
    def __init__(self, call: Any, *args: Any) -> None:
        self.call, self.args = call, args

    def __reduce__(self) -> Any:
        return self.call, self.args


GLOBAL = b"\x80\x04c%s\n%s\n"
ATTACKS = {
    "os.system": (b"cos\nsystem\n(Vtouch ran\ntR.", "calls 'posix.system'|calls 'os.system'"),
    "eval": (b"cbuiltins\neval\n(V1\ntR.", "calls 'builtins.eval'"),
    "getattr": (b"cbuiltins\ngetattr\n.", "calls 'builtins.getattr'"),
    "codecs": (b"c_codecs\nencode\n.", "calls '_codecs.encode'"),
    "pandas": (b"cpandas\nread_pickle\n.", "calls 'pandas.read_pickle'"),
    "numpy": (b"cnumpy\nload\n.", "calls 'numpy.load'"),
    "a name in a name": (b"\x80\x04\x8c\x05numpy\x8c\x0edtype.__init__\x93.", "calls 'numpy.dtype.__init__'"),
    "instances": (b"(icollections\nOrderedDict\n.", "the instruction INST"),
    "persistent objects": (b"Px\n.", "the instruction PERSID"),
    "extensions": (b"\x80\x02\x82\x01.", "the instruction EXT1"),
    "a class with a state": (b"cnumpy\ndtype\n}Vx\nI1\nsb.", "is not a correctness.pkl"),
    "a table with a state": (b"ccollections\ndefaultdict\n)R}Vx\nI1\nsb.", "has a state"),
    "much memory": (b"\x80\x02}r\xff\xff\xff\x7f.", "claims 2,147,483,647 places"),
    "a large frame": (b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"}.", "cannot read|is not a correctness"),
    "large bytes": (b"\x80\x04\x8e" + struct.pack("<Q", 2**50) + b"x.", "cannot read|is not a correctness"),
    "more behind its end": (b"}.}.", "more bytes after its end"),
    "nothing": (b"", "cannot read|is not a correctness"),
    "no pickle": (b"PK\x03\x04 hello", "cannot read|is not a correctness"),
    "another thing": (b"]K\x01a.", "holds list, not tables"),
    "no tables": (b"}.", "holds dict, not tables|not tables by data set"),
    "depth": (b"(" * 100 + b"t" * 100 + b".", "not tables"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_are_refused(tmp_path, monkeypatch, name):
    """Nothing runs, nothing is written, and the message says what there is."""
    monkeypatch.chdir(tmp_path)
    data, message = ATTACKS[name]
    Path("c.pkl").write_bytes(data)
    with pytest.raises(ResultError, match=message):
        read_authors_pickle(Path("c.pkl"))
    assert [path.name for path in tmp_path.iterdir()] == ["c.pkl"]


def test_code_inside_of_a_real_table_does_not_run(tables, tmp_path):
    """In the place of a table, a label, a name of a set."""
    evil = Evil(MARKER.append, "ran")
    for value in ({**tables, "objectnet": evil}, {"objectnet": {"resnet18": evil}}, {evil: {}}, [evil]):
        with pytest.raises(ResultError):
            read_authors_pickle(written(tmp_path / "c.pkl", value))
    assert MARKER == []


def renamed(table: Any, old: str, new: str) -> Any:
    """The table with another name of one row or column."""
    table = table.copy()
    for axis in ("index", "columns"):
        names = [new if each == old else each for each in getattr(table, axis)]
        setattr(table, axis, pd.Index(names, dtype=object))
    return table


def one(change: Any) -> Any:
    """What makes a file of one table, changed."""
    return lambda tables: {"objectnet": {"resnet18": change(tables["resnet18"])}}


STANDARD = "LOC:1_1_Size:256"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: {"imagenet_z": t}, "unknown data sets 'imagenet_z': expected some of imagenet_1k"),
        (lambda t: {"objectnet": {**t, "vgg99": t["resnet18"]}}, "the same models in every data set"),
        (lambda t: {"objectnet": t, "imagenet_a": {"resnet18": t["resnet18"]}}, "the same models"),
        (one(lambda t: t.iloc[1:]), "5 images, 323 zooms"),
        (one(lambda t: renamed(t, STANDARD, "x")), "objectnet, resnet18: the row 'x': expected LOC:ROW_COLU"),
        (one(lambda t: renamed(t, STANDARD, "LOC:1_1_Size:257")), "with one of the paper's scales"),
        (one(lambda t: renamed(t, STANDARD, "LOC:1_1_Size:224")), "324 zooms, expected each of the 324 once"),
        (one(lambda t: renamed(t, "3", "4")), "an image's number appears twice"),
        (one(lambda t: renamed(t, "3", "-3")), "or is below 0"),
        (one(lambda t: t.astype("float32")), "expected booleans"),
        (one(lambda t: t.astype("int8")), "a block of int8"),
        (one(lambda t: 5), "objectnet, resnet18: int, expected a DataFrame"),
        (
            lambda t: {"objectnet": {"resnet18": t["resnet18"], "vit32": t["vit32"].drop(columns=["3"])}},
            "objectnet, vit32: other images than those of resnet18",
        ),
    ],
)
def test_other_tables_are_refused(tables, tmp_path, change, message):
    """By the data set, the model and the place."""
    path = written(tmp_path / "c.pkl", change(tables["objectnet"]))
    with pytest.raises(ResultError, match=message):
        read_authors_pickle(path)


def test_every_byte_that_is_changed_gives_a_matrix_or_an_error(tmp_path):
    """400 damaged files: no other outcome, and never a bit that is neither 0 nor 1."""
    data = pickle.dumps({"objectnet": {"resnet18": frame(3, 0)}}, protocol=4)
    rng = np.random.default_rng(0)
    path = tmp_path / "c.pkl"
    for _ in range(400):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), 3):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            matrix = read_authors_pickle(path)
        except ResultError:
            continue
        assert matrix.correct("resnet18").shape == (3, 324)


def test_large_files_are_not_read(tmp_path, monkeypatch):
    """By their size, before they are opened; a file that is not there."""
    monkeypatch.setattr(authors_pickle, "MAX_BYTES", 10)
    (tmp_path / "c.pkl").write_bytes(b"x" * 11)
    with pytest.raises(ResultError, match="has 11 bytes: expected at most 10"):
        read_authors_pickle(tmp_path / "c.pkl")
    with pytest.raises(ResultError, match="cannot read"):
        read_authors_pickle(tmp_path / "none.pkl")


def test_names_are_those_of_the_published_figures():
    """Every set and model of the authors has its row in the paper's tables."""
    from imagenet_hard.base.types import ModelSpec
    from imagenet_hard.study.tables import published

    for backend, name, tag in MODELS.values():
        spec = ModelSpec(backend=backend, name=name, tag=tag, transform={})
        assert all(published(spec, mine) for mine in SETS.values())
