"""All benchmarks, one table: ours, reference, limit, ratio, spread, into docs/performance.md.

    python benchmarks/suite.py [--out FILE] [--no-docs] [NAME...]
    python benchmarks/suite.py --compare OLD.json NEW.json

Run it on a quiet machine. Each benchmark runs in a process of its own on images that need no network; its own
output follows as it comes. The rows are kept as JSON as well, so that two commits can be compared: a row is
called slower or faster where the two spreads do not meet.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from record import VARIABLE

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"
START, END = "<!-- bench:start -->", "<!-- bench:end -->"

BENCHMARKS: dict[str, tuple[str, ...]] = {
    "evaluation": ("evaluation.py",),
    "resnet50": ("evaluation.py", "--model", "torchvision.models:resnet50", "--images", "64"),
    "curation": ("curation.py", "--images", "400", "--protocol", "4"),
    "head": ("head.py", "--compare", "10", "--classes", "200"),
    "tta": ("tta.py", "--images", "12", "--repeats", "3"),
    "study": ("study.py",),
    "leaderboard": ("leaderboard.py",),
    "estimate": ("estimate.py", "--draws", "200", "--sequences", "1"),
    "asking": ("asking.py",),
    "memory": ("memory.py",),
    "cluster": ("cluster.py",),
    "soak": ("soak.py",),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)} [default: all]")
    parser.add_argument("--out", type=Path, help="JSON [default: results/bench-COMMIT.json]")
    parser.add_argument("--no-docs", action="store_true", help="leave docs/performance.md as it is")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("OLD", "NEW"))
    options = parser.parse_args()
    if options.compare:
        return compare(*(json.loads(path.read_text()) for path in options.compare))
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; expected {', '.join(BENCHMARKS)}")
    found: dict[str, Any] = {"machine": machine(), "rows": [], "failed": []}
    for name in options.names or BENCHMARKS:
        rows = run(name)
        found["failed" if rows is None else "rows"] += [name] if rows is None else rows
    out = options.out or ROOT / "results" / f"bench-{found['machine']['commit']}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(found, indent=2) + "\n")
    print(f"\n{table(found)}\nkept in {out}")
    if found["failed"]:
        print(f"failed: {', '.join(found['failed'])}; docs/performance.md is left as it is", file=sys.stderr)
        return 1
    if not options.no_docs and not options.names:
        write(table(found))
    return 0


def run(name: str) -> list[dict[str, Any]] | None:
    """The rows of one benchmark; None where it failed."""
    script, *arguments = BENCHMARKS[name]
    print(f"\n== {name}", flush=True)
    with tempfile.NamedTemporaryFile("r", suffix=".jsonl") as file:
        command = [sys.executable, str(ROOT / "benchmarks" / script), *arguments]
        done = subprocess.run(command, env={**os.environ, VARIABLE: file.name, "HF_HUB_OFFLINE": "1"})
        return None if done.returncode else [json.loads(line) for line in file]


def machine() -> dict[str, str]:
    """What the figures depend on besides the code."""
    processor = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        lines = [line for line in info.read_text().splitlines() if "model name" in line]
        processor = lines[0].split(":", 1)[1].strip() if lines else processor
    commit, dirty = git("rev-parse", "--short", "HEAD"), git("status", "--porcelain")
    import torch

    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "commit": (commit or "unknown") + ("-dirty" if dirty else ""),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{cores} cores of {processor}, {accelerator}",
        "versions": ", ".join(f"{each} {version(each)}" for each in ("torch", "torchvision", "timm", "numpy"))
        + f", Python {platform.python_version()}",
    }


def git(*arguments: str) -> str:
    """What git prints; nothing outside a checkout."""
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
    return done.stdout.strip()


def table(found: dict[str, Any]) -> str:
    """Markdown."""
    about = found["machine"]
    lines = [
        f"Commit {about['commit']}, {about['date']}: {about['machine']}; {about['versions']}.",
        "",
        "| | ours | spread | reference | limit | x reference | of the limit |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in found["rows"]:
        unit = row["unit"]
        spread = f"{number(row['low'])} to {number(row['high'])}"
        cells = (
            *(row["name"], f"{number(row['ours'])} {unit}", spread if row["low"] < row["high"] else ""),
            *(f"{number(row[key])} {unit}" if row[key] is not None else "" for key in ("reference", "limit")),
            *(f"{row[key]:.2f}" if row[key] is not None else "" for key in ("ratio", "of_limit")),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def number(value: float) -> str:
    """Three digits that count."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def write(text: str) -> None:
    """Put the table between the page's marks."""
    page = PAGE.read_text()
    before, rest = page.split(START)
    PAGE.write_text(f"{before}{START}\n{text}{END}{rest.split(END)[1]}")
    print(f"written to {PAGE}")


def change(was: dict[str, Any], now: dict[str, Any]) -> str:
    """In a word, as far as the spreads tell."""
    if was["low"] == was["high"] or now["low"] == now["high"]:
        return "measured once"
    return "slower" if now["low"] > was["high"] else "faster" if now["high"] < was["low"] else "the same"


def compare(old: dict[str, Any], new: dict[str, Any]) -> int:
    """Print each row's change; 1 where one is slower beyond both spreads."""
    print(f"{old['machine']['commit']} -> {new['machine']['commit']}")
    if old["machine"]["machine"] != new["machine"]["machine"]:
        print(f"other machines: {old['machine']['machine']} and {new['machine']['machine']}", file=sys.stderr)
    before, slower = {row["name"]: row for row in old["rows"]}, 0
    for row in new["rows"]:
        was = before.pop(row["name"], None)
        if was is None:
            print(f"{row['name']:50} new")
            continue
        verdict = change(was, row)
        slower += verdict == "slower"
        print(
            f"{row['name']:50} {number(was['ours']):>8} -> {number(row['ours']):>8} {row['unit']:3} "
            f"({100 * (row['ours'] / was['ours'] - 1):+.0f} %) {verdict}"
        )
    for name in before:
        print(f"{name:50} gone")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
