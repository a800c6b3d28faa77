"""What an entry is called: one way to make an id of a model and a benchmark, one way to take it apart."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagenet_hard.base.errors import UsageError
from imagenet_hard.leaderboard.ids import (
    MAX_BENCHMARK,
    MAX_ID,
    benchmark_of,
    benchmark_part,
    benchmark_parts,
    entry_id,
    model_of,
)


@pytest.mark.parametrize(
    ("org", "name", "expected"),
    [
        ("Google Research", "ViT-B/32 (ours)", "Google-Research__ViT-B-32-ours"),
        ("a__b", "c___d", "a_b__c_d"),
        ("../..", "x", None),
        ("..", "/etc/passwd", None),
        ("org", "..\\..\\x", "org__x"),
        ("Genève", ".hidden.", "Geneve__hidden"),
        ("模型", "x", None),
        ("o" * 91, "x", None),
    ],
)
def test_ids(org: str, name: str, expected: str | None) -> None:
    """Path tricks become harmless names, or are refused where nothing is left."""
    if expected is None:
        with pytest.raises(UsageError, match="makes no folder name"):
            entry_id(org, name)
    else:
        assert entry_id(org, name) == expected


@given(st.text(max_size=60), st.text(max_size=60))
def test_ids_are_safe_folder_names(org: str, name: str) -> None:
    """Whatever is typed: one path component of safe characters, and the parts give the same id again."""
    try:
        made = entry_id(org, name)
    except UsageError:
        return
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*__[A-Za-z0-9][A-Za-z0-9._-]*", made)
    assert made[-1] not in "._-"
    assert entry_id(*made.split("__")) == made


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60), st.sampled_from([0, 1, 2]))
def test_an_id_is_taken_apart_in_one_way(org: str, name: str, benchmark: str, which: int) -> None:
    """Whatever is typed as a name, no model's id reads as another's on some benchmark."""
    part = benchmark_parts(benchmark, "0123456789abcdef")[which]
    try:
        plain, made = entry_id(org, name), entry_id(org, name, part)
    except UsageError:
        return
    assert (model_of(made), benchmark_of(made), benchmark_of(plain)) == (plain, part, "")
    assert len(made) <= MAX_ID


@pytest.mark.parametrize(
    "id",
    [
        "a__b__" + "c" * (MAX_BENCHMARK + 1),
        "a__b__",
        "a__b__C",
        "a__b__c__d",
        "a__b__c_d",
        "a__b__-c",
        "a__b__c--d",
        "a__b__c.d",
        "a__b____",
        "a__b__é",
    ],
)
def test_what_is_no_benchmark_part(id: str) -> None:
    """Capitals, underscores, ends of hyphens, other scripts, too long."""
    with pytest.raises(ValueError, match="its third part is"):
        benchmark_of(id)


def test_the_main_benchmark_has_no_part_and_two_of_one_name_have_digits() -> None:
    """By hand: the name in small letters; of a long one the beginning."""
    names = {"ab" * 32: "imagenet-hard", "cd" * 32: "ImageNet-Hard 4K"}
    known = {digest: SimpleNamespace(name=name) for digest, name in names.items()}
    assert [benchmark_part(each, known) for each in known] == ["", "imagenet-hard-4k"]
    known["ef" * 32] = SimpleNamespace(name="imagenet_hard")
    assert [benchmark_part(each, known) for each in known] == [
        *("imagenet-hard-abababab", "imagenet-hard-4k", "imagenet-hard-efefefef")
    ]
    assert benchmark_parts("x" * 99, "ab" * 32)[1:] == ("x" * 40, "x" * 31 + "-abababab")
    assert benchmark_parts("模型", "ab" * 32)[1:] == ("benchmark", "benchmark-abababab")
