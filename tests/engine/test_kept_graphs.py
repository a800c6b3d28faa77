"""Graphs in the cache folder: room is made by those that nobody has used for longest."""

from __future__ import annotations

import os

from imagenet_hard.engine import kept_graphs


def test_what_was_not_used_for_longest_goes(tmp_path, monkeypatch):
    """The newest stays however large it is; what is no graph is left alone."""
    for age, name in enumerate(("new", "used", "old", "older")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "graph.bin").write_bytes(bytes(100))
        (folder / "graph.xml").touch()
        os.utime(folder / "graph.xml", (1000 - age, 1000 - age))
    (tmp_path / "unfinished").mkdir()
    for most, left in ((300, {"new", "used", "old"}), (100, {"new"}), (10, {"new"})):
        monkeypatch.setattr(kept_graphs, "MOST_BYTES", most)
        kept_graphs._make_room(tmp_path, tmp_path / "new")
        assert {each.name for each in tmp_path.iterdir()} == left | {"unfinished"}
