"""Two versions of a set, bridged: every score counted again from the answers, by whoever answered enough."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.cli.main import group, run
from imagenet_hard.dataset.versions import (
    IMAGES,
    IMAGES_COLUMNS,
    VERSIONS,
    Change,
    Rows,
    Version,
    VersionRow,
    Versions,
    changes_between,
    fingerprint_of,
)
from imagenet_hard.leaderboard.answers import Answers
from imagenet_hard.leaderboard.bridge import Bridge, bridge
from imagenet_hard.leaderboard.bridge_inputs import read_chain
from imagenet_hard.leaderboard.site.bridge_page import render, tables

N = 60
NEW = 40
"""The first image that came later."""


def row(i: int, label: int) -> VersionRow:
    sha = hashlib.sha256(bytes([i])).hexdigest()
    return VersionRow(id=f"s/{i:03}", origin="s", labels=(label,), image_sha256=sha)


def sets() -> tuple[Rows, Rows, Rows]:
    """1.0.0: 40 images of class 1. 2.0.0: the first ten are retired. 3.0.0: ten came, and one has class 2."""
    first = {each.id: each for each in (row(i, 1) for i in range(NEW))}
    second = {id: each for id, each in first.items() if id >= "s/010"}
    third = {**second, **{each.id: each for each in (row(i, 1) for i in range(NEW, 50))}, "s/010": row(10, 2)}
    return first, second, third


def chain() -> Versions:
    committee = {"old": "timm:old/x"}
    versions: list[Version] = []
    rows = sets()
    for number, each in enumerate(rows):
        committee = {**committee, "new": "timm:new/x"} if number else committee
        changes = changes_between(rows[number - 1], each) if number else []
        versions.append(
            Version(
                version=f"{number + 1}.0.0",
                fingerprint=fingerprint_of(each),
                n=len(each),
                classifiers=committee,
                parent="ab" * 32 if number else None,
                changes=tuple(_change(a, b) for a, b in changes),
            )
        )
    return Versions(name="small-hard", versions=tuple(versions))


def _change(a: VersionRow | None, b: VersionRow | None) -> Change:
    if b is None:
        return Change(before=a, after=b, reason="solved", classifier="new", zoom=(256, 1, 1))
    return Change(before=a, after=b, reason="relabelled" if a else "new")


def answers(right: set[int], ids: range) -> Answers:
    """Class 1 where it is right, else 2; a class an image."""
    classes = np.array([[1 if i in right else 2] for i in ids])
    return Answers.without_probabilities([f"s/{i:03}" for i in ids], classes)


ALL = range(N)
MODELS = {
    "all": [answers(set(range(0, 30)), ALL)],
    "late": [answers(set(range(20, 50)), ALL)],
    "first only": [answers(set(range(5, 25)), range(NEW))],
    "two files": [answers({11, 12}, range(NEW)), answers({11, 45}, range(10, 50))],
    "halves": [answers({11}, range(20)), answers({30}, range(20, N))],
    "timm:new/x": [answers(set(range(10)), ALL)],
}


def bridged(before: str | None = None, after: str | None = None) -> Bridge:
    return bridge(chain(), sets(), MODELS, before=before, after=after)


def counts(found: Bridge, name: str) -> list[int | None]:
    (each,) = (each for each in found.entries if each.name == name)
    return [rate and rate.n_correct for rate in each.scores.values()]


def test_every_score_is_counted_from_the_answers():
    """Images that left, stayed and came; without an answer to all there is no score. Class 2 is s/010's."""
    found = bridged("1.0.0", "3.0.0")
    assert found.images == {"before": 40, "common": 29, "after": 40}
    assert counts(found, "all") == [30, 19, 19]
    assert counts(found, "late") == [20, 20, 31]  # s/010 as well, which it calls class 2
    assert counts(found, "first only") == [20, 14, None]
    assert counts(found, "two files") == [2, 2, 4]  # the first file's 11, 12 and s/010, the second's 45
    assert counts(found, "halves") == [2, 2, 3]
    assert counts(found, "timm:new/x") == [10, 0, 1]
    said = {each.name: each for each in found.entries}
    assert said["first only"].missing == {"after": 10}
    assert said["timm:new/x"].committee == ("2.0.0", "3.0.0")
    assert said["all"].committee == ()
    assert said["two files"].unlike == 1  # s/012
    assert said["all"].kept.difference == pytest.approx(19 / 29 - 30 / 40)
    assert said["all"].kept.low < said["all"].kept.difference < said["all"].kept.high
    assert [(each.reason, each.classifier, each.images) for each in found.retired] == [("solved", "new", 10)]
    assert [(each.reason, each.images) for each in found.added] == [("new", 10)]
    assert found.relabelled == 1


def test_places_are_among_those_who_answered_both():
    """Of each step its own; where nothing came, both and after are one."""
    found = bridged("1.0.0", "3.0.0")
    assert [(s.first, s.second, s.entries) for s in found.steps] == [
        ("before", "common", 6),
        ("common", "after", 5),
        ("before", "after", 5),
    ]
    first, _, whole = found.steps
    assert {name: [p.place for p in both] for name, both in first.places.items()} == {
        "all": [1, 2],
        "late": [2, 1],
        "first only": [2, 3],
        "two files": [5, 4],
        "halves": [5, 4],
        "timm:new/x": [4, 6],
    }
    # All and late, two files and new, halves and new; late and first only were equal.
    assert first.swapped == 3
    assert "first only" not in whole.places
    assert all(p.low <= p.place <= p.high for both in first.places.values() for p in both)
    (only,) = bridged("1.0.0", "2.0.0").steps
    assert (only.first, only.second) == ("before", "common")
    assert [each.name for each in found.entries][:2] == ["late", "all"]
    assert tables(found)[0].title.startswith("small-hard: 1.0.0 to 3.0.0")
    last = bridged()
    assert (last.before, last.after) == ("2.0.0", "3.0.0")


def test_a_bridge_to_nowhere():
    with pytest.raises(ResultError, match=r"no version '4\.0\.0': expected one of 1\.0\.0, 2\.0\.0, 3\.0\.0"):
        bridged("4.0.0")
    with pytest.raises(UsageError, match=r"from one version to a later one \(got 3\.0\.0 to 2\.0\.0\)"):
        bridged("3.0.0", "2.0.0")
    with pytest.raises(UsageError, match="nobody answered .* such as 's/900', expected such as 's/010'"):
        bridge(chain(), sets(), {"elsewhere": [answers(set(), range(900, 910))]})
    rows = sets()
    other = {each.id: each for each in (row(i, 3) for i in range(NEW))}
    with pytest.raises(UsageError, match="no image with the same labels in common"):
        bridge(chain(), (rows[0], other, other), MODELS, before="1.0.0", after="2.0.0")


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """What a bridge reads of a build."""
    folder = tmp_path / "small-hard"
    folder.mkdir()
    (folder / VERSIONS).write_text(chain().model_dump_json())
    lines = [(r.id, r.image_sha256, *map(str, r.labels), r.origin, "x") for r in sets()[-1].values()]
    with (folder / IMAGES).open("w", newline="") as file:
        csv.writer(file).writerows([IMAGES_COLUMNS, *lines])
    return folder


def test_the_command(build, tmp_path, capsys):
    """A table of answers, as anybody may have it; the page is written; who has no versions is refused."""
    table = tmp_path / "answers.csv"
    with table.open("w", newline="") as file:
        rows = [(f"s/{i:03}", 1 if i < 30 else 2, 1 if 20 <= i < 50 else 2) for i in ALL]
        csv.writer(file).writerows([("id", "all", "<late>"), *rows])
    args = ["leaderboard", "bridge", str(build), str(table), "--before", "1.0.0"]
    page = tmp_path / "bridge.html"
    assert run(group, [*args, "--json", "-o", str(page)], "imagenet-hard") == 0
    found = Bridge.model_validate_json(capsys.readouterr().out)
    assert (counts(found, "all"), counts(found, "<late>")) == ([30, 19, 19], [20, 20, 31])
    assert "&lt;late&gt;" in page.read_text()
    assert "<late>" not in page.read_text()
    assert run(group, args, "imagenet-hard") == 0
    assert "a zoom of a classifier gets it right" in capsys.readouterr().out
    assert run(group, args[:3], "imagenet-hard") == 2
    assert "nobody answered" in capsys.readouterr().err
    (build / VERSIONS).unlink()
    assert run(group, args, "imagenet-hard") == 2
    assert "has no versions.json" in capsys.readouterr().err


def test_rows_that_are_not_the_chains(build):
    """A label was changed in images.csv: no score is shown."""
    path = build / IMAGES
    path.write_text(path.read_text().replace(",1,s,x", ",3,s,x", 1))
    with pytest.raises(ResultError, match=r"version 3\.0\.0 of small-hard is not what it says"):
        read_chain(build)


def test_the_page(browser, tmp_path):
    """Loads nothing, no error, every entry a row, and no wider than a phone; tables scroll by themselves."""
    found = bridged("1.0.0", "3.0.0")
    path = tmp_path / "bridge.html"
    path.write_text(render(found))
    page = browser.new_page(viewport={"width": 390, "height": 800})
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    assert said == []
    assert all(each.startswith(("file:", "data:")) for each in asked)
    assert page.locator("#entries tbody tr").count() == len(found.entries)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    row = page.locator("#entries tbody tr").nth(1).inner_text()
    assert row.startswith("all")
    assert "68.97" not in row
    assert "65.52" in row  # 19 of 29
    assert page.locator("#changes tbody tr").nth(0).inner_text().split("\t")[:2] == ["left", "10"]
    page.close()
