"""``imagenet-hard submit``: put a result on the leaderboard."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagenet_hard.cli.options import (
    PATH,
    entries_option,
    golds_option,
    links_option,
    path_option,
    training_given,
    training_options,
)

if TYPE_CHECKING:
    from imagenet_hard.leaderboard.submit import Submission
    from imagenet_hard.leaderboard.verify.ownership import Author


@click.command("submit")
@click.argument("result", type=PATH)
@click.option("--name", required=True, help="What the board calls the model.")
@click.option("--org", required=True, help="Who made or trained it.")
@click.option("--submitter", help="Who answers for the entry [default: the org].")
@click.option(
    "--owner",
    "owners",
    multiple=True,
    metavar="ACCOUNT",
    help="github:LOGIN or hub:USER, who alone may replace the entry; with --hub the account of the token.",
)
@links_option("Paper, code, weights; https only.")
@training_options
@click.option(
    "--training-by-tag/--no-training-by-tag",
    default=True,
    help="Where --trained-on is not given, state what the name of the weights does, where that is known "
    " [default: yes].",
)
@click.option(
    "--date", type=click.DateTime(["%Y-%m-%d"]), help="When it was scored [default: the result's day]."
)
@click.option(
    "--used-in-curation/--not-used-in-curation",
    default=None,
    help="Whether the model chose the benchmark's images [default: what the benchmark says].",
)
@click.option(
    "--imagenet-top1",
    type=float,
    metavar="PERCENT",
    help="ImageNet validation top-1 as reported, with --imagenet-source [default: what torchvision states].",
)
@click.option("--imagenet-source", metavar="URL", help="Where that figure is reported; https only.")
@entries_option
@golds_option
@click.option(
    "--hub", metavar="REPO", help="Open a pull request on this Hub data set instead of writing to --entries."
)
@path_option("--eval-results", help="Write the Hub's result files into a model's folder.")
@click.option(
    "--model-repo", metavar="REPO", help="Propose the Hub's result files to the model's own repository."
)
@click.option(
    "--results-source",
    metavar="URL",
    help="Where those files say that the number can be checked; https only [default: the request of --hub].",
)
@click.option("--replace", is_flag=True, help="Replace an earlier entry of the same submitter and model.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before a pull request is opened.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def command(result: Path, links: list[tuple[str, str]], **options: Any) -> int:
    """Make an entry of RESULT.json, check it as the board will, and submit it.

    RESULT.json comes from imagenet-hard-eval and has its .parquet beside it. The entry is written to
    DIR/ORG__MODEL for a pull request on git (on other benchmarks than ImageNet-Hard to
    DIR/ORG__MODEL__BENCHMARK), or goes to the Hub with --hub. Submitting the same thing again does nothing.
    """
    from imagenet_hard.cli.verify import golds_folder
    from imagenet_hard.leaderboard.submit import make_submission

    date = options["date"]
    submission = make_submission(
        result,
        golds_folder(options["golds"], options["entries"]),
        name=options["name"],
        org=options["org"],
        submitter=options["submitter"],
        owners=_owners(options["owners"], hub=bool(options["hub"])),
        links=links,
        training_data=options["training_data"],
        training=training_given(options),
        training_by_its_tag=options["training_by_tag"],
        date=date.date() if date else None,
        used_in_curation=options["used_in_curation"],
        imagenet_top1=options["imagenet_top1"],
        imagenet_source=options["imagenet_source"],
        entries=None if options["hub"] else options["entries"],
    )
    training = submission.entry.training
    if training and training.said_by == "tag":
        click.echo(
            f"trained on, as the tag {submission.entry.model.tag} says: {training} (--trained-on or "
            "--no-training-by-tag says otherwise)",
            err=True,
        )
    done = _deliver(submission, options)
    if options["as_json"]:
        report = submission.report.model_dump(mode="json")
        click.echo(json.dumps({"entry": submission.entry.id, **done, "report": report}, indent=2))
    else:
        from imagenet_hard.leaderboard.verify.report import text_report

        click.echo(text_report([submission.report]), err=True)
        for line in done.values():
            click.echo(line)
    return 0


def _owners(given: tuple[str, ...], *, hub: bool) -> list[Author]:
    from imagenet_hard.hub.read import account
    from imagenet_hard.leaderboard.verify.ownership import Author

    owners = [Author.parse(each) for each in given]
    platforms = [owner.platform for owner in owners]
    if len(set(platforms)) < len(platforms):
        raise click.UsageError("--owner: give one account for each platform")
    return [*owners, Author("hub", account())] if hub and "hub" not in platforms else owners


def _deliver(submission: Submission, options: dict[str, Any]) -> dict[str, str]:
    """Write or propose the entry and the Hub's result files; what was done, by kind."""
    from imagenet_hard.hub.pull_request import open_pull_request
    from imagenet_hard.leaderboard import eval_results
    from imagenet_hard.leaderboard.submit import link, write_submission

    entry, done = submission.entry, {}
    given = options["results_source"]
    source = link("source", given).url if given else None
    if options["eval_results"] or options["model_repo"]:
        eval_results.results_text(None, entry)  # what cannot be written stops before anything is
    elif source:
        raise click.UsageError("--results-source goes with --eval-results or --model-repo")
    _confirm(options)
    if options["hub"]:
        request = open_pull_request(
            options["hub"],
            submission.files(),
            title=f"Submit {entry.id}",
            description=f"{entry.name} by {entry.org} on {entry.benchmark.name}: {submission.report.top1}",
            marker=submission.marker,
        )
        done["pull_request"] = _said(request)
        source = source or request.url
    else:
        wrote = write_submission(options["entries"], submission, replace=options["replace"])
        done["folder"] = f"{'wrote' if wrote else 'unchanged:'} {options['entries'] / entry.id}"
    if options["eval_results"]:
        paths = eval_results.write_eval_results(options["eval_results"], entry, source)
        done["eval_results"] = f"wrote {' and '.join(map(str, paths))}"
    if options["model_repo"]:
        done["model_pull_request"] = _said(
            eval_results.propose_eval_results(options["model_repo"], entry, submission.marker, source)
        )
    return done


def _said(request: Any) -> str:
    return f"{'opened' if request.opened else 'open already:'} {request.url}"


def _confirm(options: dict[str, Any]) -> None:
    repos = [repo for repo in (options["hub"], options["model_repo"]) if repo]
    if repos and not options["yes"] and sys.stdin.isatty():
        click.confirm(f"Open a public pull request on {' and '.join(repos)}?", abort=True, err=True)
