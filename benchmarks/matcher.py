"""How the matcher of answers in words agrees with written verdicts, and what each of its rules catches.

    python benchmarks/matcher.py [--write]

Prints the tables of docs/generative.md; ``--write`` puts them there.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from pathlib import Path

from imagenet_hard.base.tables import Table
from imagenet_hard.evaluation.generative.matcher import VERSION, match
from imagenet_hard.evaluation.generative.verdict import KINDS

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "generative.md"
BEGIN, END = "<!-- benchmarks/matcher.py -->\n", "<!-- end -->\n"
SETS = {
    "answers.csv": "developed on",
    "held_out.csv": "seen since",
    "held_out_2.csv": "seen since as well",
    "held_out_3.csv": "held out",
}
PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ '.,()/-"


def rows(name: str) -> list[dict[str, str]]:
    with (ROOT / "tests" / "evaluation" / "generative" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def agrees(row: dict[str, str]) -> bool:
    found = match(row["answer"])
    return (found.kind, " ".join(map(str, found.classes))) == (row["verdict"], row["classes"])


def agreement() -> Table:
    cells = []
    for kind in (*KINDS, "all"):
        line = [kind]
        for name in SETS:
            of = [agrees(row) for row in rows(name) if kind in ("all", row["verdict"])]
            line += [f"{sum(of)} of {len(of)}", f"{100 * sum(of) / len(of):.1f}"]
        cells.append(line)
    head = [cell for title in SETS.values() for cell in (title, "%")]
    return Table(["verdict", *head], cells, align="l" + "r" * len(head))


def rules() -> Table:
    """Of the answers that the matcher was developed on; nothing of the held-out sets stands in the docs."""
    decided, right, example = Counter[str](), Counter[str](), dict[str, str]()
    for row in rows("answers.csv"):
        rule = match(row["answer"]).rule
        decided[rule] += 1
        right[rule] += agrees(row)
        if agrees(row) and set(row["answer"]) <= set(PLAIN) and row["answer"].strip():
            example.setdefault(rule, row["answer"])
    return Table(
        ["decided by", "answers", "as judged", "such as"],
        [[rule, n, right[rule], example.get(rule, "")] for rule, n in decided.most_common()],
        align="lrr",
    )


def text() -> str:
    return f"Matcher {VERSION}:\n\n{agreement().markdown()}\n{rules().markdown()}"


def main() -> None:
    if sys.argv[1:] == ["--write"]:
        before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{text()}\n{END}{rest.partition(END)[2]}", "utf-8")
    else:
        print(text())


if __name__ == "__main__":
    main()
