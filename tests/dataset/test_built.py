"""Built data sets in a folder, as ``datasets`` reads them, and never stale."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from imagenet_hard.base.errors import DatasetError, ImageError, UsageError
from imagenet_hard.dataset import load_dataset
from imagenet_hard.dataset.decode import decode
from imagenet_hard.imagenet.classes import wnids
from tests.dataset.images import CARD, WNIDS, build, class_tree, encoded, jpeg, picture, published, rows

datasets = pytest.importorskip("datasets")
WNIDS12 = wnids()[:12]


@pytest.fixture(autouse=True)
def _private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of datasets' own, without its progress bars."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()


@pytest.fixture(params=[False, True], ids=["stored", "streamed"])
def streaming(request: pytest.FixtureRequest) -> bool:
    """Both ways of reading."""
    return bool(request.param)


def test_bytes_in_are_bytes_out(tmp_path: Path, streaming: bool) -> None:
    """Ids are row numbers, labels sorted tuples, images the very files."""
    benchmark = load_dataset(build(tmp_path / "imagenet-hard", published()), streaming=streaming)
    examples = list(benchmark)
    assert [e.id for e in examples] == ["0", "1", "2", "3", "4", "5"]
    assert [e.labels for e in examples] == [(0,), (1, 11), (2,), (3, 13), (4,), (5, 15)]
    assert [e.origin for e in examples] == ["imagenet", "imagenet_sketch"] * 3
    assert [e.image for e in examples] == [jpeg(i) for i in range(6)]
    assert (benchmark.name, benchmark.source, benchmark.split) == ("imagenet-hard", "folder", "validation")
    assert len(benchmark) == 6


def test_folder_parquet_and_stream_have_one_fingerprint(tmp_path: Path, shared: Path) -> None:
    """The same images and labels score alike wherever they are read from."""
    sketches = load_dataset(shared / "data" / "sketch-crops")
    columns: dict[str, list[Any]] = {
        "id": list(sketches.ids),
        "image": [{"bytes": e.image, "path": "x.png"} for e in sketches],
        "label": [list(labels) for labels in sketches.labels],
    }
    dataset = published(columns, id=datasets.Value("string")).shuffle(seed=1)
    folder = build(tmp_path / "built", dataset)
    assert load_dataset(folder).fingerprint() == sketches.fingerprint()
    assert load_dataset(folder, streaming=True).fingerprint() == sketches.fingerprint()


def test_images_are_not_rotated_by_datasets(tmp_path: Path, streaming: bool) -> None:
    """``datasets.Image`` would turn by EXIF; here only our policy decides."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(picture(), "JPEG", exif=exif)
    dataset = published({"image": [{"bytes": data, "path": None}], "label": [[1]]})
    example = next(iter(load_dataset(build(tmp_path, dataset), streaming=streaming)))
    assert example.image == data
    assert decode(example.image).size == (24, 16)
    assert decode(example.image, exif=True).size == (16, 24)


def test_rewritten_parquet_is_never_served_stale(tmp_path: Path) -> None:
    """Same folder, same YAML, same size and mtime, other rows: plain ``datasets`` would give the old ones."""
    folder = build(tmp_path / "set", published())
    before = load_dataset(folder)
    file = next(folder.rglob("*.parquet"))
    stat = file.stat()
    changed = rows()
    changed["label"][0], changed["label"][2] = [2], [0]
    build(folder, published(changed))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert file.stat().st_size == stat.st_size
    after = load_dataset(folder)
    assert (before.labels[0], after.labels[0]) == ((0,), (2,))
    assert before.identity() != after.identity()


def test_two_folders_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    """Another folder with the same name and YAML has rows of its own."""
    one = load_dataset(build(tmp_path / "a" / "set", published()))
    two = load_dataset(build(tmp_path / "b" / "set", published(rows(3))))
    assert (len(one), len(two)) == (6, 3)


def test_the_second_load_converts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unchanged files are served from the cache, and the identity is the same."""
    folder = build(tmp_path / "set", published())
    first = load_dataset(folder)
    monkeypatch.setattr(
        datasets.DatasetBuilder, "_download_and_prepare", lambda *a, **k: pytest.fail("again")
    )
    assert load_dataset(folder).identity() == first.identity()


@pytest.mark.parametrize("ids", [[5, 3, 1, 0, 2, 4], list("fedcba")])
def test_ids_are_strings(tmp_path: Path, streaming: bool, ids: list[Any]) -> None:
    """-4K has integer ids; they become strings."""
    dataset = published({"id": ids, **rows()}, id=datasets.Value("int64" if ids[0] == 5 else "string"))
    assert [e.id for e in load_dataset(build(tmp_path, dataset), streaming=streaming)] == [
        str(id) for id in ids
    ]


def test_one_label_per_image_may_be_an_integer(tmp_path: Path, streaming: bool) -> None:
    """ImageNet itself has no lists."""
    columns = {"image": rows(2)["image"], "label": [3, 4]}
    dataset = published(columns, label=datasets.Value("int64"))
    assert [e.labels for e in load_dataset(build(tmp_path, dataset), streaming=streaming)] == [(3,), (4,)]


def test_class_labels_named_by_wnid_are_mapped(tmp_path: Path, streaming: bool) -> None:
    """An image folder of three wnids numbers them 0, 1, 2; the wnid is what counts."""
    feature = datasets.ClassLabel(names=["n13133613", "n01440764", "n01484850"])
    dataset = published({"image": rows(3)["image"], "label": [0, 1, 2]}, label=feature)
    assert [e.labels for e in load_dataset(build(tmp_path, dataset), streaming=streaming)] == [
        (998,),
        (0,),
        (2,),
    ]


@pytest.mark.parametrize("names", [["cat", "dog"], [*WNIDS, "n99999999"]])
def test_classes_of_another_data_set_are_refused(tmp_path: Path, streaming: bool, names: list[str]) -> None:
    """CIFAR's class 3 is not ImageNet's."""
    dataset = published({"image": rows(2)["image"], "label": [0, 1]}, label=datasets.ClassLabel(names=names))
    with pytest.raises(
        DatasetError, match=r"class names that are not understood: ('cat', 'dog'|'n99999999')"
    ):
        list(load_dataset(build(tmp_path, dataset), streaming=streaming))


@pytest.mark.parametrize("in_a_list", [False, True])
def test_a_thousand_class_names_in_an_order_of_their_own(
    tmp_path: Path, streaming: bool, in_a_list: bool
) -> None:
    """ImageNet-V2's folders packed by ``datasets``: "10" comes before "2", and the names decide."""
    names = sorted(map(str, range(1000)))
    numbers = [2, 500, 999]
    feature = datasets.ClassLabel(names=names)
    columns = {"image": rows(3)["image"], "label": [[k] for k in numbers] if in_a_list else numbers}
    dataset = published(columns, label=datasets.List(feature) if in_a_list else feature)
    found = [e.labels for e in load_dataset(build(tmp_path, dataset), streaming=streaming)]
    assert found == [(int(names[k]),) for k in numbers]
    assert found[0] == (10,)


def test_multi_hot_rows_are_no_class_lists(tmp_path: Path, streaming: bool) -> None:
    """One bit for each of the 1000 classes."""
    hot = [[int(k in (i, 500 + i)) for k in range(1000)] for i in range(3)]
    folder = build(tmp_path / "a", published({"image": rows(3)["image"], "label": hot}))
    assert [e.labels for e in load_dataset(folder, streaming=streaming)] == [(0, 500), (1, 501), (2, 502)]
    folder = build(tmp_path / "b", published({"image": rows(3)["image"], "label": [h[:200] for h in hot]}))
    with pytest.raises(DatasetError, match=r"row 0 of .* of 200 values: class numbers do not repeat"):
        list(load_dataset(folder, streaming=streaming))


@pytest.mark.parametrize(
    "label", [["n01751748", "n01440764"], ["65", "0"], [65.0, 0.0], ["sea snake", "tench"]]
)
def test_plain_parquet_with_labels_of_any_kind(tmp_path: Path, streaming: bool, label: list[Any]) -> None:
    """Written by pandas or pyarrow, without a word of ``datasets`` in it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"image": rows(2)["image"], "label": label}), tmp_path / "validation.parquet")
    assert [e.labels for e in load_dataset(tmp_path, streaming=streaming)] == [(65,), (0,)]


@pytest.mark.parametrize(("first", "warned"), [(0, True), (1, True), (2, False)])
def test_numbers_that_may_be_a_subsets_own_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, first: int, warned: bool
) -> None:
    """They may be right, and may be another numbering."""
    columns = {"image": rows(12)["image"], "label": list(range(first, first + 12))}
    load_dataset(build(tmp_path, published(columns, label=datasets.Value("int64"))))
    assert (f"has the labels {first} to {first + 11} and no others" in caplog.text) == warned


@pytest.mark.parametrize(
    ("kind", "stored", "warned"),
    [
        ("string", str, True),
        ("float32", float, True),
        ("string", WNIDS12.__getitem__, False),
        (None, lambda i: [i], True),
        (None, lambda i: [WNIDS12[i]], False),
    ],
)
def test_numbers_are_told_from_wnids(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str | None, stored: Any, warned: bool
) -> None:
    """Digits and floats may be a subset's own as well; the first twelve wnids are what they are."""
    label = [stored(i) for i in range(12)]
    like = datasets.Value(kind) if kind else datasets.List(datasets.Value(str(pyarrow.array(label[0]).type)))
    columns = {"image": rows(12)["image"], "label": label}
    found = load_dataset(build(tmp_path, published(columns, label=like)))
    assert found.labels == tuple((i,) for i in range(12))
    assert ("has the labels 0 to 11 and no others" in caplog.text) == warned


def test_rows_are_read_by_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids are counted through."""
    monkeypatch.setattr("imagenet_hard.dataset.rows.BATCH", 4)
    found = load_dataset(build(tmp_path, published()))
    assert found.ids == ("0", "1", "2", "3", "4", "5")
    assert found.labels == ((0,), (1, 11), (2,), (3, 13), (4,), (5, 15))
    assert found.origins == ("imagenet", "imagenet_sketch") * 3


def test_columns_under_other_names(tmp_path: Path, streaming: bool) -> None:
    """The only column of images and the only one of class labels, as most sets of the Hub have them."""
    columns = {"img": rows(2)["image"], "fine": [1, 0], "note": ["a", "b"]}
    features = {"img": datasets.Image(), "fine": datasets.ClassLabel(names=["goldfish", "tench"])}
    dataset = published(columns, **features, note=datasets.Value("string"))
    found = list(load_dataset(build(tmp_path, dataset), streaming=streaming))
    assert [(e.labels, e.image) for e in found] == [((0,), jpeg(0)), ((1,), jpeg(1))]


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ([[0], [1000]], r"row 1 of .* \(validation\) has the label 1000"),
        ([[0], [-5]], r"row 1 of .* has the label -5"),
        ([[0], []], r"row 1 of .* has no labels"),
        ([[-1], [-1]], r"row 0 of .* has no labels: got \[-1\]"),
        ([[0], None], r"row 1 of .* has no labels"),
    ],
)
def test_bad_labels_name_the_row(tmp_path: Path, streaming: bool, label: list[Any], message: str) -> None:
    """Before anything is scored, or when the row arrives."""
    dataset = published({"image": rows(2)["image"], "label": label})
    with pytest.raises(DatasetError, match=message):
        list(load_dataset(build(tmp_path, dataset), streaming=streaming))


def test_a_repeated_or_missing_id_is_refused(tmp_path: Path, streaming: bool) -> None:
    """Results are keyed by id."""
    columns = {"id": ["a", "b", "a"], **rows(3)}
    folder = build(tmp_path / "a", published(columns, id=datasets.Value("string")))
    with pytest.raises(DatasetError, match=r"has the id 'a' twice: ids must be unique"):
        list(load_dataset(folder, streaming=streaming))
    columns["id"] = ["a", None, "c"]
    folder = build(tmp_path / "b", published(columns, id=datasets.Value("string")))
    with pytest.raises(DatasetError, match=r"row 1 of .* has no id"):
        list(load_dataset(folder, streaming=streaming))


def test_an_empty_data_set_is_refused(tmp_path: Path, streaming: bool) -> None:
    """No rows, no score."""
    with pytest.raises(DatasetError, match=r"is empty: got 0 rows, expected at least one"):
        list(load_dataset(build(tmp_path, published(rows(0))), streaming=streaming))


def test_a_row_without_an_image_spoils_only_itself(tmp_path: Path, streaming: bool) -> None:
    """The task raises an ImageError with the id; the next row is read."""
    columns = rows(3)
    columns["image"][1] = None
    good, bad, fine = load_dataset(build(tmp_path, published(columns)), streaming=streaming).tasks()
    assert good().image == jpeg(0)
    with pytest.raises(ImageError, match="image '1' is missing"):
        bad()
    assert fine().image == jpeg(2)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["label"], r"has no column 'image': got the columns label, expected image and label"),
        (["image"], r"has no column 'label', and without labels it cannot be scored: got the columns image"),
    ],
)
def test_a_missing_column_is_named(tmp_path: Path, streaming: bool, columns: list[str], message: str) -> None:
    """The message lists the columns there are."""
    dataset = published({name: rows(2)[name] for name in columns})
    with pytest.raises(DatasetError, match=message):
        list(load_dataset(build(tmp_path, dataset), streaming=streaming))


def test_splits(tmp_path: Path) -> None:
    """validation, else the only one, else an error that lists them."""
    folder = build(tmp_path / "a", published(rows(2)), card=None)
    assert load_dataset(folder).split == "validation"
    build(folder, published(rows(3)), split="test", card=None)
    assert (load_dataset(folder).split, len(load_dataset(folder, split="test"))) == ("validation", 3)
    with pytest.raises(UsageError, match="a has no split 'train': expected one of validation, test"):
        load_dataset(folder, split="train")
    (folder / "data" / "validation-00000-of-00001.parquet").unlink()
    assert load_dataset(folder).split == "test"
    build(folder, published(rows(3)), split="train", card=None)
    with pytest.raises(
        DatasetError, match=r"has the splits train, test, none of them 'validation': choose one"
    ):
        load_dataset(folder)


def test_class_folders_beside_parquet_are_refused(tmp_path: Path) -> None:
    """Either may be meant, so neither is read; pictures for the README do no harm."""
    folder = build(tmp_path / "set", published(rows(2)))
    (folder / "docs" / "1").mkdir(parents=True)
    (folder / "docs" / "1" / "figure.png").write_bytes(encoded(picture()))
    assert len(load_dataset(folder)) == 2
    for below in ("", "train"):
        class_tree(folder / below, WNIDS[:1])
        with pytest.raises(
            DatasetError,
            match=rf"a built data set \(data/.*\) and class folders \({below}/?n01440764/0\.JPEG\): which",
        ):
            load_dataset(folder)
        shutil.rmtree(folder / below / WNIDS[0])


def test_parquet_without_images_is_no_data_set(tmp_path: Path) -> None:
    """A stray metadata.parquet hides no class folders; alone it is read, and its column is missed."""
    table = pyarrow.table({"file_name": ["a.jpg"], "label": [0]})
    pyarrow.parquet.write_table(table, tmp_path / "metadata.parquet")
    with pytest.raises(DatasetError, match="has no column 'image'"):
        load_dataset(tmp_path)
    assert len(load_dataset(class_tree(tmp_path))) == 6


def test_a_parquet_file_at_the_root_is_a_data_set(tmp_path: Path) -> None:
    """A folder with nothing but one file."""
    (build(tmp_path, published(rows(2)), card=None) / "data" / "validation-00000-of-00001.parquet").rename(
        tmp_path / "rows.parquet"
    )
    assert load_dataset(tmp_path).split == "train"  # what datasets calls files without a split's name


def test_a_missing_shard_is_named(tmp_path: Path, streaming: bool) -> None:
    """Half of a data set is another data set; what is missing of another split is not asked for."""
    folder = build(tmp_path / "set", published(), card=None)
    whole = folder / "data" / "validation-00000-of-00001.parquet"
    whole.rename(folder / "data" / "validation-00000-of-00002.parquet")
    with pytest.raises(
        DatasetError, match=r"set \(validation\) is incomplete: 1 of 2 .* validation-00001-of-00002\.parquet"
    ):
        load_dataset(folder, streaming=streaming)
    build(folder, published(rows(2)), split="test", card=None)
    assert len(list(load_dataset(folder, split="test", streaming=streaming))) == 2


@pytest.mark.parametrize("place", [WNIDS[0], f"train/{WNIDS[0]}", "7"])
def test_class_folders_beside_a_built_data_set(tmp_path: Path, place: str) -> None:
    """One of the two would be left out without a word."""
    folder = build(tmp_path / "set", published())
    (folder / place).mkdir(parents=True)
    (folder / place / "a.JPEG").write_bytes(jpeg())
    with pytest.raises(DatasetError, match=rf"\(data/validation-.*parquet\) and class folders \({place}/a"):
        load_dataset(folder)
    (folder / place / "a.JPEG").rename(folder / "figure.jpg")  # an image of the card is none of the data
    assert len(load_dataset(folder)) == 6


@pytest.mark.parametrize(
    ("other", "kind"), [(f"{WNIDS[0]}_tench.JPEG", "images named by wnid"), ("0.tar", "webdataset shards")]
)
def test_another_set_beside_a_built_data_set(tmp_path: Path, other: str, kind: str) -> None:
    """Images that say their own class, or shards: either may be meant."""
    folder = build(tmp_path / "set", published())
    (folder / other).write_bytes(jpeg())
    with pytest.raises(DatasetError, match=rf"a built data set \(data/.*\) and {kind} \({other}\): which"):
        load_dataset(folder)


def test_a_table_without_images_is_no_data_set(tmp_path: Path) -> None:
    """``metadata.parquet`` beside class folders says something of the images there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    class_tree(tmp_path)
    pq.write_table(pa.table({"file_name": ["a"], "width": [3]}), tmp_path / "metadata.parquet")
    assert load_dataset(tmp_path).labels == ((0,), (0,), (1,), (1,), (2,), (2,))


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: next(f.rglob("*.parquet")).write_bytes(b"PAR1 no"),
        lambda f: next(f.rglob("*.parquet")).write_bytes(next(f.rglob("*.parquet")).read_bytes()[:-100]),
        lambda f: (f / "README.md").write_text("---\nconfigs: [\n---\n"),
        lambda f: (f / "README.md").write_text(CARD.replace("data/validation-*", "data/none-*")),
        lambda f: (f / f"{f.name}.py").write_text(""),
        lambda f: (f / "README.md").write_text(
            CARD.replace(
                "configs:",
                "dataset_info:\n  features:\n  - name: image\n    dtype: image\n"
                "  - name: label\n    list: int64\n"
                "  - name: origin\n    dtype: string\n  - name: english_label\n    list: string\n"
                "  splits:\n  - name: validation\n    num_bytes: 1\n    num_examples: 9\nconfigs:",
            )
        ),
    ],
    ids=["no parquet", "truncated", "bad yaml", "no such files", "script", "wrong number"],
)
def test_a_damaged_data_set_says_what_datasets_said(tmp_path: Path, damage: Any) -> None:
    """The folder is named, and the first cause."""
    folder = build(tmp_path / "set", published())
    damage(folder)
    with pytest.raises(
        DatasetError, match=r"(?s)the built data set .*set cannot be read: \w+: .*Expected Parquet"
    ):
        load_dataset(folder)


def test_plain_datasets_reads_the_same_folder_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``load_dataset("imagenet-hard")`` works in both libraries, and a local folder wins in both."""
    build(tmp_path / "imagenet-hard", published())
    monkeypatch.chdir(tmp_path)
    plain = datasets.load_dataset("imagenet-hard", split="validation")
    ours = load_dataset("imagenet-hard")
    assert [tuple(sorted(labels)) for labels in plain["label"]] == list(ours.labels)
    raw = plain.cast_column("image", datasets.Image(decode=False))
    assert [row["image"]["bytes"] for row in raw] == [e.image for e in ours]
    assert ours.source == "folder"


def test_a_checkout_points_at_its_build_output(tmp_path: Path) -> None:
    """A ``.huggingface.yaml`` at the root names the Parquet files, wherever they lie; rewriting it counts."""
    folder = build(tmp_path / "imagenet-hard" / "out" / "set", published(rows(2)), card=None).parents[1]
    (folder / "pyproject.toml").touch()
    yaml = CARD.strip("-# \n").split("---")[0].replace("data/", "out/set/data/")
    (folder / ".huggingface.yaml").write_text(yaml)
    before = load_dataset(folder)
    assert (len(before), before.split) == (2, "validation")
    assert len(datasets.load_dataset(str(folder), split="validation")) == 2
    (folder / ".huggingface.yaml").write_text(yaml.replace("split: validation", "split: test"))
    assert load_dataset(folder).split == "test"


def test_many_threads_read_the_same_bytes(tmp_path: Path) -> None:
    """The engine's workers share one benchmark."""
    tasks = list(load_dataset(build(tmp_path, published())).tasks()) * 20
    with ThreadPoolExecutor(8) as pool:
        examples = list(pool.map(lambda task: task(), tasks))
    assert all(e.image == jpeg(int(e.id)) for e in examples)


def test_a_stored_benchmark_can_be_sent_to_another_process(tmp_path: Path) -> None:
    """It pickles without its images."""
    benchmark = load_dataset(build(tmp_path, published())).take(3)
    assert list(pickle.loads(pickle.dumps(benchmark))) == list(benchmark)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A full disk or a read-only cache is not taken for a damaged data set."""
    folder = build(tmp_path / "set", published())

    def refuse(*_: Any, **__: Any) -> None:
        try:
            raise OSError(number, os.strerror(number), "/cache/x.arrow")
        except OSError as error:
            raise datasets.exceptions.DatasetGenerationError("An error occurred") from error

    monkeypatch.setattr(datasets.DatasetBuilder, "_download_and_prepare", refuse)
    with pytest.raises(
        DatasetError, match=rf"cannot be read or cached: {os.strerror(number)} \(/cache.*with HF_HOME"
    ):
        load_dataset(folder)


def test_arguments_of_other_sources_are_refused(tmp_path: Path) -> None:
    """A built folder has labels of its own and no revision."""
    folder = build(tmp_path / "set", published())
    with pytest.raises(UsageError, match=r"labels='x' does not go with .*: it is for a folder of images"):
        load_dataset(folder, labels="x")
    with pytest.raises(
        UsageError, match=r"revision='v1' does not go with .*: it is for a data set on the Hub"
    ):
        load_dataset(folder, revision="v1")


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
        DatasetError, match=r"saved is incomplete: 1 of 3 files is missing, data-00001-of-00003"
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
