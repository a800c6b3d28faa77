"""The store of scores: what goes in comes out, batches are whole or absent, and misuse is named."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from imagenet_hard.base.errors import ResultError
from imagenet_hard.curation.store import CurationStore, ImageRecord, Views


def views(n: int = 27, seed: int = 0) -> Views:
    rng = np.random.default_rng(seed)
    found = Views.empty(n)
    found.deficit[:] = rng.uniform(0.1, 9, n)
    found.predicted[:] = rng.integers(0, 1000, n)
    found.screened[3] = True
    return found


def record(id: str = "a", state: str = "open", **changes: object) -> ImageRecord:
    return ImageRecord(id, "imagenet", (3, 5), "0" * 64, state, views={"net": views()}, **changes)


def test_round_trip(tmp_path):
    """Records, views, rates and facts survive closing and opening."""
    path = tmp_path / "work/scores.sqlite"
    with CurationStore(path, create=True) as store:
        store.write([record()], {("net", 4): (10, 2)}, {"note": "x"})
    with CurationStore(path) as store:
        (found,) = store.images()
        assert (found.id, found.source, found.labels, found.state) == ("a", "imagenet", (3, 5), "open")
        got = store.views("a")["net"]
        np.testing.assert_array_equal(got.deficit, views().deficit)
        np.testing.assert_array_equal(got.predicted, views().predicted)
        np.testing.assert_array_equal(got.screened, views().screened)
        assert store.rates() == {("net", 4): (10, 2)}
        assert store.fact("note") == "x"
        assert store.fact("nothing") is None


def test_a_solved_image_keeps_no_views_unless_asked(tmp_path):
    """Most images are solved; what they looked like on the way is dropped."""
    with CurationStore(tmp_path / "s", create=True) as store:
        store.write([record()])
        store.write([record(state="solved", classifier="net", zoom=7)])
        assert store.views("a") == {}
        store.write([record("b", state="solved", classifier="net", zoom=7)], keep_views=True)
        assert set(store.views("b")) == {"net"}


def test_survivors_show_their_closest_views(tmp_path):
    """The standard view of each classifier, and the nine smallest deficits."""
    with CurationStore(tmp_path / "s", create=True) as store:
        store.remember(standard=json.dumps({"net": 13}))
        store.write([record(state="hard"), record("z", state="solved", classifier="net", zoom=1)])
        (survivor,) = store.survivors()
    assert (survivor.id, survivor.labels) == ("a", (3, 5))
    (standard,) = survivor.standard
    assert (standard.zoom, standard.predicted) == (13, int(views().predicted[13]))
    assert [v.deficit for v in survivor.closest] == sorted(views().deficit.tolist())[:9]


def test_the_summary_counts_by_source(tmp_path):
    """Seen, solved, hard and undecided; complete only when all are there and the run said so."""
    with CurationStore(tmp_path / "s", create=True) as store:
        store.remember(sizes=json.dumps({"imagenet": 3}), recipe_sha256="ab")
        store.write([record("a", "hard"), record("b", "solved"), record("c", "failed", error="no JPEG")])
        summary = store.summary()
        assert (summary.seen, summary.solved) == ({"imagenet": 3}, {"imagenet": 1})
        assert (summary.hard, summary.undecided) == ({"imagenet": 1}, {"imagenet": 1})
        assert summary.failures == {"c": "no JPEG"}
        assert not summary.complete
        store.remember(finished="yes")
        assert store.summary().complete


def test_a_failed_batch_leaves_nothing(tmp_path):
    """All of a batch or none of it."""
    with CurationStore(tmp_path / "s", create=True) as store:
        broken = record("b")
        broken.labels = {1, 2}  # type: ignore[assignment]  # no JSON
        with pytest.raises(TypeError):
            store.write([record("a"), broken])
        assert list(store.images()) == []


def test_no_store_no_scores(tmp_path):
    """Reading before scoring says what to do, and makes no file."""
    with pytest.raises(ResultError, match="run `imagenet-hard curate score` with this --work first"):
        CurationStore(tmp_path / "scores.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_on_the_same_store_stops(tmp_path):
    """Two writers would interleave."""
    path = tmp_path / "s"
    with CurationStore(path, create=True) as first:
        first.remember(a="b")
        with pytest.raises(ResultError, match="Another run is writing there"):
            CurationStore(path, create=True)


@pytest.fixture
def locked(monkeypatch):
    """Makes a folder and all in it read-only, for root too, and gives it back."""
    if not hasattr(os, "geteuid"):
        pytest.skip("needs POSIX permissions")
    is_root, folder = os.geteuid() == 0, Path(tempfile.mkdtemp())

    def lock() -> Path:
        for path in folder.iterdir():
            path.chmod(0o444)
        folder.chmod(0o555)
        if is_root:
            os.seteuid(65534)
        return folder

    yield folder, lock
    if is_root:
        os.seteuid(0)
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_scores_on_a_read_only_disk_are_read(locked):
    """A backup, or a colleague's folder; writing there says so."""
    folder, lock = locked
    with CurationStore(folder / "scores.sqlite", create=True) as store:
        store.write([record("a", "hard")], {}, {"note": "x"})
    lock()
    with CurationStore(folder / "scores.sqlite") as store:
        assert [each.id for each in store.survivors()] == ["a"]
        assert store.fact("note") == "x"
    with pytest.raises(ResultError, match="may be written, or give another --work"):
        CurationStore(folder / "scores.sqlite", create=True)


def test_a_killed_run_is_read_where_that_is_possible(locked):
    """Its last batch waits in SQLite's log: it is read, or said to be there."""
    folder, lock = locked
    path = folder / "scores.sqlite"
    code = (
        "import os; from pathlib import Path; from imagenet_hard.curation.store import CurationStore\n"
        f"store = CurationStore(Path({str(path)!r}), create=True); store.remember(note='x'); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert (folder / "scores.sqlite-wal").stat().st_size > 0
    for name in ("scores.sqlite", "scores.sqlite-wal"):
        shutil.copy(folder / name, folder / f"2{name}")
    with CurationStore(path) as store:
        assert store.fact("note") == "x"
    lock()
    with pytest.raises(
        ResultError, match="last writes are in .*2scores.sqlite-wal, which SQLite can read only"
    ):
        CurationStore(folder / "2scores.sqlite").fact("note")


def test_a_damaged_store_is_named(tmp_path):
    """Not SQLite."""
    path = tmp_path / "s"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(ResultError, match="The file is damaged"):
        CurationStore(path)


def test_a_full_disk_keeps_what_was_written(tmp_path):
    """The batch that does not fit is rolled back, and the message says that one can go on."""
    with CurationStore(tmp_path / "s", create=True) as store:
        store.write([record("a")])
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count={pages + 2}")
        with pytest.raises(ResultError, match="Free some space and run the same command again"):
            store.write([record(f"b{i}") for i in range(500)])
        store._db.execute("PRAGMA max_page_count=100000")
        assert [r.id for r in store.images()] == ["a"]
        store.write([record("c")])
    with closing(sqlite3.connect(tmp_path / "s")) as db, db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
