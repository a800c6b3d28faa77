"""Scores for the model's own page on the Hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.leaderboard.entry import Entry, read_entry
from imagenet_hard.leaderboard.eval_results import (
    card_with_result,
    result_path,
    results_text,
    write_eval_results,
)
from imagenet_hard.tta.settings import tta_settings
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


def changed(entry: Entry, *, head: Mapping[str, Any] | None = None, **protocol: Any) -> Entry:
    """The entry of another run of the same model."""
    assert entry.result is not None
    result = entry.result.model_copy(update={"protocol": entry.result.protocol.model_copy(update=protocol)})
    model = entry.model.model_copy(update={"head": head})
    return entry.model_copy(update={"result": result, "model": model})


def test_the_hubs_own_parser_reads_it(entry: Entry) -> None:
    """Data set, task, commit, quoted date, percent; no note and no source where there is nothing to say."""
    text = results_text(None, entry)
    assert "date: '2026-01-31'" in text
    (found,) = parse_eval_result_entries(yaml.safe_load(text))
    assert (found.dataset_id, found.task_id, found.dataset_revision) == (HUB_ID, "imagenet-hard", COMMIT)
    assert found.value == percent(entry)
    assert (found.notes, found.source_url) == (None, None)
    request = "https://huggingface.co/datasets/lab/board/discussions/3"
    owned = entry.model_copy(update={"owner": {"hub": "alice"}})
    (found,) = parse_eval_result_entries(yaml.safe_load(results_text(None, owned, request)))
    assert (found.source_url, found.source_user) == (request, "alice")


@pytest.mark.parametrize(
    ("run", "note", "file"),
    [
        ({}, None, "imagenet-hard"),
        ({"precision": "bf16"}, "bf16", "imagenet-hard_bf16"),
        ({"transform": "paper"}, "paper transform", "imagenet-hard_paper_transform"),
        ({"decode": {"exif_rotation": True}}, "turned by EXIF", "imagenet-hard_turned_by_exif"),
        ({"head": {"templates": "openai-80", "classnames": "open_clip"}}, None, "imagenet-hard"),
        (
            {"head": {"templates": "single", "classnames": "distinct"}},
            "prompts single, class names distinct",
            "imagenet-hard_prompts_single_class_names_distinct",
        ),
        (
            {"tta": tta_settings("zoom", views=8).recorded(), "precision": "fp16"},
            "TTA zoom8, fp16",
            "imagenet-hard_tta_zoom8_fp16",
        ),
    ],
)
def test_each_variant_has_a_file_and_a_note(
    entry: Entry, run: dict[str, Any], note: str | None, file: str
) -> None:
    """The default run has neither; the card's metric is named by it as well."""
    other = changed(entry, **run)
    assert result_path(other) == f".eval_results/{file}.yaml"
    assert yaml.safe_load(results_text(None, other))[0].get("notes") == note
    both = card_with_result(card_with_result(None, entry, "mine"), other, "mine")
    assert len(ModelCard(both).data.eval_results) == (1 if note is None else 2)


def test_other_benchmarks_have_their_own(entry: Entry) -> None:
    """File and task are the data set's, as its ``eval.yaml`` names them."""
    big = entry.benchmark.model_copy(update={"source": "taesiri/imagenet-hard-4K"})
    other = entry.model_copy(update={"benchmark": big})
    assert result_path(other) == ".eval_results/imagenet-hard-4k.yaml"
    assert yaml.safe_load(results_text(None, other))[0]["dataset"]["task_id"] == "imagenet-hard-4k"


OTHERS = f"""\
- dataset: {{id: cais/hle, task_id: hle}}
  value: 20.9
  verifyToken: abc
  date: 2025-01-15
- dataset: {{id: {HUB_ID}, task_id: imagenet-hard, revision: {COMMIT}}}
  value: 99.0
  notes: with tools
- dataset: {{id: {HUB_ID}, task_id: imagenet-hard, revision: {"d" * 40}}}
  value: 12.0
"""


def test_what_others_wrote_is_kept(entry: Entry) -> None:
    """Other data sets, notes and revisions, with every key; the same run is replaced, also an old form's."""
    others = yaml.safe_load(OTHERS)
    once = results_text(OTHERS, entry)
    assert yaml.safe_load(once)[:3] == others
    assert yaml.safe_load(once)[3]["value"] == percent(entry)
    assert results_text(once, entry) == once
    earlier = {
        "dataset": {"id": HUB_ID, "task_id": "imagenet-hard", "revision": COMMIT},
        "value": 1.0,
        "notes": "9 of 60 images, right if the top-1 is among the labels; benchmark fingerprint ab",
    }
    assert yaml.safe_load(results_text(yaml.safe_dump([earlier]), entry)) == yaml.safe_load(once)[3:]


@pytest.mark.parametrize("text", ["a: b", "- 3", "- value: 3", "[", "- dataset: x", "- &a [*a]"])
def test_no_file_of_results_is_written_over(entry: Entry, text: str) -> None:
    """Whatever else is there is left for its owner to mend."""
    with pytest.raises(UsageError, match=r"\.eval_results/imagenet-hard\.yaml is not.* Repair it first"):
        results_text(text, entry)


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
    before = card.read_text(), results.read_text()
    write_eval_results(tmp_path / "model", entry)
    assert (card.read_text(), results.read_text()) == before
    results.write_bytes(b"\xff")
    with pytest.raises(ResultError, match="cannot read"):
        write_eval_results(tmp_path / "model", entry)


def test_what_the_hub_cannot_show(entry: Entry) -> None:
    """A benchmark from a folder, a revision that is no commit, a card that is no YAML."""
    for change, message in (
        ({"source": "folder"}, "the Hub shows results on its own data sets only"),
        ({"revision": "main"}, "expected a commit of 40 hex digits"),
    ):
        other = entry.model_copy(update={"benchmark": entry.benchmark.model_copy(update=change)})
        with pytest.raises(UsageError, match=message):
            results_text(None, other)
        with pytest.raises(UsageError, match=message):
            card_with_result(None, other, "x")
    with pytest.raises(UsageError, match="metadata cannot be read"):
        card_with_result("---\na: [\n---\n", entry, "x")


def test_proposed_to_the_models_repository(minihub: LoopbackHub, tmp_path: Path) -> None:
    """One pull request with both files, also when it is asked for twice."""
    board = standard(tmp_path / "board")
    results = ".eval_results/imagenet-hard.yaml"
    minihub.push("model", "alice/mine", {"README.md": CARD.encode(), results: OTHERS.encode()})
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
    assert {"README.md", results} <= names
    proposed = yaml.safe_load(repo.git("show", f"refs/pr/1:{results}"))
    assert [each["value"] for each in proposed] == [20.9, 99.0, 12.0, percent(read_entry(board.first))]
    card = repo.git("show", "refs/pr/1:README.md").decode()
    assert "# My model" in card
    assert HUB_ID in card
