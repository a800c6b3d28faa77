"""``imagenet-hard verify``: check entries of the leaderboard."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from imagenet_hard.base.errors import UsageError
from imagenet_hard.cli.console import at_work
from imagenet_hard.cli.options import PATH, device_option, golds_option, path_option

if TYPE_CHECKING:
    from imagenet_hard.leaderboard.verify.ownership import Author
    from imagenet_hard.leaderboard.verify.rerun import Rerun
    from imagenet_hard.leaderboard.verify.run import Chosen

SECRET_VARIABLE = "IMAGENET_HARD_SPOT_SECRET"  # noqa: S105 - the name of a variable
BUNDLED_GOLDS = "leaderboard/benchmarks"


@click.command("verify")
@click.argument("entries", nargs=-1, type=PATH, metavar="[ENTRY]...")
@click.option("--all", "every", is_flag=True, help="Verify every entry.")
@path_option(
    "--entries",
    "folder",
    default=Path("leaderboard/entries"),
    help="The folder of entries, for --all and for ids.",
)
@golds_option
@path_option(
    "--base", help="The board's entries: none may be overwritten, and new ones are compared with all."
)
@path_option(
    "--request",
    help="Verify the entries that a pull request changes: a git checkout of its merge into that of --base.",
)
@click.option(
    "--author", metavar="ACCOUNT", help="Who opened the request, as its platform says: github:LOGIN."
)
@click.option("--maintainer", is_flag=True, help="The author of the request may write to the board.")
@click.option("--hub", metavar="REPO", help="Verify the entries of this Hub data set.")
@click.option(
    "--pr", type=click.IntRange(min=1), metavar="N", help="With --hub: those that pull request N changes."
)
@click.option(
    "--spot-check",
    type=click.IntRange(min=1),
    metavar="N",
    help="Run the model again on N images; a number too small to find anything out is refused.",
)
@click.option("--reproduce", is_flag=True, help="Run the model again on all images.")
@click.option("--dataset", "-d", metavar="NAME", help="The images, for --spot-check and --reproduce.")
@path_option(
    "--secret-file",
    metavar="FILE",
    help=f"Secret that chooses the images [default: ${SECRET_VARIABLE}, else drawn now].",
)
@click.option("--seed-commit", metavar="SHA", help="Choose the images by a commit made after the submission.")
@path_option("--weights", metavar="FILE", help="Weights that are not published.")
@device_option
@path_option(
    "--canaries", metavar="FILE", help="Ids of images whose gold label was planted wrong, one per line."
)
@path_option(
    "--accept", "accept_into", help="Keep the reports of entries that pass, which gives them their tier."
)
@click.option("--json", "as_json", is_flag=True, help="Print the reports as JSON.")
@path_option("--comment", metavar="FILE", help="Write the reports as Markdown.")
def command(entries: tuple[Path, ...], **options: Any) -> int:
    """Check entries: files, labels, score, hashes, probabilities; anomalies are flagged.

    ENTRY is a folder or an id. The score is computed again from the predictions; a typed number
    is never believed. Exit code 1 if a check of any entry does not hold.
    """
    from imagenet_hard.leaderboard.verify.report import NOTHING, markdown_report, text_report
    from imagenet_hard.leaderboard.verify.run import verify

    again = _rerun(options)
    with at_work(), _chosen(entries, options) as chosen:
        reports = verify(
            chosen.folders,
            golds=chosen.golds,
            base=chosen.base,
            canaries=_canaries(options["canaries"]),
            again=again,
            author=chosen.author,
        )
        if options["accept_into"] and not chosen.problems:
            reports = tuple(
                _accept(f, r, options["accept_into"]) for f, r in zip(chosen.folders, reports, strict=True)
            )
    if options["comment"]:
        from imagenet_hard.base.files import write_atomically

        write_atomically(options["comment"], markdown_report(reports, chosen.problems).encode())
    if options["as_json"]:
        click.echo(json.dumps([report.model_dump(mode="json") for report in reports], indent=2))
        click.echo(text_report((), chosen.problems), nl=bool(chosen.problems), err=True)
    else:
        click.echo(text_report(reports, chosen.problems) or NOTHING)
    return int(bool(chosen.problems) or any(report.failed for report in reports))


def golds_folder(given: Path | None, entries: Path) -> Path:
    """The folder of gold labels: the one given, the one beside the entries, or the package's."""
    if given is not None or (beside := entries.parent / "benchmarks").is_dir():
        return given if given is not None else beside
    from imagenet_hard.base.runtime import content_dir

    return content_dir(BUNDLED_GOLDS)


@contextmanager
def _chosen(entries: tuple[Path, ...], options: dict[str, Any]) -> Iterator[Chosen]:
    from imagenet_hard.leaderboard.board import entry_folders
    from imagenet_hard.leaderboard.hub_entries import fetch
    from imagenet_hard.leaderboard.verify.ownership import Author
    from imagenet_hard.leaderboard.verify.run import Chosen

    folder: Path = options["folder"]
    if sum(map(bool, (entries, options["every"], options["hub"], options["request"]))) != 1:
        raise click.UsageError("what to verify? Give entries, or --all, or --hub REPO, or --request DIR")
    if options["pr"] and not options["hub"]:
        raise click.UsageError("--pr belongs to --hub REPO")
    author = Author.parse(options["author"]) if options["author"] else None
    if options["hub"]:
        with TemporaryDirectory(prefix="imagenet-hard-verify-") as scratch:
            found = fetch(options["hub"], Path(scratch), pr=options["pr"])
            yield replace(found, golds=options["golds"] or found.golds)
        return
    golds = golds_folder(options["golds"], folder)
    if options["request"]:
        yield _requested(options, golds, author)
        return
    if options["every"]:
        yield Chosen(entry_folders(folder), golds, options["base"], author)
        return
    # An id is a folder of --entries; anything with a separator in it is a path.
    paths = [folder / each if each.name == str(each) and not each.is_dir() else each for each in entries]
    base = options["base"] or (folder if folder.is_dir() else None)
    yield Chosen(list(dict.fromkeys(paths)), golds, base, author)


def _requested(options: dict[str, Any], golds: Path, author: Author | None) -> Chosen:
    from imagenet_hard.leaderboard.board import ENTRIES
    from imagenet_hard.leaderboard.verify.git_changes import BOARD, review_of_request
    from imagenet_hard.leaderboard.verify.run import Chosen

    base: Path = options["base"] or options["folder"]
    review = review_of_request(options["request"], base, author=author, maintainer=options["maintainer"])
    folders = [options["request"] / BOARD / ENTRIES / name for name in review.entries]
    return Chosen(folders, golds, base, author, review.problems)


def _rerun(options: dict[str, Any]) -> Rerun | None:
    if options["spot_check"] is None and not options["reproduce"]:
        return None
    if options["spot_check"] is not None and options["reproduce"]:
        raise click.UsageError("--reproduce runs all images: leave out --spot-check")
    if not options["dataset"]:
        raise click.UsageError("to run a model again the images are needed: give --dataset")
    from imagenet_hard.dataset.load import load_dataset
    from imagenet_hard.leaderboard.verify.rerun import Rerun

    secret, origin = _secret(options)
    return Rerun(
        load_dataset(options["dataset"]),
        options["spot_check"],
        secret=secret,
        origin=origin,
        weights=options["weights"],
        device=options["device"],
    )


def _secret(options: dict[str, Any]) -> tuple[bytes, str]:
    """What chooses the images, and what the report says about it. A kept secret is never shown."""
    if options["seed_commit"] and options["secret_file"]:
        raise click.UsageError("--seed-commit and --secret-file: give one")
    if options["seed_commit"]:
        return options["seed_commit"].encode(), f"the commit {options['seed_commit']}"
    if options["secret_file"]:
        try:
            return options["secret_file"].read_bytes().strip(), "a kept secret"
        except OSError as error:
            raise UsageError(f"cannot read the secret {options['secret_file']}: {error.strerror}") from None
    if value := os.environ.get(SECRET_VARIABLE):
        return value.strip().encode(), "a kept secret"
    drawn = secrets.token_hex(16)
    return drawn.encode(), f"the seed {drawn}, drawn for this check"


def _canaries(path: Path | None) -> frozenset[str]:
    if path is None:
        return frozenset()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the canaries {path}: {error}") from None
    return frozenset(line for line in lines if line and not line.startswith("#"))


def _accept(folder: Path, report: Any, verified: Path) -> Any:
    from imagenet_hard.leaderboard.board import accept
    from imagenet_hard.leaderboard.entry import read_entry

    return report if report.failed else accept(verified, read_entry(folder), report)
