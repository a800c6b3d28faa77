"""A score for the model's own page on the Hub: ``.eval_results/*.yaml`` and the card's ``model-index``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.base.files import write_atomically
from imagenet_hard.hub.checks import check_repo_id
from imagenet_hard.hub.pull_request import PullRequest, open_pull_request
from imagenet_hard.hub.read import model_card
from imagenet_hard.leaderboard.entry import Entry

FILE = ".eval_results/imagenet-hard.yaml"
CARD = "README.md"
TASK_ID = "imagenet-hard"
"""``tasks[].id`` in the ``eval.yaml`` of the data set's repository."""

_COMMIT = re.compile(r"[0-9a-f]{40}")


def eval_results_yaml(entry: Entry) -> str:
    """The Hub's evaluation-result file: top-1 in percent on the data set at its commit.

    ``huggingface_hub`` validates almost nothing of it, so ids and numbers are checked here.

    Raises:
        UsageError: the benchmark is no data set on the Hub.
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    result = EvalResultEntry(
        dataset_id=_dataset_id(entry),
        task_id=TASK_ID,
        value=_percent(entry),
        dataset_revision=_revision(entry),
        date=entry.date.isoformat(),
        source_url=entry.links[0].url if entry.links else None,
        source_name=entry.links[0].label if entry.links else None,
        notes=_notes(entry),
    )
    text: str = yaml.safe_dump(eval_result_entries_to_yaml([result]), sort_keys=False, allow_unicode=True)
    return text


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
        metric_name="Top-1 accuracy (any label)",
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


def write_eval_results(folder: Path, entry: Entry) -> tuple[Path, Path]:
    """Write both into a model's folder; an existing ``README.md`` keeps its text.

    Raises:
        UsageError: as ``card_with_result``.
        ResultError: the card cannot be read, or the disk refuses.
    """
    results, card = folder / FILE, folder / CARD
    try:
        text = card.read_text(encoding="utf-8") if card.exists() else None
    except (OSError, UnicodeDecodeError) as error:
        raise ResultError(f"cannot read {card}: {error}") from None
    new_card = card_with_result(text, entry, entry.name)
    write_atomically(results, eval_results_yaml(entry).encode())
    write_atomically(card, new_card.encode())
    return results, card


def propose_eval_results(repo: str, entry: Entry, marker: str) -> PullRequest:
    """Both in one pull request on the model's own repository; one for one submission.

    Raises:
        UsageError: as ``card_with_result``, or ``repo`` is no Hub id.
        ResultError, DatasetError: the Hub refuses or cannot be reached.
    """
    check_repo_id(repo)
    results = eval_results_yaml(entry)
    new_card = card_with_result(model_card(repo), entry, repo.rpartition("/")[2])
    files = {FILE: results.encode(), CARD: new_card.encode()}
    return open_pull_request(
        repo,
        files,
        title=f"Add the result on {entry.benchmark.name}",
        description=_notes(entry),
        marker=marker,
        kind="model",
    )


def _dataset_id(entry: Entry) -> str:
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


def _percent(entry: Entry) -> float:
    return round(100 * entry.claim.n_correct / entry.claim.n_total, 2)


def _notes(entry: Entry) -> str:
    return (
        f"{entry.claim.n_correct} of {entry.claim.n_total} images, right if the top-1 is among the labels; "
        f"benchmark fingerprint {entry.benchmark.fingerprint}; predictions {entry.predictions_sha256}"
    )
