"""The correctness matrix: from a store, on disk and back, and what is refused."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from imagenet_hard.base.errors import ResultError
from imagenet_hard.curation.store import FILE as SCORES
from imagenet_hard.dataset.decode import decode
from imagenet_hard.study.gallery import gallery
from imagenet_hard.study.matrix import collect, read_matrix, write_matrix
from tests.curation.small import SETTINGS, made
from tests.study.small import classifiers, recipe, scored, sources


def test_every_bit_equals_the_protocol(matrix):
    """Each zoom of each image cut and classified for itself; near-ties would differ, there are none."""
    import torch

    images, assert_n = made(30), 0
    for who in classifiers():
        got = matrix.correct(who.id)
        for row in range(0, 30, 3):
            image = decode(images.data[row]).convert("RGB")
            pixels = [crop for _, crop in who.grid.crops(image, range(36))]
            with torch.inference_mode():
                logits = who.model.module(who.model.transform.batch(pixels, "cpu"))
            expected = logits.argmax(dim=1).numpy() == images.labels[row][0]
            np.testing.assert_array_equal(got[row], expected)
            assert_n += expected.sum()
    assert assert_n > 0


def test_sources_are_parts_of_the_whole(matrix):
    """Rows of the sources in their order; packing by zoom holds the same bits."""
    for name in matrix.info.classifiers:
        whole = matrix.correct(name)
        parts = [matrix.correct(name, each.source) for each in matrix.info.images]
        np.testing.assert_array_equal(np.concatenate(parts), whole)
        assert [len(part) for part in parts] == [20, 10]
        unpacked = np.unpackbits(matrix.by_zoom(name), axis=1, count=30).T
        np.testing.assert_array_equal(unpacked, whole)
    with pytest.raises(KeyError):
        matrix.correct("net0/32", "imagenet-x")


def test_round_trip(matrix, tmp_path):
    """What was written is read again, and the same matrix gives the same bytes."""
    write_matrix(matrix, tmp_path / "a.npz")
    write_matrix(matrix, tmp_path / "b.npz")
    again = read_matrix(tmp_path / "a.npz")
    assert again.info == matrix.info
    np.testing.assert_array_equal(again.bits, matrix.bits)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert json.loads(arrays["info"].tobytes())["recipe"] == "tiny"


def changed(matrix, tmp_path, **arrays):
    parts = {"info": np.frombuffer(matrix.info.model_dump_json().encode(), np.uint8), "bits": matrix.bits}
    out = io.BytesIO()
    np.savez(out, **{**parts, **arrays})
    path = tmp_path / "matrix.npz"
    path.write_bytes(out.getvalue())
    return path


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"bits": np.zeros((2, 30, 4), np.uint8)},
            r"bits is uint8 \(2, 30, 4\), expected uint8 \(2, 30, 5\)",
        ),
        ({"bits": np.zeros((2, 30, 5), np.int8)}, "bits is int8"),
        ({"info": np.frombuffer(b"{}", np.uint8)}, "recipe"),
        ({"info": np.frombuffer(b"no json", np.uint8)}, "JSON"),
        ({"bits": np.array([{}], dtype=object)}, "cannot read the matrix"),
    ],
)
def test_a_damaged_matrix_is_refused(matrix, tmp_path, arrays, message):
    """By what is wrong in it; a pickled array is never loaded."""
    with pytest.raises(ResultError, match=message):
        read_matrix(changed(matrix, tmp_path, **arrays))


def test_what_is_no_matrix_is_refused(tmp_path, matrix, monkeypatch):
    """Missing, not a zip file, or one that unpacks to too much."""
    with pytest.raises(ResultError, match="cannot read the matrix"):
        read_matrix(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(ResultError, match="Expected the matrix.npz"):
        read_matrix(tmp_path / "text.npz")
    path = changed(matrix, tmp_path)
    monkeypatch.setattr("imagenet_hard.study.matrix.MAX_BYTES", 100)
    with pytest.raises(ResultError, match="unpacks to"):
        read_matrix(path)


def test_scores_of_another_kind_are_refused(work, tmp_path):
    """Of another recipe, or of a run that leaves at the first right zoom."""
    other = recipe().model_copy(update={"scales": (224, 256)})
    with pytest.raises(ResultError, match="holds the scores of the recipe 'tiny' as it was then"):
        collect(other, work)
    with pytest.raises(ResultError, match="was scored in the mode early-exit"):
        collect(recipe(), scored(tmp_path / "early", mode="early-exit"))
    with pytest.raises(ResultError, match="does not exist"):
        collect(recipe(), tmp_path / "nowhere")


def test_an_unfinished_run(work, tmp_path):
    """Refused with numbers; with partial the images that are done are there."""
    path = tmp_path / "work"
    shutil.copytree(work, path)
    with closing(sqlite3.connect(path / SCORES)) as db, db:
        db.execute("UPDATE facts SET value = 'no' WHERE name = 'finished'")
        db.execute("DELETE FROM images WHERE id >= 'imagenet/015' AND source = 'imagenet'")
        db.execute("DELETE FROM views WHERE image = 'imagenet/003' AND classifier = 'net1/32'")
    db.close()
    with pytest.raises(ResultError, match="is not complete: 25 of 30 images are done.*--partial"):
        collect(recipe(), path)
    found = collect(recipe(), path, partial=True).info
    assert [len(each.ids) for each in found.images] == [14, 10]
    assert "imagenet/003" not in found.images[0].ids


def test_images_that_failed_are_named(tmp_path):
    """They are in no row, and their reason is kept."""
    from imagenet_hard.curation.score.run import score

    broken = sources()
    read = broken[0].images
    data = made(30).data
    parts = (read.about, read.ids, read.labels, read.origins)
    bad = type(read)(*parts, lambda i: b"no" if i == 4 else data[i])
    first = type(broken[0])(broken[0].spec, bad, None)
    score(recipe(), [first, broken[1]], tmp_path, SETTINGS, mode="exhaustive", classifiers=classifiers())
    info = collect(recipe(), tmp_path).info
    assert list(info.left_out) == ["imagenet/004"]
    assert info.n_images == 29


def test_rows_of_the_wrong_length_are_refused(work, tmp_path):
    """A store that was tampered with."""
    path = tmp_path / "work"
    shutil.copytree(work, path)
    with closing(sqlite3.connect(path / SCORES)) as db, db:
        row = np.zeros(9, np.float32).tobytes()
        db.execute("UPDATE views SET deficit = ? WHERE image = 'imagenet/000'", (row,))
    db.close()
    with pytest.raises(ResultError, match="'imagenet/000' has 9 zooms of net0/32: expected 36"):
        collect(recipe(), path)


def test_an_image_that_one_classifier_fails_on_is_named(work, tmp_path):
    """Solved by another one, it counts as decided: it is left out with the reason, and not shown."""
    path = tmp_path / "work"
    shutil.copytree(work, path)
    with closing(sqlite3.connect(path / SCORES)) as db, db:
        row = np.full(36, np.nan, np.float32).tobytes()
        db.execute(
            "UPDATE views SET deficit = ? WHERE classifier = 'net1/32' AND image = 'imagenet/000'", [row]
        )
    db.close()
    info = collect(recipe(), path).info
    assert info.left_out == {"imagenet/000": "net1/32 failed under some of its zooms"}
    assert info.n_images == 29
    assert gallery(recipe(), sources(), path)
