"""The chain of a data set's versions: an id is one image for good, and the last rows give all others."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagenet_hard.base.errors import DatasetError, ResultError
from imagenet_hard.dataset.versions import (
    Change,
    Version,
    VersionRow,
    Versions,
    changes_between,
    fingerprint_of,
    kept_ids,
    rows_of_all,
)


def sha(image: int) -> str:
    return hashlib.sha256(bytes([image])).hexdigest()


def version(number: int, rows: dict[str, VersionRow], before: dict[str, VersionRow] | None = None) -> Version:
    """A version of ``rows``, whose reasons do not matter here."""
    return Version(
        version=f"{number}.0.0",
        fingerprint=fingerprint_of(rows),
        n=len(rows),
        classifiers={},
        parent=None if before is None else sha(number),
        changes=tuple(
            Change(before=a, after=b, reason="new" if a is None else "solved" if b is None else "relabelled")
            for a, b in changes_between(before or rows, rows)
        ),
    )


def row(id: str, image: int, label: int = 0) -> VersionRow:
    return VersionRow(id=id, origin=id.split("/")[0], labels=(label,), image_sha256=sha(image))


# Of each version: image -> (the source that it is hard in, its label). Two sources share the files.
HISTORIES = st.lists(
    st.dictionaries(st.integers(0, 7), st.tuples(st.sampled_from("ab"), st.integers(0, 2)), min_size=1),
    min_size=1,
    max_size=6,
)


@settings(max_examples=100)
@given(HISTORIES)
def test_an_id_is_one_image_for_good(history):
    """Whatever comes, goes and comes back, in whichever source: id and image stay a pair; all is proved."""
    versions: list[Version] = []
    made: list[dict[str, VersionRow]] = []
    known: dict[str, str] = {}
    for number, hard in enumerate(history):
        images = {f"{source}/{image}": sha(image) for image, (source, _) in hard.items()}
        ids = kept_ids(images, known)
        rows = {}
        for image, (source, label) in hard.items():
            id = ids[f"{source}/{image}"]
            rows[id] = VersionRow(id=id, origin=source, labels=(label,), image_sha256=sha(image))
        assert len(rows) == len(hard)
        versions.append(version(number, rows, made[-1] if made else None))
        made.append(rows)
        known = {each.image_sha256: id for version_rows in made for id, each in version_rows.items()}
    pairs = {(id, each.image_sha256) for rows in made for id, each in rows.items()}
    assert len(pairs) == len({id for id, _ in pairs}) == len({image for _, image in pairs})
    chain = Versions.model_validate_json(Versions(name="x", versions=tuple(versions)).model_dump_json())
    assert list(rows_of_all(chain, made[-1], "here")) == made


def test_an_id_that_was_another_image_is_refused():
    """A file was replaced under its name: the image that comes is not to be taken for the one that was."""
    with pytest.raises(DatasetError, match=r"1 ids named other images in an earlier version \(a/1\)"):
        kept_ids({"a/1": sha(2)}, {sha(1): "a/1"})
    assert kept_ids({"b/9": sha(1), "a/2": sha(2)}, {sha(1): "a/1"}) == {"b/9": "a/1", "a/2": "a/2"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"before": row("a/1", 1), "after": row("a/1", 1)}, "before and after are the same"),
        ({"before": row("a/1", 1), "after": row("a/1", 2)}, "an id never names another"),
        ({"before": None, "after": None}, "before and after are the same"),
        ({"before": None, "after": row("a/1", 1), "reason": "luck"}, "reason"),
    ],
)
def test_a_change_that_is_none(change, message):
    with pytest.raises(ValueError, match=message):
        Change(**{"reason": "new", **change})


def test_a_chain_that_does_not_hold():
    """An image slipped in, a change left out, rows of another set, two versions of one name."""
    first, second = {r.id: r for r in (row("a/1", 1), row("a/2", 2))}, {"a/2": row("a/2", 2)}
    one, two = version(1, first), version(2, second, first)
    chain = Versions(name="x", versions=(one, two))
    assert rows_of_all(chain, second, "here") == (first, second)
    with pytest.raises(ResultError, match=r"here: version 2\.0\.0 of x is not what it says"):
        rows_of_all(chain, {"a/3": row("a/3", 3)}, "here")
    empty = Versions(name="x", versions=(one, two.model_copy(update={"changes": ()})))
    with pytest.raises(ResultError, match=r"here: version 1\.0\.0 of x is not what it says"):
        rows_of_all(empty, second, "here")
    false = Change(before=None, after=row("a/2", 2, 5), reason="new")
    wrong = Versions(name="x", versions=(one, two.model_copy(update={"changes": (false,)})))
    with pytest.raises(ResultError, match="says of the image 'a/2' does not fit"):
        rows_of_all(wrong, second, "here")
    came = Change(before=None, after=row("a/2", 2), reason="new")
    with pytest.raises(ResultError, match="says that there was no image before it"):
        rows_of_all(
            Versions(name="x", versions=(one, two.model_copy(update={"changes": (came,)}))), second, "here"
        )
    with pytest.raises(ValueError, match="each version has a name of its own"):
        Versions(name="x", versions=(one, two.model_copy(update={"version": "1.0.0"})))
    with pytest.raises(ValueError, match="the first version has no parent"):
        Versions(name="x", versions=(two,))
    with pytest.raises(ValueError, match="every version but the first has a parent"):
        Versions(name="x", versions=(one, two.model_copy(update={"parent": None})))
