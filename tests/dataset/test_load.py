"""Names: what each one means, and what an unknown one is told."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from imagenet_hard.base.errors import DatasetError, UsageError
from imagenet_hard.dataset import load as load_module
from imagenet_hard.dataset import load_dataset
from imagenet_hard.dataset.decode import decode
from imagenet_hard.dataset.load import load_images
from tests.dataset.images import build, class_tree, encoded, picture, published, rows


def test_sample_is_the_20_images_of_foolbox() -> None:
    """Labels from the file names; every image decodes."""
    pytest.importorskip("foolbox")
    benchmark = load_dataset("sample")
    assert len(benchmark) == 20
    assert (benchmark.name, benchmark.source) == ("sample", "package")
    assert benchmark.ids[0] == "imagenet_00_243.jpg"
    assert benchmark.labels[0] == (243,)
    assert all(
        id.split("_")[2] == f"{labels[0]}.jpg"
        for id, labels in zip(benchmark.ids, benchmark.labels, strict=True)
    )
    assert all(decode(example.image, id=example.id).width > 0 for example in benchmark)


def test_sample_is_found_without_importing_foolbox() -> None:
    """foolbox imports every framework there is."""
    pytest.importorskip("foolbox")
    code = (
        "import sys; from imagenet_hard.dataset import load_dataset; load_dataset('sample').fingerprint();"
        "sys.exit(any(m in sys.modules for m in ('foolbox', 'torch', 'datasets', 'huggingface_hub')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_sample_without_foolbox_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is the command to run."""
    monkeypatch.setattr(load_module, "find_spec", lambda name: None)
    with pytest.raises(DatasetError, match=r'not installed: pip install "imagenet-hard\[demo\]"'):
        load_dataset("sample")


def test_an_incomplete_sample_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another foolbox without the images."""
    monkeypatch.setattr(
        load_module,
        "find_spec",
        lambda name: type("Spec", (), {"submodule_search_locations": [str(tmp_path)]}),
    )
    with pytest.raises(DatasetError, match="got 0 images in the foolbox package, expected 20"):
        load_dataset("sample")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "imagenet-harder",
            r"unknown data set 'imagenet-harder': expected imagenet-hard, .*Did you mean imagenet-hard\?",
        ),
        (
            "Sampel",
            r"unknown data set 'Sampel': .* or a Hub id OWNER/NAME\. Did you mean sample\?",
        ),
        ("/no/such/folder", r"unknown data set '/no/such/folder': expected .* OWNER/NAME\.$"),
        ("./data/val", r"unknown data set '\./data/val'"),
        ("", r"unknown data set ''"),
    ],
)
def test_an_unknown_name_lists_the_choices(name: str, message: str) -> None:
    """With the nearest name, where one is near."""
    with pytest.raises(UsageError, match=message):
        load_dataset(name)


def test_a_file_is_no_data_set(tmp_path: Path) -> None:
    """The folder that holds it is."""
    (tmp_path / "a.parquet").touch()
    with pytest.raises(UsageError, match=r"a\.parquet' is a file: expected the folder that holds it"):
        load_dataset(tmp_path / "a.parquet")


def test_a_local_folder_wins_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As in ``datasets``; a log note tells that the Hub was not asked."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    build(tmp_path / "imagenet-hard", published(rows(2)))
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert load_dataset("imagenet-hard").source == "folder"
    assert (
        "imagenet-hard is read from the local folder imagenet-hard, not from the Hub (taesiri/" in caplog.text
    )


def test_a_checkout_that_hides_the_name_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source checkout named imagenet-hard shadows the name from its parent folder."""
    (tmp_path / "imagenet-hard").mkdir()
    (tmp_path / "imagenet-hard" / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        DatasetError, match=r"This local folder hides the Hub's .* or give its id taesiri/imagenet-hard"
    ):
        load_dataset("imagenet-hard")


def test_a_relative_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name like OWNER/NAME that is a folder here is that folder, named by its last part."""
    class_tree(tmp_path / "data" / "val")
    monkeypatch.chdir(tmp_path)
    assert load_dataset("data/val").name == "val"
    monkeypatch.chdir(tmp_path / "data" / "val")
    assert load_dataset(".").name == "val"


@pytest.mark.parametrize("argument", ["revision", "split", "labels"])
def test_sample_takes_no_options_of_others(argument: str) -> None:
    """An option that would be ignored is refused."""
    with pytest.raises(UsageError, match=f"{argument}='x' does not go with sample"):
        load_dataset("sample", **{argument: "x"})  # type: ignore[arg-type]


def test_no_local_path_in_the_record(tmp_path: Path) -> None:
    """Results are shared: they name the folder, not where it lies."""
    info = load_dataset(class_tree(tmp_path / "mine")).info("ff").model_dump_json()
    assert str(tmp_path) not in info
    assert '"name":"mine"' in info


@pytest.mark.parametrize("name", ["vall", "./vall", "imagenet/vall"])
def test_a_mistyped_path_is_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Also where it has the form of a Hub id."""
    monkeypatch.chdir(tmp_path)
    right = name.replace("vall", "val").removeprefix("./")
    class_tree(Path(right))
    with pytest.raises((UsageError, DatasetError), match=rf"Did you mean {right}\?"):
        load_dataset(name, labels="val.txt")


def test_a_mistyped_label_file_is_recognised(tmp_path: Path) -> None:
    """In the folder of images too."""
    (class_tree(tmp_path) / "val_labels.txt").write_text("a 1")
    with pytest.raises(
        DatasetError, match=r"label file val_label\.txt does not exist, nor in .*Did you mean .*/val_lab"
    ):
        load_dataset(tmp_path, labels="val_label.txt")


def test_what_is_left_out_is_said_once_and_can_be_left_to_the_caller(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The counts are there in any case."""
    root = class_tree(tmp_path / "set", ["n01440764", "n99999999"])
    assert load_dataset(root, quiet=True).counts == {"images_without_label": 2}
    assert not caplog.records
    load_dataset(root)
    assert [record.getMessage() for record in caplog.records] == [
        "set holds 2 labelled images; 2 images have no label"
    ]


def test_images_are_loaded_without_labels(tmp_path: Path) -> None:
    """All of a folder, also of several sets and of none; what is stored as a data set is read as one."""
    class_tree(tmp_path / "train")
    class_tree(tmp_path / "val")
    (tmp_path / "flat.png").write_bytes(encoded(picture()))
    (tmp_path / "labels.txt").write_text("none of them\n")
    images = load_images(tmp_path)
    assert len(images) == 13
    assert images.ids[0] == "flat.png"
    assert set(images.labels) == {()}
    assert images[0].image == encoded(picture())
    assert load_images("sample").labels == load_dataset("sample").labels
    built = load_images(build(tmp_path / "built", published()))
    assert built.labels[1] == (1, 11)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no image in"):
        load_images(tmp_path / "empty")
