"""SQLite files of long runs: closed by whoever drops them."""

import sqlite3
import threading
from pathlib import Path

import pytest

from imagenet_hard.base.database import Database


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_database_that_another_thread_drops_is_closed(tmp_path: Path, exclusive: bool) -> None:
    Database(
        tmp_path / "a", "CREATE TABLE IF NOT EXISTS t (x)", what="keep", option="--out"
    ).connection.close()
    held = [Database(tmp_path / "a", "", what="keep", option="--out", exclusive=exclusive)]
    connection = held[0].connection
    connection.execute("SELECT * FROM t").fetchall()

    thread = threading.Thread(target=held.clear)
    thread.start()
    thread.join()

    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT * FROM t")
