"""Files of weights: one or several, read without running code, and files that are none."""

from __future__ import annotations

import collections
import datetime
import json
import os
import pathlib
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from imagenet_hard.base.errors import WeightsError
from imagenet_hard.classifiers.weights_file import allowed, find, is_file_name, read

STATE = {"stem.weight": torch.arange(6.0).reshape(2, 3), "head.weight": torch.ones(1000, 2)}


def test_safetensors_with_and_without_the_suffix(tmp_path: Path) -> None:
    """A safetensors file is known by its content."""
    for name in ("weights.safetensors", "weights.bin"):
        save_file(dict(STATE), tmp_path / name)
        assert read(tmp_path / name).keys() == STATE.keys()


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_code_is_refused_and_not_run(zipped: bool, tmp_path: Path) -> None:
    """The code in the file does not run, in the new and in the old format."""
    path, mark = tmp_path / "evil.pth", tmp_path / "ran"
    torch.save({"model": STATE, "x": Evil(mark)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        WeightsError, match=r"evil.pth was refused: its pickle asks to run code \(\w+\.mkdir\)"
    ):
        read(path)
    assert not mark.exists()


def test_a_plain_pickle_and_a_whole_module_are_refused(tmp_path: Path) -> None:
    """A bare pickle with code, and a pickled module, say to save the state dict alone."""
    (tmp_path / "bare.pkl").write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
    for name in ("bare.pkl", "module.pt"):
        with pytest.raises(WeightsError, match=r"refused: it.*torch.save\(model.state_dict\(\), FILE\)"):
            read(tmp_path / name)
    assert not (tmp_path / "ran").exists()


BESIDE: dict[str, Any] = {
    "folder": pathlib.Path("runs/7"),
    "windows": pathlib.PureWindowsPath("C:/runs"),
    "history": collections.defaultdict(list, {"loss": [0.5, 0.25]}),
    "nested": collections.defaultdict(dict),
    "recent": collections.deque([1, 2, 3], maxlen=5),
    "seen": frozenset([3]),
    "when": datetime.datetime(2026, 1, 31, 12),
    "numpy generator": np.random.get_state(),
    "python generator": random.getstate(),
    "confusion": np.arange(6).reshape(2, 3),
    "by columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "big-endian": np.arange(3, dtype=">f4"),
    "classes": np.array(["cat", "dog"]),
    "objects": np.array([{}, None], dtype=object),
    "best": np.float64(81.5),
    "flag": np.bool_(True),
}


@pytest.mark.parametrize("core", ["numpy._core", "numpy.core"])
@pytest.mark.parametrize("paths", ["pathlib", "pathlib._local"])
def test_what_scripts_keep_beside_the_weights_is_read(core: str, paths: str, tmp_path: Path) -> None:
    """By the names of old and new versions of numpy and Python; numbers keep their values and order."""
    import zipfile

    torch.save({"model": STATE, **BESIDE}, tmp_path / "now.pth")
    with zipfile.ZipFile(tmp_path / "now.pth") as now, zipfile.ZipFile(tmp_path / "w.pth", "w") as other:
        for name in now.namelist():
            data = now.read(name)
            if name.endswith("data.pkl"):
                data = data.replace(b"cnumpy._core.", f"c{core}.".encode())
                data = data.replace(b"cpathlib\n", f"c{paths}\n".encode())
            other.writestr(name, data)
    found = read(tmp_path / "w.pth")
    assert torch.equal(found["model"]["stem.weight"], STATE["stem.weight"])
    assert found["history"] == {"loss": [0.5, 0.25]}
    assert (str(found["folder"]), str(found["windows"])) == ("runs/7", "C:\\runs")
    assert (found["recent"], found["seen"], found["when"]) == ([1, 2, 3], {3}, BESIDE["when"])
    assert (found["best"], found["flag"]) == (81.5, True)
    for name in ("confusion", "by columns", "big-endian"):
        np.testing.assert_array_equal(found[name].values, BESIDE[name])
    assert found["classes"].values is None
    assert found["objects"].values is None


class Calls:
    """Pickled as a call of ``function`` with ``arguments``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def test_no_name_beside_the_allowed_ones_is_called(tmp_path: Path) -> None:
    """Whatever is wrapped in what: a call inside a container, a factory, a method of an allowed class."""
    mark = tmp_path / "ran"
    attacks = [
        collections.defaultdict(os.getcwd),
        collections.defaultdict(list, {0: Calls(os.mkdir, str(mark))}),
        Calls(getattr, "x", "upper"),
        Calls(eval, f"__import__('os').mkdir({str(mark)!r})"),
        Calls(exec, f"open({str(mark)!r}, 'w')"),
        Calls(open, str(mark), "w"),
        Calls(pathlib.Path.touch, pathlib.Path(mark)),
        Calls(np.memmap, str(mark), np.uint8, "w+", 0, (1,)),
        Calls(np.save, str(mark), np.zeros(1)),
        Calls(torch.load, str(mark)),
        Calls(map, os.mkdir, [str(mark)]),
    ]
    for number, attack in enumerate(attacks):
        torch.save({"model": STATE, "x": attack}, tmp_path / f"{number}.pth")
        with pytest.raises(WeightsError, match=r"was refused: its pickle asks to run code"):
            read(tmp_path / f"{number}.pth")
    assert not list(tmp_path.glob("ran*"))


def test_a_strangers_dtype_is_not_believed(tmp_path: Path) -> None:
    """numpy would take raw bytes for pointers if a pickle says so of a type of objects."""

    class Lies:
        def __reduce__(self) -> Any:
            array = np.zeros(1, dtype=np.int64)
            function, arguments, _ = array.__reduce__()  # type: ignore[misc]
            return function, arguments, (1, (1,), Objects(), False, b"A" * 8)

    class Objects:
        def __reduce__(self) -> Any:
            return np.dtype, ("O8", False, True), (3, "|", None, None, None, -1, -1, 0)

    torch.save({"model": STATE, "x": Lies()}, tmp_path / "w.pth")
    assert read(tmp_path / "w.pth")["x"].values is None


def test_nothing_that_is_allowed_has_an_effect() -> None:
    """The whole list by name: one more is a decision."""
    names = {name.rpartition(".")[2] for _, name in allowed()}
    assert names == {
        "Namespace", "defaultdict", "deque", "frozenset", "dtype", "ndarray", "_reconstruct", "scalar",
        "list", "dict", "tuple", "int", "float", "str", "bool", "datetime", "date", "time", "timedelta",
        "timezone", "Path", "PurePath", "PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath",
    }  # fmt: skip
    assert not any(issubclass(built, pathlib.Path) for built, _ in allowed() if isinstance(built, type))


def test_a_newer_pickle_protocol_is_named(tmp_path: Path) -> None:
    """PyTorch's safe reader knows protocol 2 alone."""
    torch.save(STATE, tmp_path / "w.pth", pickle_protocol=4)
    with pytest.raises(WeightsError, match="newer pickle protocol.*save the weights alone without"):
        read(tmp_path / "w.pth")


def shards(folder: Path, kind: str = "safetensors", **other: str) -> Path:
    """STATE in two files with an index, whose map ``other`` changes."""
    files = {key: f"model-{i:05d}-of-00002.{kind}" for i, key in enumerate(STATE, 1)}
    for key, name in files.items():
        if kind == "safetensors":
            save_file({key: STATE[key]}, folder / name)
        else:
            torch.save({key: STATE[key]}, folder / name)
    index = folder / f"model.{kind}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": {**files, **other}}))
    return index


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_shards_are_read_through_their_index(kind: str, tmp_path: Path) -> None:
    """By the index, or by the folder that it is in; a shard alone says what to pass."""
    index = shards(tmp_path, kind)
    assert is_file_name(str(index))
    for name in (index, tmp_path):
        file, entry = find(name)
        assert (file, entry) == (index, None)
        found = read(file)
        assert found.keys() == STATE.keys()
        assert all(torch.equal(found[key], STATE[key]) for key in STATE)
    assert find(f"{tmp_path}#model") == (index, "model")
    with pytest.raises(WeightsError, match=r"is file 1 of 2: pass the index .*index\.json"):
        find(tmp_path / f"model-00001-of-00002.{kind}")


def test_an_index_of_safetensors_comes_before_others(tmp_path: Path) -> None:
    """A repository may hold both, and TensorFlow's."""
    shards(tmp_path, "bin")
    (tmp_path / "tf_model.h5.index.json").write_text("{}")
    index = shards(tmp_path)
    assert find(tmp_path) == (index, None)


@pytest.mark.parametrize(
    "place",
    [
        "../outside.safetensors",
        "/etc/passwd",
        "a/b.safetensors",
        "..\\x.bin",
        "C:x.bin",
        "",
        "x.index.json",
        3,
        None,
    ],
)
def test_an_index_names_files_beside_it_and_no_others(place: Any, tmp_path: Path) -> None:
    """A stranger's index reaches no other folder."""
    save_file(STATE, tmp_path / "outside.safetensors")
    (tmp_path / "in").mkdir()
    index = shards(tmp_path / "in", **{"stem.weight": place})
    with pytest.raises(WeightsError, match="expected the plain name of a .safetensors or .bin file"):
        read(index)


def test_what_is_wrong_with_shards_is_named(tmp_path: Path) -> None:
    """A missing file, a tensor that is not where the index says, and an index that is none."""
    index = shards(tmp_path, **{"stem.weight": "model-00002-of-00002.safetensors"})
    with pytest.raises(WeightsError, match="does not hold the tensors that .* says \\('stem.weight' is"):
        read(index)
    index = shards(tmp_path)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(WeightsError, match="names 2 files, and 1 of them are not in the folder: model-00002"):
        read(index)
    for content in ("", "[]", "{}", '{"weight_map": 3}', "[" * 100_000, "\xff"):
        index.write_text(content, encoding="latin1")
        with pytest.raises(WeightsError, match="is not an index of weights files: expected JSON"):
            read(index)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: its download or copy did not finish"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n", "is a Git LFS pointer"),
        (b"<!DOCTYPE html><html>Sign in</html>", "is a web page"),
        (b"hello, these are no weights at all", "is not a checkpoint"),
        (b"\x93NUMPY\x01\x00" + b"\x00" * 90, "is not a checkpoint"),
    ],
)
def test_what_is_no_checkpoint_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    """The message says what the file is."""
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        read(tmp_path / "w.pth")


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_truncated_file_is_named(suffix: str, tmp_path: Path) -> None:
    """Half a download is said to be cut short."""
    path = tmp_path / f"w.{suffix}"
    if suffix == "pth":
        torch.save(STATE, path)
    else:
        save_file(dict(STATE), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(WeightsError, match="or it is cut short"):
        read(path)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    """The message has the path, and the folder that a relative one is in."""
    with pytest.raises(WeightsError, match=r"no such weights file: nowhere.pth \(in the folder "):
        find("nowhere.pth")
    (tmp_path / "best.pth").write_bytes(b"x")
    with pytest.raises(WeightsError, match=r"is a folder: pass the weights file inside it \(best.pth\)"):
        find(tmp_path)
    with pytest.raises(WeightsError, match=r"did you mean .*best\.pth\?"):
        find(tmp_path / "bset.pth")


def test_file_names_are_told_from_tags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tag is a word; a path, a known suffix or an existing file is a file."""
    monkeypatch.chdir(tmp_path)
    assert not is_file_name("a1_in1k")
    assert not is_file_name("DEFAULT")
    assert all(map(is_file_name, ("./best", "x/best", "best.pth.tar", "best.ckpt#model", r"C:\best")))
    Path("best").write_bytes(b"x")
    assert is_file_name("best")
