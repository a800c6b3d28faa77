"""The Hub's files about evaluation: ``eval.yaml`` of a benchmark, ``.eval_results/*.yaml`` of a model.

Their fields stand in hub-docs, ``docs/hub/eval-results.md`` and ``eval_results.yaml``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from imagenet_hard.base.errors import UsageError

BENCHMARK_FILE = "eval.yaml"
RESULTS_FOLDER = ".eval_results"
_EARLIER_NOTES = re.compile(r"\d+ of \d+ images, right if the top-1 is among the labels; ")
"""Results of earlier releases began their notes so, whatever the run was; there was one of a data set."""


def task_id(dataset: str) -> str:
    """``tasks[].id`` of a data set, by its name or Hub id; ``eval.yaml`` and results agree by it.

    >>> task_id("taesiri/imagenet-hard-4K")
    'imagenet-hard-4k'
    """
    return dataset.rpartition("/")[2].lower()


def benchmark_yaml(name: str, description: str, framework: str, *, task: str, split: str) -> str:
    """``eval.yaml`` of a data set with one task. Without ``split`` the Hub would take it for ``test``."""
    return _dump(
        {
            "name": name,
            "description": description,
            "evaluation_framework": framework,
            "tasks": [{"id": task, "config": "default", "split": split}],
        }
    )


def results_file(task: str, variant: str | None = None) -> str:
    """Where the results of a task lie in a model's repository: each variant of a run has a file of its own.

    >>> results_file("imagenet-hard"), results_file("imagenet-hard", "TTA zoom64, bf16")
    ('.eval_results/imagenet-hard.yaml', '.eval_results/imagenet-hard_tta_zoom64_bf16.yaml')
    """
    words = re.sub(r"[^a-z0-9.-]+", "_", variant.lower())[:100].strip("_.-") if variant else ""
    return f"{RESULTS_FOLDER}/{task}{words and '_' + words}.yaml"


def result_of(dataset: Mapping[str, str | None], value: float, **others: Any) -> dict[str, Any]:
    """A result as the Hub reads it; what is None or empty is left out, also within a part.

    Written here, since only releases of ``huggingface_hub`` that few have yet know these files.

    >>> result_of({"id": "a/b", "task_id": "b", "revision": None}, 1.5, source={"url": None}, notes="bf16")
    {'dataset': {'id': 'a/b', 'task_id': 'b'}, 'value': 1.5, 'notes': 'bf16'}
    """
    parts = {"dataset": dataset, "value": value, **others}
    said = {
        name: {key: each for key, each in part.items() if each is not None}
        if isinstance(part, Mapping)
        else part
        for name, part in parts.items()
    }
    return {name: part for name, part in said.items() if part is not None and part != {}}


def merge_results(text: str | None, result: Mapping[str, Any], where: str) -> str:
    """The file ``text`` with ``result`` in place of an earlier one of the same run; the others are kept.

    The same run: data set, task, revision and note are the same. ``text``: None where there is no file.

    Raises:
        UsageError: ``where`` is no list of results.
    """
    try:
        found = [] if text is None else yaml.safe_load(text) or []
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{where} is not YAML: {' '.join(str(error).split())[:200]}. Repair it first"
        ) from None
    if not isinstance(found, list) or not all(
        isinstance(each, dict) and isinstance(each.get("dataset"), dict) for each in found
    ):
        raise UsageError(
            f"{where} is not a file of results: expected a list of entries with a `dataset` each. Repair it "
            "first"
        )
    return _dump([*(each for each in found if _run(each) != _run(result)), dict(result)])


def _run(result: Mapping[str, Any]) -> tuple[Any, ...]:
    dataset, notes = result["dataset"], result.get("notes")
    if isinstance(notes, str) and _EARLIER_NOTES.match(notes):
        notes = None
    return dataset.get("id"), dataset.get("task_id"), dataset.get("revision"), notes


def _dump(value: object) -> str:
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
    return text
