"""What a reader takes along: the table, the images and each entry, as CSV and JSON with plain numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.tables import spreadsheet_csv
from imagenet_hard.base.text import shorten
from imagenet_hard.base.types import NO_CLASS, Record
from imagenet_hard.imagenet.classes import names as class_names
from imagenet_hard.leaderboard.site.cite import badge
from imagenet_hard.leaderboard.site.columns import fields_of
from imagenet_hard.leaderboard.site.data import Board, Ranked
from imagenet_hard.leaderboard.site.provenance import provenance


def downloads(board: Board) -> Iterator[tuple[str, str]]:
    """(path, text) of every download of a board."""
    yield f"downloads/{board.slug}.csv", table_csv(board)
    yield f"downloads/{board.slug}.json", _json(table_json(board))
    for entry in board.entries:
        yield (
            f"downloads/entries/{entry.id}.json",
            _json({**_head(board), **_record(board, entry), **_per_class(entry)}),
        )
        yield f"downloads/entries/{entry.id}.csv", _classes(entry)
        if entry.said:
            yield f"downloads/entries/{entry.id}-answers.jsonl", entry.said.jsonl
        if board.submitted:
            yield f"badges/{entry.id}.svg", badge(board, entry)


def answer_files(board: Board) -> Iterator[tuple[str, bytes]]:
    """(path, Parquet) of all answers, an image a row: ``id`` and a column an entry, called by the entry's id.

    ``-top1`` has int16 classes, as ``leaderboard import`` reads them, and -1 for words that name none, which
    it does not; ``-correct`` whether they are right.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    for what, values in (("top1", board.predicted), ("correct", board.correct)):
        columns = {"id": pa.array(board.image_ids, pa.string())}
        columns |= {entry.id: pa.array(row) for entry, row in zip(board.entries, values, strict=True)}
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table(columns), sink, compression="zstd")
        yield f"downloads/{board.slug}-{what}.parquet", sink.getvalue().to_pybytes()


def table_csv(board: Board, top: int | None = None) -> str:
    """One line for each of the first ``top`` entries; shares in [0, 1], a column for each origin."""
    fields = fields_of(board)
    rows = ([field.cell(entry) for field in fields] for entry in board.entries[:top])
    return spreadsheet_csv([field.name for field in fields], rows)


def table_json(board: Board, top: int | None = None) -> dict[str, Any]:
    """The same with every record but the counts of each class."""
    return {**_head(board), "entries": [_record(board, entry) for entry in board.entries[:top]]}


def _head(board: Board) -> dict[str, Any]:
    return {"benchmark": board.title, "source": board.source, "fingerprint": board.fingerprint, "n": board.n}


_GROUPS = ("origins", "n_labels", "superclasses")


def _record(board: Board, entry: Ranked) -> dict[str, Any]:
    """What is known of an entry; shares are in [0, 1], reported ImageNet accuracy in percent."""
    imagenet = entry.imagenet
    return {
        **{field.name: field.plain(entry) for field in fields_of(board) if field.flat},
        "owner": entry.owner,
        "submitter": entry.submitter,
        "links": _plain(entry.links),
        "imagenet_top1": imagenet.percent if imagenet else None,
        "imagenet_source": _plain(imagenet.source) if imagenet else None,
        **{key: _plain(getattr(entry, key)) for key in ("top1", "top5", "rank", *_GROUPS)},
        "checks": [
            {
                "name": check.name,
                "outcome": check.outcome,
                "detail": check.detail,
                "when": check.when.isoformat(),
                "version": check.version,
            }
            for check in entry.checks
        ],
        "earlier": _plain(entry.earlier),
        "also_on": _plain(entry.also_on),
        "provenance": [asdict(each) for each in provenance(entry)],
        "predictions_sha256": entry.predictions_sha256,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _per_class(entry: Ranked) -> dict[str, Any]:
    return {"per_class": _plain(entry.per_class), "calibration": _plain(entry.calibration)}


def images_csv(images: Mapping[str, Any], rows: Iterable[int] | None = None) -> str:
    """One line for each of the images ``rows``, or for all; ``images``: what ``images_data`` says of them."""
    doubts = images["doubt"] is not None

    def line(i: int) -> list[Any]:
        row = [
            images["id"][i],
            " ".join(map(str, images["labels"][i])),
            images["origins"][images["origin"][i]],
            images["solvedBy"][i],
            _class(images["wrong"][i]),
            images["votes"][i],
        ]
        if doubts:
            thousandths = images["doubt"][i]
            whole = thousandths % 1000 == 0
            row += [thousandths // 1000 if whole else thousandths / 1000, _class(images["other"][i])]
        return row

    header = ("id", "labels", "origin", "solved_by", "commonest_wrong", "commonest_wrong_votes")
    more = ("doubt", "doubt_class") if doubts else ()
    return spreadsheet_csv((*header, *more), map(line, range(len(images["id"])) if rows is None else rows))


def _class(index: int) -> int | None:
    return None if index == NO_CLASS else index


def ids_text(board: Board, rows: Iterable[int]) -> str:
    """Their ids, one a line, as ``--ids`` reads them.

    Raises:
        UsageError: an id that is no line of text.
    """
    ids = [board.image_ids[i] for i in rows]
    if odd := [id for id in ids if id.splitlines() != [id.strip()]]:
        raise UsageError(f"the id {shorten(odd[0])} is no plain line of text: take the images as CSV")
    return "".join(f"{id}\n" for id in ids)


def _classes(entry: Ranked) -> str:
    names, counts = class_names(), entry.per_class
    rows = zip(range(len(names)), names, counts.n_correct, counts.n_total, strict=True)
    return spreadsheet_csv(("class", "name", "n_correct", "n_total"), (row for row in rows if row[3]))


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=True, allow_nan=False) + "\n"
