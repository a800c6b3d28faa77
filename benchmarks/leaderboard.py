"""The board at scale: its statistics by part, and on disk `leaderboard build`, `verify` and a correction.

    python benchmarks/leaderboard.py [--entries M] [--images N] [--board FOLDER] [--no-commands]

Entries are random, of rising strength on images of different difficulty. A loop counts and tests one
pair after the other with scipy, on 2,000 pairs; its time for all pairs follows. For the commands the entries
are written with probabilities into FOLDER (kept and used again) or a temporary one; each runs as a process of
its own, of which wall clock and peak memory are noted.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from record import record
from scipy.stats import binomtest

from imagenet_hard.base.types import ModelSpec, Predictions
from imagenet_hard.evaluation.intervals import mcnemar
from imagenet_hard.leaderboard.answers import Answers, write_answers
from imagenet_hard.leaderboard.board import BENCHMARKS, ENTRIES
from imagenet_hard.leaderboard.corrections import CORRECTIONS, make_correction
from imagenet_hard.leaderboard.entry import ENTRY_FILE, Claim, Entry, entry_json
from imagenet_hard.leaderboard.gold import Gold, gold_of, known_golds, read_gold, write_gold
from imagenet_hard.leaderboard.rescore import rescore
from imagenet_hard.leaderboard.stats.correctness import Correctness
from imagenet_hard.leaderboard.stats.pairs import error_consistency
from imagenet_hard.leaderboard.stats.ranks import ranks

LOOP_PAIRS = 2_000
COMMAND = (sys.executable, "-m", "imagenet_hard.cli.main")


def board(m: int, n: int) -> np.ndarray:
    """bool (m, n)."""
    rng = np.random.default_rng(0)
    difficulty = rng.normal(size=n)
    rows = [rng.random(n) < 1 / (1 + np.exp(difficulty - s)) for s in np.linspace(-2, 1, m)]
    return np.array(rows)


def timed(name: str, part: Callable[[], Any]) -> tuple[Any, float]:
    """Run one part and print its seconds."""
    start = time.perf_counter()
    value = part()
    seconds = time.perf_counter() - start
    print(f"{name:24} {seconds:7.2f} s", flush=True)
    return value, seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=1000)
    parser.add_argument("--images", type=int, default=10_980)
    parser.add_argument("--board", type=Path, help="where the entries for the commands are or will be")
    parser.add_argument("--no-commands", action="store_true", help="the statistics alone")
    options = parser.parse_args()
    statistics(options)
    if not options.no_commands:
        with tempfile.TemporaryDirectory() as scratch:
            commands(options, options.board or Path(scratch) / "board", Path(scratch) / "site")


def statistics(options: argparse.Namespace) -> None:
    """Each part of the statistics, and a loop over pairs."""
    plain = board(options.entries, options.images)
    m, n = plain.shape
    print(f"{m} entries, {n} images")
    correct, packed = timed("pack", lambda: Correctness.of(plain))
    only = correct.only()
    _, pairs = timed("pairs (McNemar)", lambda: mcnemar(only, only.T))
    parts = [
        packed,
        timed("ranks (2000 resamples)", lambda: ranks(correct))[1],
        timed("error consistency", lambda: error_consistency(correct))[1],
    ]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{'all':24} {sum(parts):7.2f} s, peak {peak} MiB")
    rng = np.random.default_rng(1)
    start = time.perf_counter()
    for i, j in rng.integers(0, m, (LOOP_PAIRS, 2)):
        a, b = int((plain[i] & ~plain[j]).sum()), int((plain[j] & ~plain[i]).sum())
        if a + b:
            binomtest(a, a + b, 0.5)
    loop = (time.perf_counter() - start) / LOOP_PAIRS * m * (m - 1) / 2
    record(f"McNemar of all pairs of {m} entries, against a loop", [pairs], reference=[loop])
    record(f"all statistics of {m} entries x {n} images", [sum(parts)])
    print(f"a loop over all pairs    {loop:7.1f} s, {loop / pairs:.0f} x ours")


def commands(options: argparse.Namespace, folder: Path, out: Path) -> None:
    """`leaderboard build`, `verify` of one entry against all others, and a correction of 1 % of images."""
    if not (folder / ENTRIES).is_dir():
        timed("writing the entries", lambda: write_board(folder, options.entries, options.images))
    size = f"{options.entries} entries x {options.images} images"
    entries = folder / ENTRIES
    one = sorted(entries.iterdir())[options.entries // 2].name
    for name, arguments in (
        ("leaderboard build", ("leaderboard", "build", "--entries", str(entries), "--out", str(out))),
        ("verify of one entry", ("verify", one, "--entries", str(entries))),
        ("scoring all by a correction", ("leaderboard", "corrections", "--entries", str(entries))),
    ):
        if "corrections" in arguments:
            correct(folder)
        seconds, peak = run(arguments)
        print(f"{name:24} {seconds:7.2f} s, peak {peak:.0f} MiB", flush=True)
        record(f"{name}, {size}", [seconds])
        record(f"{name}, {size}: peak memory", [peak], unit="MiB")


def run(arguments: tuple[str, ...]) -> tuple[float, float]:
    """Seconds and peak MiB of a command and what it starts."""
    start = time.perf_counter()
    process = subprocess.Popen((*COMMAND, *arguments), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(arguments)} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def write_board(folder: Path, m: int, n: int) -> None:
    """Gold and ``m`` entries with probabilities, as submitted; nothing in them but what a score needs."""
    rng = np.random.default_rng(0)
    labels = [sorted(rng.choice(1000, rng.integers(1, 4), replace=False).tolist()) for _ in range(n)]
    rows = [(f"img-{i:06}", each, f"origin {i % 6}", "ab" * 32) for i, each in enumerate(labels)]
    gold = gold_of(rows, name="imagenet-hard", source="benchmark")
    write_gold(folder / BENCHMARKS, gold)
    for k, right in enumerate(board(m, n)):
        write_entry(folder / ENTRIES, f"model-{k:04}", made_up_answers(gold, right, rng), gold)


def correct(board: Path) -> None:
    """A correction of the board's gold: every hundredth image has another label, or is taken out."""
    path = board / CORRECTIONS / "made-up.json"
    gold = read_gold(board / BENCHMARKS, next(iter(known_golds(board / BENCHMARKS))))
    changes = {
        gold.ids[i]: ([] if i % 300 == 0 else [(gold.labels[i][0] + 1) % 1000], "made up", ["nobody"])
        for i in range(0, len(gold.ids), 100)
    }
    made = make_correction(gold, changes, date=dt.date(2026, 1, 2))
    path.parent.mkdir(exist_ok=True)
    path.write_text(made.model_dump_json())


def made_up_answers(gold: Gold, right: np.ndarray, rng: np.random.Generator) -> Answers:
    """The first label where ``right``, else a class that is none; lawful probabilities."""
    n = len(right)
    wrong = rng.integers(0, 1000, n)
    for _ in range(4):
        wrong = np.where(gold.right[np.arange(n), wrong], (wrong + 1) % 1000, wrong)
    best = np.where(right, [labels[0] for labels in gold.labels], wrong)
    top5 = ((best[:, None] + 101 * np.arange(5)) % 1000).astype(np.int16)
    p = np.sort(rng.uniform(0.01, 1, (n, 5)), axis=1)[:, ::-1]  # the fifth above those that are not kept
    log_p = np.log(0.9 * p / p.sum(axis=1, keepdims=True)).astype(np.float32)
    return Answers.of(Predictions(gold.ids, top5, log_p, log_p[:, 0] - log_p[:, 1]))


def write_entry(entries: Path, name: str, answers: Answers, gold: Gold) -> None:
    """An entry's folder."""
    score = rescore(answers, gold, metrics=False)
    entry = Entry(
        id=f"Lab__{name}",
        name=name,
        org="Lab",
        submitter="lab",
        date=dt.date(2026, 1, 1),
        model=ModelSpec(backend="timm", name=name, transform={}),
        benchmark=gold.benchmark,
        claim=Claim(n_correct=score.top1.n_correct, n_top5=score.top5.n_correct, n_total=score.top1.n_total),
        probabilities=True,
        predictions_sha256=answers.sha256,
    )
    folder = entries / entry.id
    folder.mkdir(parents=True)
    write_answers(folder, answers)
    (folder / ENTRY_FILE).write_text(entry_json(entry))


if __name__ == "__main__":
    main()
