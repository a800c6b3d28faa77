"""What a reader takes along: the table, the images and each entry, as CSV and JSON with plain numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from imagenet_hard.base.tables import spreadsheet_csv
from imagenet_hard.imagenet.classes import names as class_names
from imagenet_hard.leaderboard.site.cite import badge
from imagenet_hard.leaderboard.site.data import Board, SiteEntry
from imagenet_hard.leaderboard.site.data_files import commonest_wrong

HEADER = (
    *("rank", "rank_low", "rank_high", "id", "name", "org", "backend", "architecture", "tag", "tier"),
    *("n_correct", "n_total", "top1", "low", "high", "top5", "parameters", "training_data", "date"),
    *("used_in_curation", "imagenet_top1_reported", "effective_robustness", "rank_diff"),
)


def downloads(board: Board) -> Iterator[tuple[str, str]]:
    """(path, text) of every download of a board."""
    yield f"downloads/{board.slug}.csv", table_csv(board)
    yield f"downloads/{board.slug}.json", _json(table_json(board))
    yield f"downloads/{board.slug}-images.csv", _images(board)
    for entry in board.entries:
        yield f"downloads/entries/{entry.id}.json", _json({**_head(board), **entry.model_dump(mode="json")})
        yield f"downloads/entries/{entry.id}.csv", _classes(entry)
        if board.labelled:
            yield f"badges/{entry.id}.svg", badge(board, entry)


def table_csv(board: Board) -> str:
    """One line an entry; shares in [0, 1], one column more for each origin."""
    rows = ([*_cells(e), *_origins(board, e)] for e in board.entries)
    return spreadsheet_csv([*HEADER, *(f"top1 {name}" for name in board.origins)], rows)


def table_json(board: Board) -> dict[str, Any]:
    """The same with full precision and every field but the per-class counts."""
    entries = [entry.model_dump(mode="json", exclude={"per_class", "calibration"}) for entry in board.entries]
    return {**_head(board), "entries": entries}


def _head(board: Board) -> dict[str, Any]:
    return {"benchmark": board.title, "source": board.source, "fingerprint": board.fingerprint, "n": board.n}


def _cells(e: SiteEntry) -> list[Any]:
    return [
        *(e.rank.place, e.rank.low, e.rank.high),
        *(e.id, e.name, e.org, e.backend, e.architecture, e.tag, e.tier),
        *(e.top1.n_correct, e.top1.n_total, e.top1.accuracy, e.top1.low, e.top1.high),
        e.top5 and e.top5.accuracy,
        e.parameters,
        e.training_data,
        e.date and e.date.isoformat(),
        str(e.used_in_curation).lower(),
        None if e.imagenet_top1 is None else e.imagenet_top1 / 100,
        e.effective_robustness,
        e.rank_diff,
    ]


def _origins(board: Board, entry: SiteEntry) -> list[Any]:
    return [entry.origins[name].accuracy if name in entry.origins else "" for name in board.origins]


def _images(board: Board) -> str:
    wrong, votes = commonest_wrong(board)
    rows = zip(board.image_ids, board.labels, board.image_origins, board.solved_by, wrong, votes, strict=True)
    header = ("id", "labels", "origin", "solved_by", "commonest_wrong", "commonest_wrong_votes")
    return spreadsheet_csv(
        header,
        (
            [i, " ".join(map(str, each)), origin, k, None if w < 0 else w, v]
            for i, each, origin, k, w, v in rows
        ),
    )


def _classes(entry: SiteEntry) -> str:
    names, counts = class_names(), entry.per_class
    rows = zip(range(len(names)), names, counts.n_correct, counts.n_total, strict=True)
    return spreadsheet_csv(("class", "name", "n_correct", "n_total"), (row for row in rows if row[3]))


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=True, allow_nan=False) + "\n"
