"""A score for the model's own page on the Hub: ``.eval_results/*.yaml`` and the card's ``model-index``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.base.files import read_bounded, write_atomically
from imagenet_hard.evaluation.variant import variant
from imagenet_hard.hub.checks import check_repo_id
from imagenet_hard.hub.evaluation import merge_results, result_of, results_file, task_id
from imagenet_hard.hub.pull_request import PullRequest, open_pull_request
from imagenet_hard.hub.read import MAX_TEXT, model_text
from imagenet_hard.leaderboard.entry import Entry

CARD = "README.md"

_COMMIT = re.compile(r"[0-9a-f]{40}")


def result_path(entry: Entry) -> str:
    """The file of the result in the model's repository."""
    return results_file(task_id(_dataset_id(entry)), _note(entry))


def results_text(earlier: str | None, entry: Entry, source: str | None = None) -> str:
    """The Hub's file of results with top-1 in percent on the data set at its commit; the others are kept.

    ``earlier``: the file's text, None where there is none. ``source``: the address where the number can be
    checked. ``huggingface_hub`` validates almost nothing, so ids and numbers are checked here.

    Raises:
        UsageError: the benchmark is no data set on the Hub, or ``earlier`` is no file of results.
    """
    said = {
        "url": source,
        "name": "Entry and predictions" if source else None,
        "user": (entry.owner or {}).get("hub") if source else None,
    }
    new = result_of(
        {"id": _dataset_id(entry), "task_id": task_id(_dataset_id(entry)), "revision": _revision(entry)},
        _percent(entry),
        date=entry.date.isoformat(),
        source=said,
        notes=_note(entry),
    )
    return merge_results(earlier, new, result_path(entry))


def card_with_result(card: str | None, entry: Entry, model_name: str) -> str:
    """A model card with the score in its ``model-index``; an earlier score on the same data set is replaced.

    ``card``: the README's text, or None where there is none.

    Raises:
        UsageError: the benchmark is no data set on the Hub, or the card's metadata is not YAML.
    """
    from huggingface_hub import EvalResult, ModelCard, ModelCardData

    new = EvalResult(
        task_type="image-classification",
        task_name="Image classification",
        dataset_type=_dataset_id(entry),
        dataset_name=entry.benchmark.name,
        dataset_split=entry.benchmark.split,
        dataset_revision=_revision(entry),
        metric_type="accuracy",
        metric_name=f"Top-1 accuracy ({', '.join(filter(None, ('any label', _note(entry))))})",
        metric_value=_percent(entry),
    )
    if card is None:
        metadata = ModelCardData(model_name=model_name, eval_results=[new])
        return f"---\n{metadata.to_yaml()}\n---\n\n# {model_name}\n"
    try:
        found = ModelCard(card)
    except (ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise UsageError(
            f"the card's metadata cannot be read: {' '.join(str(error).split())[:200]}"
        ) from None
    data: Any = found.data
    kept = [
        each
        for each in data.eval_results or []
        if (each.dataset_type, each.metric_name) != (new.dataset_type, new.metric_name)
    ]
    data.eval_results = [*kept, new]
    data.model_name = data.model_name or model_name
    return str(found)


def write_eval_results(folder: Path, entry: Entry, source: str | None = None) -> tuple[Path, Path]:
    """Write both into a model's folder; what others wrote there, and the text of ``README.md``, stay.

    Raises:
        UsageError: as ``card_with_result`` and ``results_text``.
        ResultError: a file cannot be read, or the disk refuses.
    """
    results, card = folder / result_path(entry), folder / CARD
    new_card = card_with_result(_read(card), entry, entry.name)
    new_results = results_text(_read(results), entry, source)
    write_atomically(results, new_results.encode())
    write_atomically(card, new_card.encode())
    return results, card


def propose_eval_results(repo: str, entry: Entry, marker: str, source: str | None = None) -> PullRequest:
    """Both in one pull request on the model's own repository; one for one submission.

    Raises:
        UsageError: as ``card_with_result`` and ``results_text``, or ``repo`` is no Hub id.
        ResultError, DatasetError: the Hub refuses or cannot be reached.
    """
    check_repo_id(repo)
    path = result_path(entry)
    results = results_text(model_text(repo, path), entry, source)
    new_card = card_with_result(model_text(repo, CARD), entry, repo.rpartition("/")[2])
    return open_pull_request(
        repo,
        {path: results.encode(), CARD: new_card.encode()},
        title=f"Add the result on {entry.benchmark.name}",
        description=_about(entry),
        marker=marker,
        kind="model",
    )


def _read(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        return read_bounded(path, MAX_TEXT).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ResultError(f"cannot read {path}: {error}") from None


def _dataset_id(entry: Entry) -> str:
    if entry.choices:
        raise UsageError(
            f"{entry.name} chose among {entry.choices} names, the right one with them: that is no score of "
            f"{entry.benchmark.name}, and nothing to write into the Hub's results"
        )
    source = entry.benchmark.source
    try:
        check_repo_id(source)
    except UsageError:
        raise UsageError(
            f"{entry.benchmark.name} was read from {source!r}: the Hub shows results on its own data sets "
            "only (OWNER/NAME)"
        ) from None
    return source


def _revision(entry: Entry) -> str | None:
    revision = entry.benchmark.revision
    if revision is not None and not _COMMIT.fullmatch(revision):
        raise UsageError(f"benchmark.revision is {revision!r}: expected a commit of 40 hex digits")
    return revision


def _note(entry: Entry) -> str | None:
    """None where the run was the default one."""
    return variant(entry.model, entry.protocol, entry.words) or None


def _percent(entry: Entry) -> float:
    return round(100 * entry.claim.n_correct / entry.claim.n_total, 2)


def _about(entry: Entry) -> str:
    return (
        f"{entry.claim.n_correct} of {entry.claim.n_total} images, right if the top-1 is among the labels; "
        f"benchmark fingerprint {entry.benchmark.fingerprint}; predictions {entry.predictions_sha256}"
    )
