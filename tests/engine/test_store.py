"""The store loses nothing that it has acknowledged, and never mixes two runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from imagenet_hard.base.errors import ResultError
from imagenet_hard.engine.store import Row, Store


def add(store: Store, *ids: str) -> None:
    n = len(ids)
    rows = [Row(i, (1, 2), "o", "ab" * 32) for i in ids]
    top5 = np.arange(5 * n, dtype=np.int16).reshape(n, 5)
    store.add(rows, top5, -np.ones((n, 5), np.float32), np.full(n, 0.5, np.float32))


def test_what_goes_in_comes_out_sorted(tmp_path):
    """Rows come back by id, bit for bit."""
    with Store(tmp_path / "s.sqlite", "k") as store:
        add(store, "b", "a")
    with Store(tmp_path / "s.sqlite", "k") as store:
        scored = store.read()
    assert scored.predictions.ids == ("a", "b")
    assert scored.predictions.top5.tolist() == [[5, 6, 7, 8, 9], [0, 1, 2, 3, 4]]
    assert scored.predictions.top5.dtype == np.int16
    assert scored.labels == ((1, 2), (1, 2))


def test_another_key_starts_afresh(tmp_path):
    """Rows of other weights or images are never reused."""
    with Store(tmp_path / "s.sqlite", "k") as store:
        add(store, "a")
    with Store(tmp_path / "s.sqlite", "other") as store:
        assert store.rows() == {}


def test_a_batch_is_kept_whole_or_not_at_all(tmp_path):
    """A batch with an id that is there already leaves no part of itself."""
    with Store(tmp_path / "s.sqlite", "k") as store:
        add(store, "a")
        with pytest.raises(ResultError):
            add(store, "b", "a")
        assert set(store.rows()) == {"a"}


def test_two_runs_cannot_write_one_store(tmp_path):
    """The second run is told, instead of interleaving with the first."""
    with Store(tmp_path / "s.sqlite", "k") as store:
        add(store, "a")
        with pytest.raises(ResultError, match="Another run is writing there"):
            Store(tmp_path / "s.sqlite", "k")


def test_a_damaged_file_is_named(tmp_path):
    """Garbage is no empty store."""
    (tmp_path / "s.sqlite").write_bytes(b"not a database, certainly" * 100)
    with pytest.raises(ResultError, match=r"s\.sqlite.*damaged: delete it"):
        Store(tmp_path / "s.sqlite", "k")


def test_a_folder_that_cannot_be_made(tmp_path):
    """A file where the folder should be is an error of ours, not a traceback."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="cannot write the scored images"):
        Store(tmp_path / "file" / "s.sqlite", "k")


def test_a_full_disk_says_so(tmp_path):
    """SQLite's own page limit plays the full disk; what was acknowledged before is still there."""
    with Store(tmp_path / "s.sqlite", "k") as store:
        add(store, "a")
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(ResultError, match="Free some space and run the same command again"):
            add(store, *(f"{i:05}" for i in range(5000)))
        assert set(store.rows()) == {"a"}


def test_kill_9_keeps_every_acknowledged_batch(tmp_path):
    """A process killed right after `add` returned has lost nothing."""
    code = f"""
        import os, signal
        from pathlib import Path
        from imagenet_hard.engine.store import Store
        from tests.engine.test_store import add
        store = Store(Path({str(tmp_path / "s.sqlite")!r}), "k")
        for i in range(7):
            add(store, f"x{{i}}", f"y{{i}}")
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env={**os.environ, "PYTHONPATH": os.curdir}
    )
    assert done.returncode == -signal.SIGKILL
    with Store(tmp_path / "s.sqlite", "k") as store:
        assert len(store.rows()) == 14


def test_delete_leaves_nothing(tmp_path):
    """After the result is written the folder holds no trace of the store."""
    store = Store(tmp_path / "s.sqlite", "k")
    add(store, "a")
    store.clear()
    store.close()
    assert list(tmp_path.iterdir()) == []
