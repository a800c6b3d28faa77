"""Scores for the model's own page on the Hub."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries

from imagenet_hard.base.errors import UsageError
from imagenet_hard.leaderboard.entry import Entry, read_entry
from imagenet_hard.leaderboard.eval_results import card_with_result, eval_results_yaml, write_eval_results
from tests.hub.server import LoopbackHub
from tests.leaderboard.boards import COMMIT, HUB_ID, standard

CARD = """---
license: mit
model-index:
- name: mine
  results:
  - task: {type: image-classification}
    dataset: {name: Other, type: other/set}
    metrics: [{type: accuracy, value: 50.0, name: Top-1}]
---
# My model

Text.
"""


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return read_entry(standard(tmp_path).first)


def percent(entry: Entry) -> float:
    return round(100 * entry.claim.n_correct / entry.claim.n_total, 2)


def test_the_hubs_own_parser_reads_it(entry: Entry) -> None:
    """Data set, task, commit, quoted date, percent."""
    text = eval_results_yaml(entry)
    assert "date: '2026-01-31'" in text
    (found,) = parse_eval_result_entries(yaml.safe_load(text))
    assert (found.dataset_id, found.task_id, found.dataset_revision) == (HUB_ID, "imagenet-hard", COMMIT)
    assert found.value == percent(entry)
    assert found.notes is not None
    assert entry.predictions_sha256 in found.notes
    assert found.source_url is None


def test_a_card_keeps_what_it_has(entry: Entry) -> None:
    """Other results, other metadata and the text stay; the same result is not added twice."""
    once = card_with_result(CARD, entry, "mine")
    assert card_with_result(once, entry, "mine") == once
    card = ModelCard(once)
    assert card.data.to_dict()["license"] == "mit"
    assert "# My model\n\nText." in once
    results = {r.dataset_type: r.metric_value for r in card.data.eval_results}
    assert results == {"other/set": 50.0, HUB_ID: percent(entry)}
    assert card.data.model_name == "mine"


def test_a_new_card(entry: Entry, tmp_path: Path) -> None:
    """A folder without one gets one; an existing one is changed in place."""
    results, card = write_eval_results(tmp_path / "model", entry)
    assert results == tmp_path / "model" / ".eval_results" / "imagenet-hard.yaml"
    found = ModelCard.load(card)
    assert found.data.eval_results[0].metric_value == percent(entry)
    before = card.read_text()
    write_eval_results(tmp_path / "model", entry)
    assert card.read_text() == before


def test_what_the_hub_cannot_show(entry: Entry) -> None:
    """A benchmark from a folder, a revision that is no commit, a card that is no YAML."""
    for change, message in (
        ({"source": "folder"}, "the Hub shows results on its own data sets only"),
        ({"revision": "main"}, "expected a commit of 40 hex digits"),
    ):
        other = entry.model_copy(update={"benchmark": entry.benchmark.model_copy(update=change)})
        with pytest.raises(UsageError, match=message):
            eval_results_yaml(other)
        with pytest.raises(UsageError, match=message):
            card_with_result(None, other, "x")
    with pytest.raises(UsageError, match="metadata cannot be read"):
        card_with_result("---\na: [\n---\n", entry, "x")


def test_proposed_to_the_models_repository(minihub: LoopbackHub, tmp_path: Path) -> None:
    """One pull request with both files, also when it is asked for twice."""
    board = standard(tmp_path / "board")
    minihub.push("model", "alice/mine", {"README.md": CARD.encode()})
    minihub.push("model", "alice/bare", {"config.json": b"{}"})
    code = f"""
from pathlib import Path
from imagenet_hard.leaderboard.entry import read_entry
from imagenet_hard.leaderboard.eval_results import propose_eval_results
entry = read_entry(Path({str(board.first)!r}))
for repo in ("alice/mine", "alice/mine", "alice/bare"):
    print(propose_eval_results(repo, entry, "aa").opened)
"""
    done = minihub.client(code, token="hf_bob")
    assert done.stdout.split() == ["True", "False", "True"], done.stderr
    repo = minihub.repos["model", "alice/mine"]
    assert len(repo.meta["discussions"]) == 1
    names = {row["path"] for row in repo.tree(repo.resolve("refs/pr/1"))}
    assert {"README.md", ".eval_results/imagenet-hard.yaml"} <= names
    card = repo.git("show", "refs/pr/1:README.md").decode()
    assert "# My model" in card
    assert HUB_ID in card
