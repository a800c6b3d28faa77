"""The matcher: laws over all classes, answers with verdicts written by hand, and what must not break it."""

from __future__ import annotations

import ast
import csv
import hashlib
import importlib.util
import inspect
import sys
import time
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagenet_hard.evaluation.generative import matcher
from imagenet_hard.evaluation.generative.matcher import KINDS, Match, match
from imagenet_hard.imagenet import classes, wordnet

ANSWERS = Path(__file__).parent

SHARED = {
    **{"sand viper": {54, 66}, "grass snake": {55, 57}, "crawfish": {123, 124}, "crane": {134, 517}},
    **{"catamount": {286, 287}, "panther": {286, 290}, "Sus scrofa": {341, 342}, "polecat": {358, 361}},
    **{"panda": {387, 388}, "tub": {435, 876}, "horn": {513, 566}, "maillot": {638, 639}},
    **{"missile": {657, 744}, "sunglasses": {836, 837}},
}
"""What several classes are called, by WordNet or by the names."""

ANOTHER_CLASS = {
    **{"partridge": (82, 86), "crayfish": (123, 124), "Cardigan": (264, 474), "gong": (494, 577)},
    "harp": (593, 594),
}
"""A lemma of the first that is the second's name: this alone is named, as in ``names.meanings``."""

WIDER = {
    *("wagon", "waggon", "brass", "board", "blower", "light", "scope", "plane", "pot", "screen", "rig"),
    *("upright", "press"),
}
"""Lemmas that are a wider term by a more frequent sense: a "plane" is no carpenter's plane."""


VERDICTS = {1: "072e95de07588748", 2: "fd7fa86e5e320333", 3: "fd7fa86e5e320333", 4: "90a32cbeb44caf80"}
"""Version -> hash of its verdicts on the written answers (1: ``answers.csv``) and the classes' names."""


def written(name: str) -> list[tuple[str, tuple[str, str]]]:
    with (ANSWERS / name).open(encoding="utf-8", newline="") as file:
        return [(row["answer"], (row["verdict"], row["classes"])) for row in csv.DictReader(file)]


def got(answer: str) -> tuple[str, str]:
    found = match(answer)
    return found.kind, " ".join(map(str, found.classes))


def test_every_name_names_its_class():
    """And no other, but where two classes have one name."""
    for index, name in enumerate(classes.names()):
        assert set(match(name).classes) == SHARED.get(name, {index}), name
    for index, name in enumerate(classes.distinct_names()):
        assert index in match(name).classes, name


def test_every_lemma_names_its_class():
    """But five that are another class's name, and those that mean a wider term first."""
    for index, wnid in enumerate(classes.wnids()):
        for lemma in wordnet.synsets()[wnid].lemmas:
            found = match(lemma)
            if ANOTHER_CLASS.get(lemma, (None,))[0] == index:
                assert found.classes == (ANOTHER_CLASS[lemma][1],), lemma
            elif lemma in WIDER:
                assert found.kind == "general", lemma
            else:
                assert index in found.classes, lemma
                assert len(found.classes) == 1 or set(found.classes) == SHARED.get(
                    lemma, SHARED.get(lemma.lower())
                ), lemma


@pytest.mark.parametrize(
    "written_as",
    [str.upper, str.lower, "a {}".format, "The {}.".format, "**{}**".format, "Answer: {}".format],
    ids=["upper", "lower", "a", "the", "bold", "answer"],
)
def test_how_a_name_is_written_does_not_matter(written_as):
    for name in classes.names():
        assert match(written_as(name)).classes == match(name).classes, name


def test_a_plural_names_the_class_too():
    """Names of which a plural can be made by rule; "ford model ts" is not read."""
    for name in classes.names():
        if name.isascii() and not name.endswith(("s", ")", "fish")) and name != "ford model t":
            many = name[:-1] + "ies" if name.endswith("y") and name[-2] not in "aeo" else name + "s"
            if name.endswith(("ch", "sh", "x", "z")):
                many = name + "es"
            assert match(many).classes == match(name).classes, many


@pytest.mark.parametrize(
    "sentence", ["The image shows a {}.", "It is a {} on a table.", "I think it's a {}!"]
)
def test_a_sentence_around_a_name_does_not_matter(sentence):
    for name in classes.names():
        assert match(sentence.format(name)).classes == match(name).classes, name


def test_every_wnid_names_its_class():
    assert [match(f"{wnid}: something").classes for wnid in classes.wnids()] == [(i,) for i in range(1000)]
    assert match("n99999999").kind == "unmatched"


def test_what_is_above_every_class_is_no_class():
    """By each class's nearest wider term that is not a name itself."""
    for wnid in classes.wnids():
        for above in wordnet.synsets()[wnid].above:
            for lemma in wordnet.synsets()[above].lemmas:
                found = match(lemma)
                assert found.kind == "class" or above in found.wider, lemma


@pytest.mark.parametrize(
    ("name", "least"),
    [("answers.csv", 0.98), ("held_out.csv", 0.98), ("held_out_2.csv", 0.97), ("held_out_3.csv", 0.98)],
)
def test_written_verdicts(name, least):
    """Against verdicts that a careful reader gave; no rule is fitted to ``held_out_3.csv``.

    First measures, which later figures must not hide: ``held_out.csv`` 278 of 291 (95.5 %) by matcher 1,
    whose failures matcher 2 was made from; ``held_out_2.csv`` 300 of 343 (87.5 %) by matcher 1, and its
    failures by matcher 3 are what matcher 4 was made from; ``held_out_3.csv`` 395 of 403 (98.0 %) by
    matcher 4. The aim was 98 %.
    """
    rows = written(name)
    wrong = [(answer, verdict, got(answer)) for answer, verdict in rows if got(answer) != verdict]
    for answer, verdict, found in wrong:
        print(f"{answer!r}: expected {verdict}, got {found}")
    agreement = 1 - len(wrong) / len(rows)
    print(f"{name}: {len(rows) - len(wrong)} of {len(rows)} ({100 * agreement:.1f} %)")
    assert agreement >= least


def test_the_answers_are_of_every_kind():
    for name, least in (
        ("answers.csv", 500),
        ("held_out.csv", 200),
        ("held_out_2.csv", 200),
        ("held_out_3.csv", 240),
    ):
        rows = written(name)
        assert len(rows) == len({answer for answer, _ in rows}) >= least
        assert {kind for _, (kind, _) in rows} == set(KINDS)


@given(st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_text_has_a_verdict(text):
    found = match(text)
    assert found.kind in KINDS
    assert bool(found.classes) == (found.kind == "class")
    assert bool(found.wider) == (found.kind == "general")


@pytest.mark.parametrize(
    "text",
    ["(" * 25_000, "[" * 25_000, "a " * 25_000, "<" * 25_000, "not " * 10_000, "or " * 10_000, "{" * 25_000,
     '{"a":' * 10_000, "zebra " * 5_000, "the answer is " * 2_500, "\\boxed{" * 5_000, "<think>" * 4_500,
     "z" * 50_000, "\n" * 25_000, ", " * 10_000, "_" * 25_000, "close up " * 4_000,
     "big piece of " * 750, "big cup of " * 850, "zebra . " * 1_250],
    ids=lambda text: repr(text[:8]),
)  # fmt: skip
def test_long_answers_end_soon(text):
    start = time.perf_counter()
    assert match(text).kind in KINDS
    assert time.perf_counter() - start < 5


def test_an_answer_is_matched_the_same_whatever_came_before():
    answers = [answer for answer, _ in written("answers.csv")]
    first = [match(answer) for answer in answers]
    match.cache_clear()
    assert [match(answer) for answer in reversed(answers)] == first[::-1]


def test_every_change_of_the_rules_has_its_hash(monkeypatch):
    """Hash of version, source and facts: stable here, another with another version."""
    before = matcher.matcher_sha256()
    assert len(before) == 64
    matcher.matcher_sha256.cache_clear()
    assert matcher.matcher_sha256() == before
    matcher.matcher_sha256.cache_clear()
    monkeypatch.setattr(matcher, "VERSION", matcher.VERSION + 1)
    assert matcher.matcher_sha256() != before
    matcher.matcher_sha256.cache_clear()


def test_the_hash_is_over_every_module_that_a_rule_is_in():
    """All that the matcher imports of its own folder, and what these import of it."""
    room = matcher.__name__.rpartition(".")[0]
    found, left = set(), [matcher.__name__]
    while left:
        source = inspect.getsource(sys.modules[left.pop()])
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and node.module in (room, "imagenet_hard.imagenet"):
                new = {f"{node.module}.{each.name}" for each in node.names}
            else:
                new = {getattr(node, "module", None) or ""} & sys.modules.keys()
            new = {each for each in new - found if each.startswith(room)}
            found |= new
            left += new
    hashed = {module.__name__ for module in matcher._MODULES}
    assert found <= hashed
    assert len(found) == 7


@pytest.mark.parametrize(
    ("answer", "classes"),
    [
        ("dalmation", {251}),
        ("a golden retreiver", {207}),
        ("gorillad", {366}),
        ("failed", set()),  # an English word is no misspelt "tailed frog"
        ("Bernese mountain", {239}),
        ("the little blue bird", set()),  # no heron
        ("a cup of eggnog", {969}),
        ("a cup of water", {968}),
        ("a big scoop of ice cream", {928}),
        ("sofa", {831}),
        ("love seat", {831}),
        ("xoloitzcuintli", {268}),
        ("an orange and white clownfish", {393}),
        ("a dog of the breed Great Dane", {246}),
        ("Of course! It's an accordion.", {401}),
        ("Looking at the image, I can identify a banjo.", {420}),
        ('{"result": {"label": "bathtub"}}', {435}),
        ("otter\nbeaver", None),
        ("1) violin 2) cello", None),
        ("It might be an otter. Alternatively, it might be a beaver.", None),
        ("otter (or beaver)", None),
        ("Otter. It is next to a beaver.", {360}),
        ("a child's drawing of a triceratops", {51}),
        ("the back of a school bus", {779}),
        ("a drawing", set()),
        ("You are looking at a banjo.", {420}),
        ("a dog looking at a banjo", "general"),
        ("a dark red velvet", {885}),
        ("Hard to say, maybe a beaver", {337}),
        ("I'm unable to tell what the object is from this picture.", "refusal"),
        ("There doesn't seem to be an image attached.", "refusal"),
        ("There is no object in the image.", "refusal"),
        ("a sulfur-crested cockatoo", {89}),
        ("a DSLR camera", {759}),
    ],
)
def test_rules(answer, classes):
    """``None``: ambiguous."""
    found = match(answer)
    if classes is None or isinstance(classes, str):
        assert found.kind == (classes or "ambiguous"), found
    else:
        assert set(found.classes) == classes, found


def test_other_verdicts_need_another_version():
    """When this fails, raise ``matcher.VERSION`` and add its line: records made before name the old one."""
    written_ones = chain.from_iterable(map(written, ("answers.csv", "held_out.csv", "held_out_2.csv")))
    answers = [*classes.names(), *(answer for answer, _ in written_ones)]
    verdicts = repr([(found.kind, found.classes, found.wider) for found in map(match, answers)])
    assert hashlib.sha256(verdicts.encode()).hexdigest()[:16] == VERDICTS[matcher.VERSION]


def test_what_decided_is_told():
    assert match("tench") == Match("class", (0,), rule="class name")
    assert match("puma").rule == "WordNet lemma"
    assert match("lioness").rule == "a kind of the class"
    assert match("TV").rule == "everyday word"
    assert match("crane (bird)").rule == "narrowed by a wider term"


def test_the_page_has_the_tables_of_today():
    """docs/generative.md, as ``python benchmarks/matcher.py --write`` makes it."""
    folder = ANSWERS.parents[2] / "benchmarks"
    page = ANSWERS.parents[2] / "docs" / "generative.md"
    if not folder.is_dir() or not page.is_file():
        pytest.skip("there are no benchmarks and docs beside these tests")
    spec = importlib.util.spec_from_file_location("matcher_tables", folder / "matcher.py")
    assert spec is not None
    assert spec.loader is not None
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    assert tables.text() in page.read_text("utf-8")
