"""Tables: for a terminal, as Markdown, LaTeX and CSV; and CSV files that others wrote, read strictly."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from imagenet_hard.base.errors import ImageNetHardError, ResultError
from imagenet_hard.base.files import read_bounded
from imagenet_hard.base.text import counted, markdown_cell, printable, shorten, spreadsheet_cell, tex_cell

if TYPE_CHECKING:
    import rich.table

MAX_CSV_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Table:
    """Cells as people read them. ``align``: "l" or "r" for each column; left where nothing is said.

    ``total``: the last row is a sum of the others, and set apart. No cell is read as markup.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    align: str = ""
    title: str = ""
    caption: str = ""
    total: bool = False

    def terminal(self) -> rich.table.Table:
        """For ``rich``'s console."""
        from rich.table import Table as Rich
        from rich.text import Text

        def text(value: object) -> Text:  # never str: rich would read "[link=...]" as markup, in titles too
            return Text(printable(str(value)))

        made = Rich(
            title=text(self.title) if self.title else None,
            caption=text(self.caption) if self.caption else None,
        )
        for name, side in zip(self.header, self._sides(), strict=True):
            made.add_column(text(name), justify="right" if side == "r" else "left", overflow="fold")
        for number, row in enumerate(self.rows, start=1):
            before_total = self.total and number == len(self.rows) - 1
            made.add_row(*map(text, row), end_section=before_total)
        return made

    def markdown(self) -> str:
        """A table in GitHub's Markdown, without the title."""
        rule = ["---:" if side == "r" else "---" for side in self._sides()]
        cells = [[markdown_cell(str(each)) for each in row] for row in (self.header, *self.rows)]
        return "".join(f"| {' | '.join(line)} |\n" for line in (cells[0], rule, *cells[1:]))

    def latex(self) -> str:
        """A ``tabular`` for the package booktabs, under the title as a comment."""
        lines = [
            " & ".join(tex_cell(str(each)) for each in row) + r" \\" for row in (self.header, *self.rows)
        ]
        body = (
            *([f"% {printable(self.title)}"] if self.title else []),
            rf"\begin{{tabular}}{{{self._sides()}}}",
            *(r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"),
            r"\end{tabular}",
        )
        return "\n".join(body) + "\n"

    def _sides(self) -> str:
        return self.align.ljust(len(self.header), "l")


def spreadsheet_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """CSV for people: no text runs as a formula; None is an empty cell, numbers are written in full."""
    lines = ([spreadsheet_cell(x) if isinstance(x, str) else x for x in row] for row in (header, *rows))
    return _written(lines, "\n")


def exact_csv(rows: Iterable[Sequence[Any]]) -> str:
    """CSV for programs, with Windows line ends: every text is read back as it is."""
    # The line end tells the writer what to quote: a lone "\r" in an id would end the row when it is read.
    return _written(rows, "\r\n")


def _written(rows: Iterable[Sequence[Any]], line_end: str) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator=line_end).writerows(rows)
    return out.getvalue()


class CsvRow(NamedTuple):
    """``place``: "FILE:LINE", the line where it begins; ``cells``: as many as there are columns."""

    place: str
    cells: list[str]


def read_csv(
    path: Path,
    columns: Sequence[str] = (),
    *,
    more: bool = False,
    limit: int = MAX_CSV_BYTES,
    error: type[ImageNetHardError] = ResultError,
    hint: str = "",
) -> tuple[list[str], list[CsvRow]]:
    """Header and rows of a CSV file in UTF-8, a byte order mark or not; blank lines are passed over.

    ``columns``: what the header has to be, or with ``more`` what has to be in it: rows then hold these alone.
    Empty: any header. ``limit``: bytes; ``hint``: what to do where header or cells are others.

    Raises:
        error: ``FILE:LINE:`` with what stands there and what was expected.
    """
    data = read_bounded(path, limit, error=error)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise error(f"{path} is not UTF-8 text ({problem}): save it as CSV in UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line, rows, advice = 1, list[CsvRow](), hint and f"; {hint}"
    try:
        header = next(reader, [])
        if [n for n in columns if header.count(n) != 1] if more else columns and header != list(columns):
            expected = ",".join(columns) + (" once each, and any others" if more else "")
            raise error(f"{path}:1: got the header {shorten(','.join(header))}, expected {expected}{advice}")
        chosen = [header.index(name) for name in columns] if more else None
        line = reader.line_num + 1
        for cells in reader:
            if cells:
                if len(cells) != len(header):
                    raise error(
                        f"{path}:{line}: got {counted(len(cells), 'cell')}, expected {len(header)} "
                        f"({shorten(','.join(header))}){advice}"
                    )
                rows.append(CsvRow(f"{path}:{line}", [cells[i] for i in chosen] if chosen else cells))
            line = reader.line_num + 1
    except csv.Error as problem:
        raise error(f"{path}:{line}: not CSV: {problem}") from None
    return (list(columns) if more else header), rows


def package_csv(package: str, name: str) -> list[dict[str, str]]:
    """A CSV file in the folder ``data`` of one of our packages: a dict a row."""
    text = files(package).joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text, newline="")))
