"""Names that a reader takes for another's."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagenet_hard.leaderboard.entry import Entry, read_entry
from imagenet_hard.leaderboard.verify.lookalikes import look_alikes, skeleton
from tests.leaderboard.boards import standard


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return read_entry(standard(tmp_path).first)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Gооgle", "Google"),  # Cyrillic о
        ("ΜETA", "META"),  # Greek capital
        ("ΟΡΕΝΑΙ", "OPENAI"),  # all of it Greek
        ("Аррӏе", "Apple"),  # all of it Cyrillic
        ("Ｇoogle", "Google"),
        ("𝐆oogle", "google"),
        ("Faceb00k", "Facebook"),
        ("OpenAl", "OpenAI"),
        ("Micrоsoft  Research", "Microsoft Research"),
        ("Méta", "Meta"),
        ("ViT–B/16", "ViT-B/16"),
        ("rnobilenet", "mobilenet"),
    ],
)
def test_what_is_drawn_alike(entry: Entry, one: str, other: str) -> None:
    """Other letters, the same look: flagged as org, as submitter and as a name of the same org."""
    assert skeleton(one) == skeleton(other)
    for field in ("org", "submitter"):
        mine, theirs = (entry.model_copy(update={field: text}) for text in (one, other))
        flagged, why = look_alikes(mine, [theirs])
        assert flagged, field
        assert field in why or "mixes letters" in why
    mine, theirs = (entry.model_copy(update={"name": text}) for text in (one, other))
    assert look_alikes(mine, [theirs])[0]


def test_what_is_not(entry: Entry) -> None:
    """Neighbouring models, one org with several models, other scripts, and the entry itself."""
    others = [entry.model_copy(update={"name": name}) for name in ("ViT-B/16", "ViT-L/32", "模型", "ViT-β")]
    for each in (entry, *others):
        assert look_alikes(each, [entry, *others]) == (False, "")


def test_a_name_written_like_an_id(entry: Entry) -> None:
    """A model whose name ends as another's id does on a benchmark; not the model's own entries, nor kin."""

    def called(id: str, name: str) -> Entry:
        return entry.model_copy(update={"id": id, "name": name, "org": "A"})

    on_main, on_4k = called("A__B", "B"), called("A__B__imagenet-hard-4k", "B")
    for name in ("B-imagenet-hard-4k", "B_imagenet-hard-4k", "b-imagenet-hard-4K"):
        written = called(f"A__{name}", name)
        assert look_alikes(written, [on_main, on_4k]) == (True, f"the id looks like {on_4k.id}")
        assert look_alikes(on_4k, [on_main, written]) == (True, f"the id looks like {written.id}")
    others = [
        on_main,
        on_4k,
        called("A__B-4k", "B-4k"),
        called("A__C-imagenet-hard-4k", "C-imagenet-hard-4k"),
    ]
    for each in others:
        assert look_alikes(each, others) == (False, "")


def test_a_submitters_name_in_other_hands(entry: Entry) -> None:
    """The same typed name, another account."""
    alice = entry.model_copy(update={"name": "first", "owner": {"github": "alice"}})
    mallory = entry.model_copy(update={"owner": {"github": "mallory"}})
    assert "of another owner" in look_alikes(mallory, [alice])[1]
    assert look_alikes(alice.model_copy(update={"name": "second"}), [alice]) == (False, "")
