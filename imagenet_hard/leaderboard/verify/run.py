"""Verify entries: their files, then what is odd about them, then their models run again."""

from __future__ import annotations

import logging
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from imagenet_hard.base.errors import DatasetError, ResultError
from imagenet_hard.base.text import reason
from imagenet_hard.leaderboard.board import VERIFIED, accepted_report
from imagenet_hard.leaderboard.entry import ENTRY_FILE, Entry, read_entry
from imagenet_hard.leaderboard.gold import Gold, read_gold
from imagenet_hard.leaderboard.verify import anomalies
from imagenet_hard.leaderboard.verify.agreement import CHANGED, chance_to_miss
from imagenet_hard.leaderboard.verify.anomalies import Peer
from imagenet_hard.leaderboard.verify.examine import Examined, GoldOf, Request, examine
from imagenet_hard.leaderboard.verify.lookalikes import look_alikes
from imagenet_hard.leaderboard.verify.ownership import Author
from imagenet_hard.leaderboard.verify.peers import PeersOf
from imagenet_hard.leaderboard.verify.report import REPRODUCTION, SPOT_CHECK, Checklist, Report, tier_of
from imagenet_hard.leaderboard.verify.rerun import CannotRerun, Rerun, rerun

log = logging.getLogger(__name__)

Peers = dict[tuple[str, int], list[Peer]]
"""Fingerprint, and how many names the models chose among (0: all) -> the entries that are ranked together."""


@dataclass(frozen=True)
class Chosen:
    """What is to verify: folders of entries, the gold labels, the board's entries that they are compared
    with, and who asks, as a platform says. ``problems``: why a request as a whole is refused.
    """

    folders: Sequence[Path]
    golds: Path
    base: Path | None = None
    author: Author | None = None
    problems: tuple[str, ...] = ()


def verify(
    folders: Sequence[Path],
    *,
    golds: Path,
    base: Path | None = None,
    canaries: Set[str] = frozenset(),
    again: Rerun | None = None,
    author: Author | None = None,
    trusted: bool = False,
    now: datetime | None = None,
) -> tuple[Report, ...]:
    """Check entries; a report each, in the order given, whatever becomes of the others.

    ``folders``: of entries, each named by its id; ``golds``: the folder of gold labels; ``base``: the
    entries that the board holds already, which none may overwrite and each is compared with;
    ``canaries``: ids of images whose gold label was planted wrong; ``again``: run the models again;
    ``author``: who opened the request, where a platform says so; ``trusted``: the files are our own.

    Raises:
        DatasetError: ``again.dataset`` is not the benchmark. (What is wrong with an entry is in its report.)
    """
    now = now or datetime.now(UTC)
    loaded: dict[str, Gold] = {}

    def gold_of(fingerprint: str) -> Gold:
        if fingerprint not in loaded:
            loaded[fingerprint] = read_gold(golds, fingerprint)
        return loaded[fingerprint]

    request = Request(tuple(folders), base, author, trusted)
    examined: list[tuple[Checklist, Examined | None]] = []
    for folder in folders:
        checklist = Checklist(now)
        examined.append((checklist, examine(folder, checklist, gold_of, request)))
    board = _board(base, request.names)
    peers = _peers([found for _, found in examined if found], board, gold_of)
    entries = [*(entry for _, entry in board), *(found.entry for _, found in examined if found)]
    for checklist, found in examined:
        if found:
            _look_for_anomalies(checklist, found, peers, canaries)
            checklist.flag("look-alikes", look_alikes(found.entry, entries))
            if again is not None:
                _run_again(checklist, found, again)
    return tuple(_report(f, c, found) for f, (c, found) in zip(folders, examined, strict=True))


def _report(folder: Path, checklist: Checklist, found: Examined | None) -> Report:
    checks, tier = checklist.checks, tier_of(checklist.checks)
    if found is None:
        return Report(entry=folder.name[:255], tier=tier, checks=checks)
    return Report(
        entry=found.entry.id,
        entry_sha256=found.entry.digest,
        predictions_sha256=found.answers.sha256,
        fingerprint=found.gold.info.fingerprint,
        top1=found.rescored.top1,
        top5=found.rescored.top5,
        tier=tier,
        checks=checks,
    )


def _board(base: Path | None, names: Sequence[str]) -> list[tuple[Path, Entry]]:
    """The entries that the board holds, but for those that are checked now."""
    found = []
    for folder in sorted(base.iterdir()) if base and base.is_dir() else []:
        if folder.name not in names and (folder / ENTRY_FILE).is_file():
            try:
                found.append((folder, read_entry(folder)))
            except ResultError as error:
                log.warning("%s of the board is left out of comparisons: %s", folder.name, error)
    return found


def _peers(found: Sequence[Examined], board: Sequence[tuple[Path, Entry]], gold_of: GoldOf) -> Peers:
    """The entries that are checked now, and those of the board on the same benchmarks."""
    peers: Peers = {}
    readers: dict[str, PeersOf] = {}
    for each in found:
        peers.setdefault(_among(each.entry), []).append(_peer(each))
    for folder, entry in board:
        try:
            if _among(entry) in peers:
                if (digest := entry.benchmark.fingerprint) not in readers:
                    readers[digest] = PeersOf(gold_of(digest))
                report = accepted_report(folder.parents[1] / VERIFIED, entry)
                peers[_among(entry)].append(readers[digest].read(folder, entry, report))
        except ResultError as error:
            log.warning("%s of the board is left out of comparisons: %s", folder.name, error)
    return peers


def _among(entry: Entry) -> tuple[str, int]:
    return entry.benchmark.fingerprint, entry.choices


def _peer(of: Examined) -> Peer:
    return Peer(of.entry.id, of.answers.sha256, of.rescored.correct, of.rescored.top1_class)


def _look_for_anomalies(checklist: Checklist, it: Examined, peers: Peers, canaries: Set[str]) -> None:
    others = [peer for peer in peers[_among(it.entry)] if peer.id != it.entry.id]
    for name, finding in (
        (anomalies.SCORE, anomalies.plausible_score(it.rescored)),
        (anomalies.UNSOLVED, anomalies.unsolved_images(it.rescored, others)),
        ("near-copies", anomalies.errs_alike(it.rescored, it.answers.sha256, others)),
        (anomalies.CANARIES, anomalies.canaries(it.rescored, it.gold, canaries)),
        ("calibration", anomalies.calibration(it.rescored, it.answers)),
    ):
        checklist.flag(name, finding)


def _run_again(checklist: Checklist, it: Examined, again: Rerun) -> None:
    name, miss, source = REPRODUCTION, None, ""
    if again.n is not None:
        name, miss = SPOT_CHECK, chance_to_miss(again.n, it.gold.info.n)
        source = (
            f"; images chosen by {again.origin}; where {100 * CHANGED:g} % of all answers are made up, it "
            f"passes with a chance of {100 * miss:.2g} %"
        )
    try:
        checklist.add(name, "passed", rerun(it.entry, it.answers, it.gold, again) + source, miss=miss)
    except ResultError as error:
        checklist.add(name, "failed", f"{error}{source}")
    except CannotRerun as error:
        checklist.add(name, "skipped", f"cannot be run here: {error}")
    except DatasetError:
        raise  # the maintainer's data set, not the entry
    except Exception as error:  # one entry never takes the report from the others
        log.exception("running %s again", it.entry.id)
        checklist.add(name, "skipped", f"cannot be run here: {reason(error)}")
