"""``imagenet-hard curate publish``: upload a built data set to the Hub."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagenet_hard.base.errors import ImageNetHardError
from imagenet_hard.cli.options import PATH

if TYPE_CHECKING:
    from imagenet_hard.curation.publish import PublishReport


@click.command("publish")
@click.argument("folder", type=PATH)
@click.option("--repo", required=True, metavar="ORG/NAME", help="The data set on the Hub; made if absent.")
@click.option("--private", is_flag=True, help="Make a new data set private.")
@click.option("--pr", "pull_request", is_flag=True, help="Open a pull request instead of committing.")
@click.option(
    "--no-tag", "tag", flag_value=False, default=True, help="Do not tag the commit with the build's version."
)
@click.option("--revision", metavar="BRANCH", help="Commit to this branch  [default: main].")
@click.option("--dry-run", is_flag=True, help="Show what would be sent; the Hub is only read.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan or the outcome as JSON.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before an upload that everybody can see.")
def command(folder: Path, repo: str, as_json: bool, yes: bool, **options: Any) -> None:
    """Publish the build in FOLDER as the data set ORG/NAME on the Hub.

    It makes one commit and a tag for the version, or a pull request. Run it again after any failure: only
    what is missing is sent. It needs a token with write access (HF_TOKEN, or `hf auth login`).
    """
    from imagenet_hard.curation.publish import publish

    def confirm(plan: PublishReport) -> None:
        _show(plan, err=True)
        if plan.private or yes or not sys.stdin.isatty():
            return
        if not click.confirm(f"Upload to {plan.repo}, which everybody can see?", err=True):
            raise ImageNetHardError("nothing was uploaded")

    report = publish(
        folder, repo, on_progress=lambda text: click.echo(text, err=True), confirm=confirm, **options
    )
    if as_json:
        click.echo(json.dumps(asdict(report), indent=2))
    elif options["dry_run"]:
        _show(report, err=False)
    else:
        if report.pull_request is not None:
            click.echo("Once it is merged, publish again without --pr: that makes the tag.", err=True)
        click.echo(report.url)


def _show(plan: PublishReport, *, err: bool) -> None:
    """The plan as a table."""
    from rich.console import Console
    from rich.filesize import decimal

    from imagenet_hard.base.tables import Table

    console = Console(stderr=err, soft_wrap=True, highlight=False)
    rows = [(change.path, change.action, decimal(change.size)) for change in plan.changes]
    title = f"{plan.repo}, version {plan.version}"
    console.print(Table(("file", "what", "size"), rows, "llr", title).terminal())
    for line in _summary(plan):
        console.print(line, markup=False)


def _summary(plan: PublishReport) -> list[str]:
    visibility = "private" if plan.private else "public"
    known = "a new data set, or one that the token cannot see" if plan.new_repo else "an existing data set"
    lines = [f"{plan.repo}: {known}, {visibility}; branch {plan.branch}"]
    if plan.tag is not None:
        lines.append(f"tag {plan.tag}: {'to be made' if plan.new_tag else 'there, with this content'}")
    if plan.pull_request is not None:
        lines.append(f"the pull request is open already: {plan.url}")
    elif plan.done:
        lines.append(f"nothing to do: {plan.url} holds this build")
    return lines
