"""`imagenet-hard curate` as a user calls it: a small network, real images, from the plan to the score."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

import imagenet_hard
from imagenet_hard.cli.main import group, run
from imagenet_hard.curation.review.decisions import DecisionRow, append_decision
from imagenet_hard.curation.store import FILE, CurationStore
from imagenet_hard.imagenet import classes

RECIPE = """\
name: tiny
version: 1.0.0
scales: [256]
sources:
  - {variant: imagenet, path: val, labels: truth.csv, licence: none}
  - {variant: imagenet-sketch, path: tree}
classifiers:
  - {model: efficientnet_lite0}
output: {name: tiny-hard, title: Tiny}
"""
FEW = 8
TIME = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sample images, flat with a ground truth that is wrong for every other one, and four in a tree."""
    examples = list(imagenet_hard.load_dataset("sample"))
    (tmp_path / "data/val").mkdir(parents=True)
    with (tmp_path / "data/truth.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label"])
        for i, example in enumerate(examples[:FEW]):
            (tmp_path / f"data/val/{i}.png").write_bytes(example.image)
            label = example.labels[0] if i % 2 else (example.labels[0] + 500) % 1000
            writer.writerow([f"{i}.png", label])
    for i, example in enumerate(examples[FEW : FEW + 4]):
        target = tmp_path / "data/tree" / classes.wnids()[example.labels[0]] / f"{i}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(example.image)
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return tmp_path


def curate(*args: str) -> int:
    return run(group, ["curate", *args], "imagenet-hard")


STEP = ("--recipe", "tiny.yaml", "--data", "data")


@pytest.mark.usefixtures("small_networks")
def test_from_the_plan_to_the_score(place, capsys):
    """Plan, score, build, load, and the curating network gets nothing right under the standard view."""
    (place / "tiny.yaml").write_text(RECIPE.replace("[256]", "[224, 256]"))
    assert curate("plan", *STEP, "--json", "--device", "cpu") == 0
    plan = json.loads(capsys.readouterr().out)
    assert [source["n"] for source in plan["sources"]] == [FEW, 4]
    assert plan["classifiers"][0]["zooms"] == 18
    assert 0 < plan["seconds"][0] < plan["seconds"][1]

    assert curate("score", *STEP, "--json", "--quiet", "--device", "cpu") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["complete"]
    assert summary["hard"]["imagenet"] >= FEW // 2
    assert summary["work"] == "curated/tiny"

    assert curate("build", *STEP, "--json", "--quiet") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["n"] == sum(summary["hard"].values())
    assert report["near_copies"] == []
    built = imagenet_hard.load_dataset("tiny-hard")
    assert built.fingerprint() == report["fingerprint"]
    result = imagenet_hard.evaluate("efficientnet_lite0", "tiny-hard", transform="study", device="cpu")
    assert result.metrics.n_correct == 0
    assert result.protocol.transform == "study"


@pytest.mark.usefixtures("small_networks")
def test_the_tables(place, capsys):
    """For people: what is read, what it costs, what was found, where it is."""
    assert curate("plan", *STEP, "--device", "cpu") == 0
    out = capsys.readouterr().out
    for text in ("truth.csv", "imagenet-sketch", "efficientnet_lite0", "cheapest first", "12 images, "):
        assert text in out or text == "truth.csv"
    assert curate("score", *STEP, "--quiet", "--device", "cpu") == 0
    captured = capsys.readouterr()
    assert "The scores are in curated/tiny." in captured.out
    assert "imagenet-sketch: 4 of 1000 classes have images" in captured.err
    assert curate("build", *STEP, "--quiet") == 0
    assert "The data set is in tiny-hard." in capsys.readouterr().out


@pytest.mark.usefixtures("small_networks")
def test_images_that_are_there_twice_are_told_from_the_start(place, capsys, monkeypatch):
    """By plan and score as by build, until an exclusion settles it; `plan --quick` does not look."""
    monkeypatch.setattr("imagenet_hard.curation.score.plan.seconds_per_crop", lambda *_: 0.01)
    tree = next((place / "data/tree").glob("*/0.png"))
    (place / "data/val/1.png").write_bytes(tree.read_bytes())
    with Image.open(place / "data/val/2.png") as image:
        image.resize((180, 180)).save(place / "data/val/3.png")
    near = "1 pair shows the same picture: imagenet/2.png = imagenet/3.png ("
    ids = ["imagenet/1.png", f"imagenet-sketch/{tree.relative_to(place / 'data/tree')}"]
    words = (
        f"images that appear more than once (1): {' = '.join(ids)}. An image counts once: list all but one"
    )
    assert curate("plan", *STEP, "--device", "cpu") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert words in said
    assert near in said
    assert curate("plan", *STEP, "--json", "--device", "cpu") == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["duplicates"] == [ids]
    assert [(each["a"], each["b"]) for each in plan["near_copies"]] == [("imagenet/2.png", "imagenet/3.png")]
    assert curate("plan", *STEP, "--json", "--quick", "--device", "cpu") == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["duplicates"] is None
    assert plan["near_copies"] is None
    assert curate("score", *STEP, "--json", "--quiet", "--device", "cpu") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["duplicates"] == [ids]
    assert words in captured.err
    (place / "once.csv").write_text(f"id,reason\n{ids[0]},twice\n")
    (place / "tiny.yaml").write_text(RECIPE + "exclusions: [once.csv]\n")
    assert curate("plan", *STEP, "--json", "--device", "cpu") == 0
    assert json.loads(capsys.readouterr().out)["duplicates"] == []
    assert curate("score", *STEP, "--quiet", "--device", "cpu") == 0
    assert "more than once" not in capsys.readouterr().err


@pytest.mark.usefixtures("small_networks")
def test_decisions_are_applied(place, capsys):
    """A reviewer's drop is left out; two who differ stop the build until somebody settles it."""
    assert curate("score", *STEP, "--quiet", "--device", "cpu") == 0
    with CurationStore(place / "curated/tiny" / FILE) as store:
        first, second, *_ = store.survivors()

    def say(who: str, survivor, action: str) -> Path:
        path = place / f"curated/tiny/decisions/{who}.csv"
        append_decision(
            path,
            DecisionRow(
                survivor.id,
                action,
                "ambiguous" if action == "drop" else "",
                (),
                who,
                TIME,
                survivor.image_sha256,
            ),
        )
        return path

    say("ann", first, "drop")
    say("ann", second, "keep")
    assert curate("build", *STEP, "--json", "--quiet") == 0
    out = capsys.readouterr().out
    assert json.loads(out[out.index("{") :])["dropped"] == {"ambiguous": 1}
    say("bob", second, "drop")
    assert curate("build", *STEP, "--quiet") == 1
    assert "reviewers differ on 1 images" in capsys.readouterr().err
    chief = say("chief", second, "keep")
    assert curate("build", *STEP, "--quiet", "--adjudication", str(chief)) == 0


@pytest.mark.usefixtures("small_networks")
def test_an_image_that_cannot_be_decoded(place, capsys):
    """It is named, the exit code tells, the build refuses; mended, the next run scores it alone."""
    whole = (place / "data/val/3.png").read_bytes()
    (place / "data/val/3.png").write_bytes(whole[:100])
    assert curate("score", *STEP, "--quiet", "--device", "cpu") == 1
    assert "undecided: imagenet/3.png: image 'imagenet/3.png' cannot be decoded" in capsys.readouterr().err
    assert curate("build", *STEP, "--quiet") == 1
    assert "1 images are undecided (first imagenet/3.png" in capsys.readouterr().err
    (place / "data/val/3.png").write_bytes(whole)
    assert curate("score", *STEP, "--quiet", "--device", "cpu") == 0
    assert curate("build", *STEP, "--quiet") == 0


@pytest.mark.usefixtures("small_networks")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("efficientnet_lite0}", "efficientnet_lite9}", r"tiny.yaml:8: classifiers[0]: "),
        ("path: tree", "path: trees", "tiny.yaml:6: sources[1]: imagenet-sketch: the folder"),
        ("variant: imagenet-sketch", "variant: imagenet-v2", "tiny.yaml:6: sources[1]: imagenet-v2: "),
        ("path: tree", "path: tree, mask: objectnet", "the mask objectnet does not fit"),
        ("version: 1.0.0", "version: 1", "tiny.yaml:2: version: "),
    ],
)
def test_a_recipe_that_cannot_work_stops_at_the_plan(place, capsys, old, new, message):
    """With the line of the file."""
    (place / "tiny.yaml").write_text(RECIPE.replace(old, new))
    assert curate("plan", *STEP, "--device", "cpu") == 2
    assert message in capsys.readouterr().err


def test_options_that_exclude_each_other(place, capsys):
    """The study wants float32."""
    assert curate("score", *STEP, "--screen", "--exhaustive") == 2
    assert "--screen and --exhaustive exclude each other" in capsys.readouterr().err


def test_building_before_scoring_says_what_to_do(place, capsys):
    """No scores, no data set."""
    assert curate("build", *STEP) == 1
    assert "run `imagenet-hard curate score` with this --work first" in capsys.readouterr().err


def test_unknown_recipe(capsys):
    """The nearest name, and exit code 2."""
    assert curate("plan", "--recipe", "imagenet-hard-lit") == 2
    assert "did you mean imagenet-hard-lite" in capsys.readouterr().err
