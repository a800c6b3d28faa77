"""Folders of ``save_to_disk``: the same rows as from anywhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagenet_hard.base.errors import DatasetError, UsageError
from imagenet_hard.dataset import load_dataset
from tests.dataset.images import build, published, rows

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()


def test_a_saved_data_set_is_its_built_twin(tmp_path: Path) -> None:
    """Bytes, labels and ids, hence the fingerprint."""
    published().save_to_disk(tmp_path / "saved", num_shards=3)
    saved = load_dataset(tmp_path / "saved")
    assert saved.fingerprint() == load_dataset(build(tmp_path / "built", published())).fingerprint()
    assert (saved.name, saved.source, saved.split, len(saved)) == ("saved", "folder", None, 6)
    assert list(load_dataset(tmp_path / "saved", streaming=True)) == list(saved)


def test_a_subset_is_saved_as_what_it_shows(tmp_path: Path) -> None:
    """``select`` leaves the table as it is and keeps an index beside it."""
    published().select([4, 1]).save_to_disk(tmp_path / "saved")
    assert load_dataset(tmp_path / "saved").labels == ((4,), (1, 11))


def test_class_names_decide_here_too(tmp_path: Path) -> None:
    """A saved set numbers its classes as it likes."""
    feature = datasets.ClassLabel(names=["n13133613", "n01440764"])
    columns = {"image": rows(2)["image"], "label": [0, 1]}
    published(columns, label=feature).save_to_disk(tmp_path / "saved")
    assert load_dataset(tmp_path / "saved").labels == ((998,), (0,))


def test_splits_of_a_saved_dict(tmp_path: Path) -> None:
    """As everywhere: validation, else the one that is named."""
    several = {"train": published(rows(2)), "validation": published(rows(3))}
    datasets.DatasetDict(several).save_to_disk(tmp_path / "saved")
    assert (load_dataset(tmp_path / "saved").split, len(load_dataset(tmp_path / "saved"))) == (
        "validation",
        3,
    )
    assert len(load_dataset(tmp_path / "saved", split="train")) == 2
    with pytest.raises(UsageError, match="saved has no split 'test': expected one of train, validation"):
        load_dataset(tmp_path / "saved", split="test")
    with pytest.raises(UsageError, match="expected one of \\(without a name\\)"):
        load_dataset(tmp_path / "saved" / "train", split="test")


def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    """A part is no data set."""
    published().save_to_disk(tmp_path / "saved", num_shards=3)
    shard = tmp_path / "saved" / "data-00001-of-00003.arrow"
    shard.write_bytes(shard.read_bytes()[:-500])
    with pytest.raises(
        DatasetError, match=r"the saved data set .*saved cannot be read: OSError: .* save it again"
    ):
        load_dataset(tmp_path / "saved")
    shard.unlink()
    with pytest.raises(
        DatasetError, match=r"saved is not whole: 1 of 3 files is missing, data-00001-of-00003"
    ):
        load_dataset(tmp_path / "saved")
    (tmp_path / "saved" / "state.json").write_text("{")
    with pytest.raises(DatasetError, match=r"saved cannot be read: JSONDecodeError: .*save it again"):
        load_dataset(tmp_path / "saved")


def test_labels_of_a_file_do_not_go_with_it(tmp_path: Path) -> None:
    """It has its own."""
    published(rows(2)).save_to_disk(tmp_path / "saved")
    with pytest.raises(UsageError, match="labels='x' does not go with"):
        load_dataset(tmp_path / "saved", labels="x")
