"""A refreshed set: the images of a scoring from the start, at the price of what is new; and its chain."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagenet_hard.base.errors import DatasetError, ResultError, UsageError
from imagenet_hard.curation.parent import adopt
from imagenet_hard.curation.records import Decision
from imagenet_hard.curation.refresh import begin, carried_records, refresh
from imagenet_hard.curation.review.decisions import DecisionRow, append_decision, read_decisions
from imagenet_hard.curation.score.run import score
from imagenet_hard.curation.store import FILE, CurationStore, ImageRecord, Views
from imagenet_hard.curation.successor import check_successor
from imagenet_hard.dataset.versions import IMAGES, VERSIONS, read_rows, read_versions, rows_of_all
from imagenet_hard.engine.forward import Forward
from tests.curation.rolling import SOURCE, Rolling, committee, hard
from tests.curation.small import GRID, SETTINGS, Made, by_protocol, made, net

pytest.importorskip("datasets")

N = 12
"""Images; the last three come later."""


@pytest.fixture
def rolling(tmp_path):
    """Nine images: a third is solved by net0, a third by net1, a third by none."""
    found = Rolling(tmp_path)
    found.lay_out(made(N), 9)
    return found


@pytest.fixture
def seen(monkeypatch):
    """(network's number, image id) of every crop that goes through a network."""
    found = []
    plain = Forward.logits

    def watched(self, pixels, ids):
        found.extend((seed, id) for seed in range(3) if self.classifier is net(seed).model for id in ids)
        return plain(self, pixels, ids)

    monkeypatch.setattr(Forward, "logits", watched)
    return found


def number_of(id):
    """Of the image, by its file's name."""
    return int(id.rpartition("/")[2].removesuffix(".jpg"))


def shards(folder):
    return {path.name: path.read_bytes() for path in (folder / "data").iterdir()}


def test_a_new_classifier_retires_what_it_solves(rolling, seen):
    """As a scoring from the start: the same images and bytes. Only the unsolved meet the new network."""
    rolling.first()
    before = hard(rolling.work("1.0.0"))
    seen.clear()
    second = rolling.recipe("2.0.0", (0, 1))
    summary = rolling.refresh(second, (0, 1), "1.0.0")
    assert {who for who, _ in seen} == {1}
    assert {id for _, id in seen} == before
    report = rolling.build(second)

    again = rolling.root / "again"
    assert rolling.score(second, (0, 1), again) == summary
    plain = rolling.build(second, again, rolling.root / "plain")
    assert report.manifest.fingerprint == plain.manifest.fingerprint
    assert shards(rolling.out("2.0.0")) == shards(plain.folder)
    assert not (plain.folder / VERSIONS).exists()

    version = report.version
    assert version is not None
    assert (version.added, version.relabelled) == ([], [])
    assert {each.id for each in version.retired} == before - hard(rolling.work("2.0.0")) != set()
    for change in version.retired:
        assert (change.reason, change.classifier) == ("solved", "net1/32")
        scale, row, column = change.zoom
        number = GRID.scales.index(scale)
        classes = by_protocol(made(N).data[number_of(change.id)], net(1))
        assert classes[number * 9 + row * 3 + column] in change.before.labels


def test_the_chain_gives_every_version(rolling):
    """A network comes, then the first goes and images come; all versions follow from the last rows."""
    rolling.first((0,))
    old = read_rows(rolling.out("1.0.0"))
    second = rolling.recipe("2.0.0", (0, 1))
    rolling.refresh(second, (0, 1), "1.0.0")
    rolling.build(second)
    rolling.lay_out(made(N), N)
    third = rolling.recipe("3.0.0", (1,))
    rolling.refresh(third, (1,), "2.0.0")
    report = rolling.build(third)
    again = rolling.root / "again"
    rolling.score(third, (1,), again)
    assert hard(again) == hard(rolling.work("3.0.0"))

    chain = read_versions(rolling.out("3.0.0") / VERSIONS)
    assert [each.version for each in chain.versions] == ["1.0.0", "2.0.0", "3.0.0"]
    assert [sorted(each.classifiers) for each in chain.versions] == [
        ["net0/32"],
        ["net0/32", "net1/32"],
        ["net1/32"],
    ]
    rows = rows_of_all(chain, read_rows(rolling.out("3.0.0")), "here")
    assert list(rows) == [read_rows(rolling.out(v)) for v in ("1.0.0", "2.0.0", "3.0.0")]
    assert rows[0] == old
    reasons = {each.reason for each in report.version.added}
    assert reasons == {"freed", "new"}
    for change in report.version.added:
        number = number_of(change.id)
        assert (change.reason == "new") == (number >= 9)
        assert change.classifier == ("net0/32" if change.reason == "freed" else None)
    assert "Versions" in (rolling.out("3.0.0") / "README.md").read_text()
    assert hard(again) == set(rows[2])


@pytest.fixture
def known_networks(monkeypatch):
    """Their weights are all there is to them, as of a library's networks."""
    monkeypatch.setattr("imagenet_hard.curation.score.run.needs_witness", lambda classifier: False)


def test_sources_grow_and_labels_change(rolling, seen, known_networks):
    """What is known is not tried again; new images are, and those with another label under the old id."""
    rolling.first((0, 1))
    known = hard(rolling.work("1.0.0"))
    rolling.lay_out(made(N), N)
    moved = min(known)
    labels = {i: made(N).labels[i][0] for i in range(N)}
    right = labels[number_of(moved)]
    wrong = int(by_protocol(made(N).data[number_of(moved)], net(0))[0])
    rolling.label({**labels, number_of(moved): wrong})
    second = rolling.recipe("2.0.0", (0, 1))
    seen.clear()
    rolling.refresh(second, (0, 1), "1.0.0")
    names = {id.rpartition("/")[2] for _, id in seen}
    assert names == {f"{number_of(moved)}.jpg", *(f"{i}.jpg" for i in range(9, N))}
    again = rolling.root / "again"
    rolling.score(second, (0, 1), again)
    assert hard(again) == hard(rolling.work("2.0.0"))
    version = rolling.build(second).version
    (left,) = version.retired
    assert (left.id, left.reason, left.before.labels) == (moved, "solved", (right,))
    assert {each.reason for each in version.added} == {"new"}

    rolling.label(labels)  # the label is corrected: the image is hard again
    third = rolling.recipe("3.0.0", (0, 1))
    rolling.refresh(third, (0, 1), "2.0.0")
    version = rolling.build(third).version
    assert [(each.id, each.reason, each.note) for each in version.added] == [
        (moved, "relabelled", f"before: {wrong}")
    ]
    assert version.retired == []


def test_decisions_are_carried_where_they_hold(rolling):
    """About survivors that are as they were; a label that the new network predicts takes the image out."""
    first = rolling.recipe("1.0.0", (0,))
    rolling.score(first, (0,))
    decisions = rolling.work("1.0.0") / "decisions/ann.csv"
    with CurationStore(rolling.work("1.0.0") / FILE) as store:
        survivors = {each.id: each for each in store.survivors()}
        predicted = {id: {int(v) for v in store.views(id)["net0/32"].predicted} for id in survivors}
    for each in survivors.values():
        time = datetime(2026, 1, 31, tzinfo=UTC)
        append_decision(decisions, DecisionRow(each.id, "keep", "", (), "ann", time, each.image_sha256))
    both = {id for id in survivors if number_of(id) % 3 == 2}  # hard for net1 too
    dropped, answered, kept = sorted(both)
    label = next(
        int(c) for c in by_protocol(made(N).data[number_of(answered)], net(1)) if c not in predicted[answered]
    )
    settled = {
        dropped: Decision(dropped, "drop", "ambiguous", (), ("ann",)),
        answered: Decision(answered, "relabel", "", (label,), ("ann",)),
    }
    rolling.build(first, decisions={dropped: settled[dropped], answered: settled[answered]})
    second = rolling.recipe("2.0.0", (0, 1))
    rolling.refresh(second, (0, 1), "1.0.0")
    carried = read_decisions(rolling.work("2.0.0") / "decisions/ann.csv")
    assert {row.id for row in carried} == both
    with CurationStore(rolling.work("2.0.0") / FILE) as store:
        seen_now = {
            answered: {int(c) for v in store.views(answered).values() for c in v.predicted},
        }
    report = rolling.build(second, decisions={answered: settled[answered]}, predicted=seen_now)
    by_id = {each.id: each for each in report.version.changes}
    assert by_id[dropped].reason == "readmitted"
    assert (by_id[answered].reason, by_id[answered].classifier) == ("answered", "net1/32")
    assert kept not in by_id
    assert {each.reason for id, each in by_id.items() if id not in both} == {"solved"}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A first version, which the tests below do not change."""
    found = Rolling(tmp_path_factory.mktemp("built"))
    found.lay_out(made(N), 9)
    found.first((0,))
    return found


@pytest.mark.parametrize(
    ("version", "seeds", "more", "error", "message"),
    [
        (
            "1.0.0",
            (0, 1),
            {"name": "other"},
            UsageError,
            r"has had the version 1\.0\.0 \(there are 1\.0\.0\)",
        ),
        ("2.0.0", (0, 1), {"output": {"name": "another"}}, UsageError, "makes another, not small-hard"),
        ("2.0.0", (0, 1), {"scales": [140, 224]}, UsageError, r"scales is \(140, 224\) in the recipe v2"),
        ("2.0.0", (0, 1), {"exif": True}, UsageError, "exif is True in the recipe v2"),
        (
            *("2.0.0", (0, 1), {"sources": [{"variant": "imagenet-sketch", "path": "val"}]}, UsageError),
            r"none of the parent's sources \(imagenet\)",
        ),
        (
            *("2.0.0", (0, 1), {"sources": [{**SOURCE, "mask": "imagenet-a"}]}),
            *(UsageError, "the source imagenet is not the parent's: it has other images or another mask"),
        ),
    ],
)
def test_recipes_that_are_no_next_version(built, tmp_path, version, seeds, more, error, message):
    """Said before anything is scored."""
    recipe = built.recipe(version, seeds, **more) if version != "1.0.0" else None
    if recipe is None:
        recipe = built.recipe("1.0.1", seeds).model_copy(update={"version": "1.0.0"})
    with pytest.raises(error, match=message):
        check_successor(recipe, _adopted(built, tmp_path))
    assert not (tmp_path / "work" / FILE).exists()


def _adopted(built, tmp_path):
    return adopt(tmp_path / "work", built.path("1.0.0"), built.work("1.0.0") / FILE, built.out("1.0.0"))


def test_a_classifier_of_the_committee_under_another_name(built):
    """The same weights and input: it would solve nothing more."""
    second = built.recipe("2.0.0", (0, 1))
    twin = [*committee((0,)), replace(committee((0,))[0], id="net1/32")]
    with pytest.raises(UsageError, match="net1/32 is in the committee already, as net0/32"):
        refresh(second, [], built.root / "w", SETTINGS, built.before("1.0.0"), classifiers=twin)


def test_what_is_not_there(built, tmp_path):
    """No scores, no build, the same work folder, another mode, scores of another recipe."""
    second, before = built.recipe("2.0.0", (0, 1)), built.before("1.0.0")

    def said(where=before, work=tmp_path / "w", **how):
        with pytest.raises((UsageError, ResultError)) as caught:
            refresh(second, [], work, SETTINGS, where, classifiers=[], **how)
        return str(caught.value)

    assert "give its folder with --parent-build" in said(replace(before, build=tmp_path))
    assert "Give the work folder with --parent-work" in said(replace(before, work=tmp_path))
    assert "is the work folder of the set that is refreshed" in said(work=before.work)
    assert "in the mode exhaustive" in said(mode="exhaustive")
    assert "makes small-hard 2.0.0: give the recipe that it was built by" in said(
        replace(before, recipe=built.path("2.0.0"))
    )
    other = built.recipe("3.0.0", (1,)).model_copy(update={"version": "1.0.0"})
    path = tmp_path / "other.yaml"
    path.write_text(built.path("3.0.0").read_text().replace("3.0.0", "1.0.0"))
    assert f"were not made by the recipe {other.name}" in said(replace(before, recipe=path))
    assert not (tmp_path / "w").exists()


def test_a_damaged_or_foreign_parent(built, tmp_path):
    """A changed list of images, and a work folder that refreshes something else."""
    copy = tmp_path / "build"
    shutil.copytree(built.out("1.0.0"), copy)
    listed = (copy / IMAGES).read_bytes()
    (copy / IMAGES).write_bytes(listed[: listed.rindex(b"imagenet/")])
    args = (tmp_path / "work", built.path("1.0.0"), built.work("1.0.0") / FILE)
    with pytest.raises(ResultError, match=r"images\.csv is not what manifest\.json says"):
        adopt(*args, copy)
    (copy / IMAGES).write_bytes(listed)
    parent = adopt(*args, copy)
    assert adopt(*args, copy).digest == adopt(*args, tmp_path / "moved").digest == parent.digest
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest))  # other bytes: another build
    with pytest.raises(ResultError, match="refreshes another set"):
        adopt(*args, copy)
    second = built.recipe("2.0.0", (0, 1))
    score(second, built.opened(second), tmp_path / "work", SETTINGS, classifiers=committee((0, 1)))
    with pytest.raises(ResultError, match="was begun without this parent"):
        begin(second, parent, built.opened(second), tmp_path / "work", "early-exit")


def test_images_that_are_gone_or_replaced(rolling, known_networks):
    """A refresh is of the same pool and more: it names what is missing, and files with other bytes."""
    rolling.first((0,))
    second = rolling.recipe("2.0.0", (0, 1))
    file = rolling.root / "val/2.jpg"
    data = file.read_bytes()
    file.unlink()
    with pytest.raises(
        DatasetError, match=r"1 images of the source imagenet are gone \(imagenet/2\.jpg\): restore"
    ):
        rolling.refresh(second, (0, 1), "1.0.0")
    file.write_bytes(made(N).data[5])
    with pytest.raises(DatasetError, match=r"1 images have other bytes \(.*2\.jpg\)"):
        rolling.refresh(second, (0, 1), "1.0.0")
    file.write_bytes(data)
    rolling.refresh(second, (0, 1), "1.0.0")
    limited = rolling.recipe("3.0.0", (0,), sources=[{**SOURCE, "limit": 5}])
    rolling.refresh(limited, (0,), "1.0.0")
    version = rolling.build(limited).version
    assert {each.reason for each in version.retired} == {"gone"}


STATES = st.sampled_from(("early-exit", "exhaustive"))
TRUTH = st.lists(st.tuples(*[st.sampled_from([None, 0, 3, 8])] * 3), min_size=1, max_size=5)
COMMITTEES = st.sets(st.integers(0, 2), min_size=1)


@settings(max_examples=60)
@given(TRUTH, COMMITTEES, COMMITTEES, STATES, st.data())
def test_what_is_carried_leads_to_the_same_survivors(truth, old, new, mode, data):
    """On made-up scores: whoever comes or goes, an image ends as if scored from the start.

    ``truth``: for each image the zoom that solves it for each of three classifiers, or None.
    """
    source = Made(
        [f"imagenet/{i}" for i in range(len(truth))], [b""] * len(truth), [(1,)] * len(truth), set()
    )

    def views(solving):
        found = Views(np.full(9, 1, np.float32), np.full(9, 7, np.int16), np.zeros(9, bool))
        if solving is not None:
            found.deficit[solving], found.predicted[solving] = -1, 1
        return found

    def scored(id, solved_by):
        """As a run leaves an image: ``solved_by`` whom, of those who can."""
        record = ImageRecord(id, "imagenet", (1,), "ab" * 32, "solved" if solved_by is not None else "hard")
        row = truth[int(id.rpartition("/")[2])]
        if solved_by is not None:
            record.classifier, record.zoom = f"c{solved_by}", row[solved_by]
        record.views = {f"c{c}": views(row[c]) for c in old}
        return record

    with CurationStore(None) as store:
        for id, row in zip(source.ids, truth, strict=True):
            able = sorted(c for c in old if row[c] is not None)
            solved_by = data.draw(st.sampled_from(able)) if able else None
            store.write([scored(id, solved_by)], keep_views=mode == "exhaustive")
        kept = {f"c{c}" for c in old & new}
        carried = list(carried_records(store, [source.source()], kept, bool(new - old)))
    for record in carried:
        row = truth[int(record.id.rpartition("/")[2])]
        expected = any(row[c] is not None for c in new)
        assert set(record.views) <= kept
        if record.state == "open":  # what is left to try decides
            tried = {c for c in new if f"c{c}" in record.views and record.views[f"c{c}"].tried.all()}
            assert not any(row[c] is not None for c in tried)
            assert expected == any(row[c] is not None for c in new - tried)
        else:
            assert (record.state == "solved") == expected
            assert (record.classifier is None) == (record.state == "hard")
            if record.classifier is not None:
                assert row[int(record.classifier[1:])] == record.zoom
                assert record.classifier in kept
