"""Building: a folder that ``datasets`` reads, byte for byte the same from the same inputs, never half."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import imagenet_hard
from imagenet_hard.base.errors import DatasetError, ResultError, UsageError
from imagenet_hard.base.records import parse_record
from imagenet_hard.base.types import ModelSpec
from imagenet_hard.curation.build import shards
from imagenet_hard.curation.build.card import cell, distribution_svg
from imagenet_hard.curation.build.manifest import rows_sha256
from imagenet_hard.curation.build.run import build
from imagenet_hard.curation.build.selection import Selected
from imagenet_hard.curation.build.shards import partition
from imagenet_hard.curation.publish import read_build
from imagenet_hard.curation.recipe import Recipe
from imagenet_hard.curation.records import Decision, ScoreSummary, Survivor
from tests.curation.small import Made, sha256
from tests.dataset.images import encoded, picture
from tests.engine.small import jpeg

datasets = pytest.importorskip("datasets")

RECIPE = b"""name: small
version: 1.0.0
sources:
  - {variant: imagenet, path: x, licence: "a | b <i>", url: "https://example.org"}
  - {variant: imagenet-real, path: x, labels: real.json}
classifiers:
  - {model: net0}
output:
  name: imagenet-hard
  title: Small & hard
  shard_bytes: 65536
"""


@pytest.fixture(autouse=True)
def _private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of datasets' own, without its progress bars."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()


class Parts:
    """Everything that a build takes: n images, all of them survivors."""

    def __init__(self, folder: Path, n: int = 12, seed: int = 0) -> None:
        self.path = folder / "recipe.yaml"
        folder.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(RECIPE)
        self.recipe: Recipe = parse_record(Recipe, RECIPE, "recipe")
        ids = [f'imagenet/n{i:02}/a, "b" 🐟{i}.JPEG' for i in range(n)]
        data = [jpeg(seed + i, (300, 200)) for i in range(n)]
        self.made = Made(ids, data, [(i % 1000, 999 - i) for i in range(n)], set(ids))
        real = Made([i.replace("imagenet/", "imagenet-real/") for i in ids], data, [(7,)] * n, set())
        self.sources = [self.made.source(), real.source("imagenet-real")]
        self.sources[1] = replace(self.sources[1], spec=self.recipe.sources[1])
        self.survivors = [
            Survivor(id, "imagenet", labels, sha256(image))
            for id, labels, image in zip(ids, self.made.labels, data, strict=True)
        ]
        spec = ModelSpec(
            backend="timm", name="net0", tag="t", weights_sha256="ab" * 32, parameters=5, transform={}
        )
        self.summary = ScoreSummary(
            self.recipe.scoring_sha256(),
            {"net0": spec},
            {"imagenet": 100, "imagenet-real": 90},
            {"imagenet": 88, "imagenet-real": 90},
            {"imagenet": n, "imagenet-real": 0},
            {"imagenet": 0, "imagenet-real": 0},
            {},
            True,
        )
        self.decisions: dict[str, Decision] = {}

    def build(self, out: Path, **options: object):
        return build(
            self.recipe,
            self.path,
            self.sources,
            self.survivors,
            self.summary,
            self.decisions,
            out,
            **options,
        )


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_datasets_reads_what_was_built(tmp_path, monkeypatch):
    """`load_dataset("imagenet-hard")` from the folder above: the published schema and id, bytes untouched."""
    parts = Parts(tmp_path / "in")
    report = parts.build(tmp_path / "imagenet-hard")
    monkeypatch.chdir(tmp_path)
    found = datasets.load_dataset("imagenet-hard", split="validation")
    assert list(found.features) == ["image", "label", "origin", "english_label", "id"]
    assert isinstance(found.features["image"], datasets.Image)
    assert found.features["label"] == datasets.List(datasets.Value("int64"))
    assert found.num_rows == 12
    rows = found.cast_column("image", datasets.Image(decode=False))
    for row, id, image, labels in zip(rows, parts.made.ids, parts.made.data, parts.made.labels, strict=True):
        assert (row["id"], row["image"]["bytes"], row["label"]) == (id, image, sorted(labels))
        assert row["image"]["path"] == id.rpartition("/")[2]
        assert row["english_label"] == [imagenet_hard.imagenet.classes.names()[c] for c in sorted(labels)]
    assert found[0]["image"].size == (300, 200)
    benchmark = imagenet_hard.load_dataset("imagenet-hard")
    assert benchmark.fingerprint() == report.manifest.fingerprint
    assert benchmark.origins == ("imagenet",) * 12


def test_the_same_inputs_give_the_same_bytes(tmp_path):
    """Every file, whatever the order of the survivors; other labels give other shards."""
    parts = Parts(tmp_path / "in")
    parts.build(tmp_path / "a")
    parts.survivors = parts.survivors[::-1]
    parts.build(tmp_path / "b")
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert sum(name.endswith(".parquet") for name in files(tmp_path / "a")) > 1
    parts.decisions = {parts.made.ids[0]: Decision(parts.made.ids[0], "relabel", labels=(5,))}
    parts.build(tmp_path / "c")
    assert not set(files(tmp_path / "a")) & {n for n in files(tmp_path / "c") if n.endswith(".parquet")}


def test_the_set_is_a_benchmark_of_the_hub(tmp_path):
    """`eval.yaml`: one task of the output's name, on the split that there is; none where it is not wanted."""
    parts = Parts(tmp_path / "in")
    parts.build(tmp_path / "out")
    assert yaml.safe_load((tmp_path / "out/eval.yaml").read_text()) == {
        "name": "Small & hard",
        "description": "Small & hard",
        "evaluation_framework": "imagenet-hard",
        "tasks": [{"id": "imagenet-hard", "config": "default", "split": "validation"}],
    }
    other = parts.recipe.output.model_copy(update={"evaluation_framework": None, "licence_link": "#terms"})
    parts.recipe = parts.recipe.model_copy(update={"output": other})
    with pytest.raises(
        UsageError, match="licence_link of the recipe small is '#terms', which the Hub refuses"
    ):
        parts.build(tmp_path / "out")
    links = {"licence_link": "https://example.org/terms", "homepage": "https://example.org/set?a=<b>"}
    other = other.model_copy(update=links)
    parts.recipe = parts.recipe.model_copy(update={"output": other})
    parts.build(tmp_path / "out")
    assert not (tmp_path / "out/eval.yaml").exists()
    card = (tmp_path / "out/README.md").read_text()
    assert "license_link: https://example.org/terms" in card
    assert "\nHomepage: https://example.org/set?a=&lt;b&gt;\n\n" in card
    assert "Terms of the collection: https://example.org/terms" in (tmp_path / "out/LICENSE.md").read_text()


def test_how_parquet_is_written_is_not_what_the_set_is(tmp_path, monkeypatch):
    """With chunks and an index of pages, and without: other bytes, the same names, images and fingerprint."""
    import pyarrow.parquet as pq

    parts = Parts(tmp_path / "in")
    parts.build(tmp_path / "a")
    with pq.ParquetFile(next(tmp_path.glob("a/data/*.parquet"))) as file:
        columns = [file.metadata.row_group(0).column(i) for i in range(file.metadata.num_columns)]
    assert all(column.has_column_index or column.path_in_schema == "image.bytes" for column in columns)
    assert all(column.has_offset_index for column in columns)
    monkeypatch.setattr(shards, "OPTIMIZED", {})
    parts.build(tmp_path / "b")
    a, b = files(tmp_path / "a"), files(tmp_path / "b")
    assert a.keys() == b.keys()
    assert {name for name in a if a[name] != b[name]} == {
        "manifest.json",
        *(name for name in a if name.endswith(".parquet")),
    }
    assert read_build(tmp_path / "a").fingerprint == read_build(tmp_path / "b").fingerprint


def test_images_with_an_orientation_are_named(tmp_path):
    """In the report and on the card, with what they can move."""
    parts = Parts(tmp_path / "in")
    exif = Image.Exif()
    exif[0x0112] = 6
    for row in (3, 8):
        parts.made.data[row] = encoded(picture(row), "JPEG", exif=exif)
        parts.survivors[row] = replace(parts.survivors[row], image_sha256=sha256(parts.made.data[row]))
    report = parts.build(tmp_path / "out")
    assert report.turned == (parts.made.ids[3], parts.made.ids[8])
    said = f"2 images of 12 with an EXIF orientation: {parts.made.ids[3]}, {parts.made.ids[8]}. Scored"
    card = (tmp_path / "out/README.md").read_text()
    assert said in card
    assert "accuracies of the two can differ by up to 16.67 points.\n" in card


def test_a_rebuilt_set_is_never_served_stale(tmp_path, monkeypatch):
    """One cache of `datasets`: the same folder with other content, and another folder of the same name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()

    def ids() -> list[str]:
        return list(datasets.load_dataset("imagenet-hard", split="validation")["id"])

    parts = Parts(tmp_path / "in")
    parts.build(Path("imagenet-hard"))
    assert ids() == parts.made.ids
    parts.survivors = parts.survivors[:5]
    parts.build(Path("imagenet-hard"))
    assert ids() == parts.made.ids[:5]
    parts.survivors = parts.survivors[2:]
    parts.build(tmp_path / "other/imagenet-hard")
    monkeypatch.chdir(tmp_path / "other")
    assert ids() == parts.made.ids[2:5]


def test_a_checkout_is_not_taken_for_the_data_set(tmp_path, monkeypatch):
    """A checkout called imagenet-hard hides the data set's name; `.huggingface.yaml` makes that an error."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".huggingface.yaml").is_file():
        pytest.skip("no checkout")
    checkout = tmp_path / "imagenet-hard"
    checkout.mkdir()
    shutil.copy(root / ".huggingface.yaml", checkout)
    (checkout / "other.csv").write_text("a,b\n1,2\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(datasets.exceptions.DataFilesNotFoundError):
        datasets.load_dataset("imagenet-hard")
    Parts(tmp_path / "in").build(checkout / "imagenet-hard")
    with pytest.raises(datasets.exceptions.DataFilesNotFoundError):
        datasets.load_dataset("imagenet-hard")
    monkeypatch.chdir(checkout)
    assert datasets.load_dataset("imagenet-hard", split="validation").num_rows == 12


def test_the_manifest_holds_every_file_and_image(tmp_path):
    """Hashes that a changed byte contradicts; one line an image."""
    parts = Parts(tmp_path / "in")
    report = parts.build(tmp_path / "out")
    release = read_build(tmp_path / "out")
    assert release.fingerprint == report.manifest.fingerprint
    assert set(release.files) == set(files(tmp_path / "out"))
    with (tmp_path / "out/images.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == parts.made.ids
    assert [row["sha256"] for row in rows] == [sha256(d) for d in parts.made.data]
    shard = tmp_path / "out" / rows[-1]["shard"]
    assert parts.made.ids[-1] in datasets.Dataset.from_parquet(str(shard))["id"]
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    with pytest.raises(DatasetError, match=r"is not as its manifest says: data/.* has another sha256"):
        read_build(tmp_path / "out")


def test_the_card_says_how_it_was_made(tmp_path):
    """Numbers, recipe, classifiers, licences, biases; texts are inert."""
    parts = Parts(tmp_path / "in")
    parts.decisions = {
        parts.made.ids[1]: Decision(parts.made.ids[1], "drop", "no label fits", reviewers=("a", "b")),
        parts.made.ids[2]: Decision(parts.made.ids[2], "relabel", labels=(5,), reviewers=("a",)),
    }
    parts.sources[0] = replace(parts.sources[0], notes=("7 images have no label | <b>",))
    parts.build(tmp_path / "out")
    text = (tmp_path / "out/README.md").read_text()
    from huggingface_hub import DatasetCard

    card = DatasetCard(text)
    assert card.data.configs[0]["data_files"][0]["path"] == sorted(
        n for n in files(tmp_path / "out") if n.endswith(".parquet")
    )
    assert card.data.dataset_info["splits"][0]["num_examples"] == 11
    assert (card.data.license, card.data.license_name) == ("other", "mixed")
    assert card.data.license_link == "LICENSE.md"
    assert card.data.task_ids == ["multi-label-image-classification"]
    assert card.data.source_datasets == ["ILSVRC/imagenet-1k"]
    assert "EXIF" not in text
    licence = (tmp_path / "out/LICENSE.md").read_text()
    assert "- imagenet: a \\| b &lt;i> (https://example.org)\n- imagenet-real: unknown\n" in licence
    for expected in (
        "# Small &amp; hard",
        "| imagenet | 11 | 100.0 % |",
        "| imagenet | 100 | 88 | 12 | 0 | a \\| b &lt;i> ([source](https://example.org)) |",
        "Dropped by reviewers: 1 (no label fits: 1).",
        "Given other labels by reviewers: 1; another 0 are out,",
        "From the hard images to the 11 of this set:",
        "- imagenet: 7 images have no label \\| &lt;b>",
        "Looked at by people: 2, by 2 reviewers.",
        "hard under the labels of one of them.\n",
        "| net0 | timm | t | 5 | abababababababab |",
        RECIPE.decode().rstrip(),
        "arXiv:2304.05538",
        "their own scores on it say nothing",
    ):
        assert expected in text


def test_images_shared_by_real_become_one_row(tmp_path):
    """Hard under both label sets: the first source's id, the labels of both; hard under one: as it is."""
    parts = Parts(tmp_path / "in", n=3)
    real = [
        Survivor(s.id.replace("imagenet/", "imagenet-real/"), "imagenet-real", (7,), s.image_sha256)
        for s in parts.survivors
    ]
    parts.survivors = [*parts.survivors[:2], *real[1:]]
    report = parts.build(tmp_path / "out")
    rows = {row.id: row.labels for row in report.selection.rows}
    assert rows == {
        parts.made.ids[0]: (0, 999),
        parts.made.ids[1]: (1, 7, 998),
        real[2].id: (7,),
    }
    assert report.selection.merged == 1


def test_other_images_that_are_there_twice_are_refused(tmp_path):
    """One image counts once; an exclusions file settles which."""
    parts = Parts(tmp_path / "in", n=3)
    a, b, _ = parts.survivors
    parts.survivors[1] = replace(b, image_sha256=a.image_sha256)
    with pytest.raises(DatasetError, match=r"images that appear more than once \(1\): imagenet/n00"):
        parts.build(tmp_path / "out")


def test_excluded_images_are_left_out(tmp_path):
    """By a file beside the recipe."""
    parts = Parts(tmp_path / "in", n=3)
    parts.recipe = parts.recipe.model_copy(update={"exclusions": ("out.csv",)})
    with (tmp_path / "in/out.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "reason"], [parts.made.ids[1], "ill-posed"]])
    report = parts.build(tmp_path / "out")
    assert (report.selection.excluded, report.manifest.n) == (1, 2)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda p: setattr(p, "summary", replace(p.summary, complete=False)), DatasetError, "not complete"),
        (
            lambda p: setattr(p, "summary", replace(p.summary, failures={"imagenet/x": "no JPEG"})),
            DatasetError,
            r"1 images are undecided \(first imagenet/x: no JPEG\)",
        ),
        (
            lambda p: setattr(p, "summary", replace(p.summary, recipe_sha256="0" * 64)),
            ResultError,
            "were not made by the recipe 'small' as it is now",
        ),
        (lambda p: setattr(p, "survivors", []), DatasetError, "there is nothing to build: 0 survivors"),
        (
            lambda p: p.decisions.update({"imagenet/gone": Decision("imagenet/gone", "drop")}),
            ResultError,
            "1 decisions are about images that did not survive: imagenet/gone",
        ),
        (
            lambda p: p.made.data.__setitem__(slice(4, 6), [jpeg(99), jpeg(98)]),
            DatasetError,
            r"2 images have changed since they were scored, or cannot be read: imagenet/n04.*, imagenet/n05",
        ),
        (
            lambda p: setattr(p, "sources", p.sources[1:]),
            DatasetError,
            "12 survivors are in no source of the recipe now",
        ),
    ],
)
def test_what_cannot_be_built_is_refused(tmp_path, change, error, message):
    """And the build that was there stays as it was."""
    Parts(tmp_path / "before", n=4).build(tmp_path / "out")
    before = files(tmp_path / "out")
    parts = Parts(tmp_path / "in")
    change(parts)
    with pytest.raises(error, match=message):
        parts.build(tmp_path / "out")
    assert files(tmp_path / "out") == before
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_undecided_images_may_be_left_out(tmp_path):
    """When one says so; the card counts them."""
    parts = Parts(tmp_path / "in", n=3)
    undecided = {"imagenet": 2, "imagenet-real": 0}
    parts.summary = replace(parts.summary, failures={"a": "b"}, undecided=undecided)
    parts.build(tmp_path / "out", allow_undecided=True)
    assert "| imagenet | 100 | 88 | 3 | 2 |" in (tmp_path / "out/README.md").read_text()


def test_the_curating_and_other_models_can_be_scored(tmp_path):
    """`evaluate` on the built folder: a model that always says 3 is right where 3 is a label."""
    import torch

    def says_three(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(torch.full((len(x),), 3), 1000).float()

    parts = Parts(tmp_path / "in")
    report = parts.build(tmp_path / "out")
    result = imagenet_hard.evaluate(says_three, str(tmp_path / "out"), device="cpu", workers=1)
    assert (result.metrics.n_correct, result.metrics.n_total) == (1, 12)
    assert result.benchmark.fingerprint == report.manifest.fingerprint


ODD = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(ODD, st.sets(st.integers(0, 999), min_size=1)), min_size=1, max_size=6))
def test_any_id_and_labels_come_back(tmp_path_factory, rows):
    """Line breaks, quotes and control characters in ids; any labels."""
    folder = tmp_path_factory.mktemp("odd")
    parts = Parts(folder / "in", n=len(rows))
    parts.made.ids[:] = [f"imagenet/{i}{text}" for i, (text, _) in enumerate(rows)]
    parts.made.labels[:] = [tuple(sorted(labels)) for _, labels in rows]
    parts.sources[0] = parts.made.source()
    parts.survivors = [
        replace(s, id=id, labels=labels)
        for s, id, labels in zip(parts.survivors, parts.made.ids, parts.made.labels, strict=True)
    ]
    manifest = parts.build(folder / "out").manifest
    found = imagenet_hard.load_dataset(folder / "out", streaming=True)
    assert {e.id: (e.labels, e.image) for e in found} == {
        id: (labels, data)
        for id, labels, data in zip(parts.made.ids, parts.made.labels, parts.made.data, strict=True)
    }
    assert found.fingerprint() == manifest.fingerprint


@pytest.mark.parametrize("text", [RECIPE.decode().encode("utf-16"), RECIPE + b"# caf\xe9"])
def test_a_recipe_that_cannot_be_quoted(tmp_path, text):
    """The card holds the recipe as text."""
    parts = Parts(tmp_path / "in", n=3)
    parts.path.write_bytes(text)
    with pytest.raises(UsageError, match="recipe.yaml is not UTF-8 text"):
        parts.build(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_template_uses_what_it_is_given():
    """A misspelt name would be an empty text: the template names nothing that the card does not pass."""
    import inspect

    from jinja2 import Environment, meta

    from imagenet_hard.base.runtime import content_dir
    from imagenet_hard.curation.build import card

    text = (content_dir("curation/templates") / card.TEMPLATE).read_text()
    used = meta.find_undeclared_variables(Environment(autoescape=True).parse(text))
    given = set(re.findall(r"^        (\w+)=", inspect.getsource(card.render), re.MULTILINE))
    assert used <= given | {"card_data"}


def test_a_full_disk_leaves_the_old_build(tmp_path, monkeypatch):
    """The message says so; no half folder stays behind."""
    parts = Parts(tmp_path / "in", n=4)
    parts.build(tmp_path / "out")
    before = files(tmp_path / "out")
    parts.survivors = parts.survivors[:2]

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("imagenet_hard.curation.build.run.write_shard", full)
    with pytest.raises(ResultError, match="No space left on device. Free some space or give another --out"):
        parts.build(tmp_path / "out")
    assert files(tmp_path / "out") == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "out"]


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
import imagenet_hard.curation.build.run as module
from tests.curation.build.test_run import Parts
plain = module.write_shard
def slow(*args, **kwargs):
    plain(*args, **kwargs)
    print("written", flush=True)
    time.sleep(30)
module.write_shard = slow
Parts(Path({folder!r}) / "in", seed=50).build(Path({folder!r}) / "out")
"""


def test_killed_in_the_middle(tmp_path):
    """The old build is whole; the next one clears up and takes its place."""
    Parts(tmp_path / "old", n=4).build(tmp_path / "out")
    before = files(tmp_path / "out")
    code = KILLED.format(root=str(Path(__file__).resolve().parents[2]), folder=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "written\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert files(tmp_path / "out") == before
    parts = Parts(tmp_path / "in", seed=50)
    parts.build(tmp_path / "out")
    assert read_build(tmp_path / "out").version == "1.0.0"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "old", "out"]


def test_killed_between_the_renames(tmp_path):
    """The old build, moved aside, comes back before anything else happens."""
    parts = Parts(tmp_path / "in", n=4)
    parts.build(tmp_path / "out")
    before = files(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / ".out.before")
    parts.summary = replace(parts.summary, complete=True)
    parts.build(tmp_path / "out")
    assert files(tmp_path / "out") == before
    assert not (tmp_path / ".out.before").exists()


@given(st.lists(st.integers(1, 100), min_size=1, max_size=40), st.integers(1, 200))
def test_shards_part_the_rows(sizes, limit):
    """In order, nothing twice, and only a row that is too large on its own exceeds the limit."""
    shards = partition(sizes, limit)
    assert [row for shard in shards for row in shard] == list(range(len(sizes)))
    assert all(len(s) == 1 or sum(sizes[row] for row in s) <= limit for s in shards)


def test_the_hash_of_the_rows_sees_everything():
    """Id, origin, labels, bytes."""
    row = Selected("a", "imagenet", (1, 2), "ff")
    others = [
        replace(row, **change)
        for change in ({"id": "b"}, {"source": "x"}, {"labels": (1,)}, {"image_sha256": "00"})
    ]
    assert len({rows_sha256([each]) for each in (row, *others)}) == 5


def test_the_picture_is_escaped_and_adds_up():
    """Shares of all images; names are text."""
    svg = distribution_svg({"imagenet": 3, "<b>&": 1}, "T<")
    assert "&lt;b&gt;&amp;" in svg
    assert "3 (75.0 %)" in svg
    assert "<b>" not in svg
    wide = distribution_svg({"m" * 96: 1}, "T")
    assert int(re.search(r'<text x="(\d+)" y="63" text-anchor="end"', wide)[1]) >= 96 * 8


def test_cells_cannot_break_a_table():
    """Pipes, line breaks and tags."""
    assert cell("a|b\n<script>") == "a\\|b &lt;script>"


def test_large_sets_are_written_group_by_group(tmp_path):
    """Row groups of at most 100 rows, so that neither writer nor reader holds the set."""
    import pyarrow.parquet as pq

    parts = Parts(tmp_path / "in", n=230)
    parts.recipe = parts.recipe.model_copy(
        update={"output": parts.recipe.output.model_copy(update={"shard_bytes": 2**30})}
    )
    parts.build(tmp_path / "out")
    (shard,) = (tmp_path / "out/data").iterdir()
    metadata = pq.ParquetFile(shard).metadata
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [100, 100, 30]
    assert json.loads(metadata.metadata[b"huggingface"])["info"]["features"]["image"]["_type"] == "Image"
    assert np.isclose(shard.stat().st_size, sum(map(len, parts.made.data)), rtol=0.2)
