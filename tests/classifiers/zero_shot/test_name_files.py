"""Class-name files in the forms that ImageNet's lists have: put in class order, or refused."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.data import ImageNetInfo

from imagenet_hard.base.errors import UsageError
from imagenet_hard.classifiers.zero_shot.name_files import class_names
from imagenet_hard.classifiers.zero_shot.prompts import load_classnames
from imagenet_hard.imagenet.classes import devkit_order, distinct_names, names, wnids

NAMES, WNIDS = distinct_names(), wnids()
PAIRS = list(zip(WNIDS, NAMES, strict=True))
WORDS: list[str] = ImageNetInfo("imagenet-1k").label_descriptions()


def lines(texts: Any) -> str:
    return "\n".join(texts) + "\n"


def shuffled(items: Any) -> list[Any]:
    return random.Random(0).sample(list(items), 1000)


FORMS: dict[str, Callable[[], str]] = {
    "wnids": lambda: lines(f"{w} {n}" for w, n in shuffled(PAIRS)),
    "wnids, tabs": lambda: lines(f"{w}\t{n}" for w, n in shuffled(PAIRS)),
    "wnids, commas, header": lambda: "wnid,name\n" + lines(f"{w},{n}" for w, n in PAIRS),
    "wnids, quotes": lambda: lines(f'"{w}", "{n}"' for w, n in shuffled(PAIRS)),
    "wnids behind": lambda: lines(f"{n},{w}" for w, n in shuffled(PAIRS)),
    "wnids among others": lambda: "n00001740\tentity\n" + lines(f"{w}\t{n}" for w, n in PAIRS),
    "kit of ILSVRC": lambda: lines(
        f"{w} {i} {n.replace(' ', '_')}" for i, (w, n) in enumerate(shuffled(PAIRS), 1)
    ),
    "numbers": lambda: lines(f"{i}: {n}" for i, n in enumerate(NAMES)),
    "numbers in any order": lambda: lines(f"{i} {n}" for i, n in shuffled(enumerate(NAMES))),
    "numbers from 1": lambda: lines(f"{i}. {n}" for i, n in enumerate(NAMES, 1)),
    "numbers, header": lambda: "id,label\n" + lines(f"{i},{n}" for i, n in enumerate(NAMES)),
    "numbers behind": lambda: lines(f"{n},{i}" for i, n in enumerate(NAMES)),
    "number, wnid, name": lambda: lines(f"{i},{w},{n}" for i, (w, n) in enumerate(PAIRS)),
    "wnids in brackets": lambda: lines(f"[{w}] {n}" for w, n in shuffled(PAIRS)),
    "wnids in brackets behind": lambda: lines(f"{n} ({w})" for w, n in shuffled(PAIRS)),
    "numbers in brackets behind": lambda: lines(f"{n} ({i})" for i, n in shuffled(enumerate(NAMES))),
    "bullets": lambda: lines(f"- {n}" for n in NAMES),
    "yaml": lambda: "names:\n" + lines(f"  {i}: {n}" for i, n in enumerate(NAMES)),
    "quotes": lambda: lines(f'"{n}"' for n in NAMES),
    "quotes and commas": lambda: lines(f"{n!r}," for n in NAMES),
    "python": lambda: "imagenet_classes = " + repr(list(NAMES)),
    "python mapping": lambda: "{" + ",\n ".join(f"{i}: {n!r}" for i, n in enumerate(NAMES)) + "}",
    "json": lambda: json.dumps(NAMES),
    "json of pairs": lambda: json.dumps(shuffled(PAIRS)),
    "json of lines": lambda: json.dumps([f"{w} {n}" for w, n in shuffled(PAIRS)]),
    "keras": lambda: json.dumps({i: [w, n.replace(" ", "_")] for i, (w, n) in enumerate(PAIRS)}),
    "id2label": lambda: json.dumps(dict(shuffled(enumerate(NAMES)))),
    "class_to_idx": lambda: json.dumps({n: i for i, n in shuffled(enumerate(NAMES))}),
    "wnid to name": lambda: json.dumps(dict(shuffled(PAIRS))),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_form_gives_the_names_in_class_order(form: str, ending: str, tmp_path: Path) -> None:
    """Numbers, wnids, quotes and commas are no part of a name, and order the names."""
    path = tmp_path / "names.txt"
    path.write_bytes(FORMS[form]().replace("\n", ending).encode("utf-8-sig"))
    assert load_classnames(path).texts == NAMES


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0), number=st.sampled_from(["", "7 "]))
def test_wnids_order_any_permutation(seed: int, number: str) -> None:
    """Whatever the names are."""
    order = random.Random(seed).sample(range(1000), 1000)
    content = lines(f"{WNIDS[i]} {number}thing {i}" for i in order)
    assert class_names(content, Path("n.txt")) == tuple(f"thing {i}" for i in range(1000))


def test_wordnets_words_stay_whole(caplog: pytest.LogCaptureFixture) -> None:
    """Several words of a class go into the prompt as they stand, which is said."""
    found = class_names(
        lines(f"{w} {x}" for w, x in zip(WNIDS, WORDS, strict=True)), Path("synset_words.txt")
    )
    assert found == tuple(WORDS)
    assert "most class names are several words with commas" in caplog.text
    assert "'a photo of a tench, Tinca tinca.'" in caplog.text


def test_names_of_ones_own_stand_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    """In another language little is known, which is said; quotes inside a name and digits are part of it."""
    own = [f"Ding {i}" for i in range(1000)]
    own[:4] = ["St. Bernard's dog", "3-D glasses", 'a 5" disk "here"', "'70s car"]
    assert class_names(lines(own), Path("n.txt")) == tuple(own)
    (said,) = caplog.messages
    assert "hardly a class name is one of CLIP's" in said
    assert "a photo of a St. Bernard's dog." in said


def test_twins_underscores_and_a_strange_name_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """They may be meant."""
    class_names(lines(names()), Path("n.txt"))
    assert "2 classes share the name of an earlier one and can never come first (744 that" in caplog.text
    own = [*NAMES]
    own[681], own[5] = "cock", "electric_ray_fish"
    assert class_names(lines(own), Path("n.txt"))[5] == "electric ray fish"
    assert "underscores in the class names are read as blanks" in caplog.text
    assert "(n.txt, line 682): 'cock' is class 7" in caplog.text


def exchanged(a: int, b: int) -> list[str]:
    own = [*NAMES]
    own[a], own[b] = own[b], own[a]
    return own


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: lines(sorted(NAMES)), "99. of the 1000 names stand at another class .*, sorted by name"),
        (lambda: lines(sorted(NAMES, key=str.lower)), "sorted by name .'abacus' is class 398"),
        (lambda: lines(reversed(NAMES)), "1000 of the 1000 names .* in reverse .'toilet paper' is class 999"),
        (lambda: lines(["background", *NAMES[:-1]]), "line 2: .* one class late .'tench' is class 0"),
        (lambda: lines([*NAMES[1:], "the last"]), "one class early .'goldfish' is class 1"),
        (lambda: lines(NAMES[i] for i in devkit_order()), "in the order of the development kit"),
        (lambda: lines(exchanged(5, 9)), "line 6: 2 of the 1000 names .* two classes exchanged"),
        (lambda: lines(shuffled(NAMES)), "order that is not known here.*write its wnid before"),
        (lambda: lines(shuffled(n if "a" in n else f"my {n}" for n in NAMES)), "... of the 1000 names"),
        (lambda: lines(f"{i} {n}" for i, n in enumerate(shuffled(NAMES), 1)), "stand at another class"),
        (lambda: json.dumps(sorted(WORDS)), "item 1: .*sorted by name"),
        (lambda: lines(WNIDS), "line 1: 'n01440764' is a number or a wnid and no name"),
        (lambda: lines(map(str, range(1000))), "'0' is a number or a wnid and no name"),
        (lambda: json.dumps({w: i for i, w in enumerate(WNIDS)}), "is a number or a wnid and no name"),
        (lambda: lines(["background", *NAMES]), "got 1001 class names.*'background' is no class"),
        (lambda: lines(f"{i}: {n}" for i, n in enumerate(NAMES, 5)), "class names are 5 to 1004"),
        (lambda: lines(f"{i % 999}: {n}" for i, n in enumerate(NAMES)), "0 to 998, 999 different ones"),
        (lambda: lines(f"{w} {n}" for w, n in PAIRS[1:]), r"1 of the 1000 classes have no name, "),
        (lambda: lines(f"{w} {n}" for w, n in [*PAIRS, (WNIDS[1], "x")]), "n01443537 has two names"),
        (lambda: lines([*(f"{w} x" for w in WNIDS[:600]), *NAMES[600:]]), "line 601: .* has no wnid, which"),
        (lambda: lines(['"tench', *NAMES[1:]]), "line 1: '\"tench' has one quotation mark"),
        (lambda: lines([*NAMES[:7], "", *NAMES[8:]]), "line 8: empty; every one of"),
        (lambda: lines(map(" ".join, zip(WNIDS, sorted(NAMES), strict=True))), "wnids and the names"),
        (lambda: lines(f"the {n}, {w}, of ImageNet" for w, n in PAIRS), "line 1: .* has a wnid in it"),
        (lambda: "[]", "no class names in this file"),
        (lambda: "\n \n", "no class names in this file"),
        (lambda: json.dumps([[["tench"]]]), "item 1: got .*, expected one name"),
        (lambda: json.dumps({w: ["a", "b"] for w in WNIDS}), "expected one name, with its number or wnid"),
        (lambda: "[" * 100_000, "not JSON|nested too deeply"),
        (lambda: "{'tench', 'goldfish'}", "got a JSON set, expected a list of strings"),
    ],
)  # fmt: skip
def test_what_would_be_scored_wrong_is_refused(
    content: Callable[[], str], message: str, tmp_path: Path
) -> None:
    """The order, the numbers, or the words that are missing."""
    (tmp_path / "names.txt").write_text(content(), encoding="utf-8")
    with pytest.raises(UsageError, match=rf"names\.txt.*(?:{message})"):
        load_classnames(tmp_path / "names.txt")


def test_a_file_that_is_no_list_of_names_is_not_read(tmp_path: Path) -> None:
    """Nobody's class names have 20 MB."""
    with (tmp_path / "names.txt").open("wb") as file:
        file.truncate(20 << 20)
    with pytest.raises(UsageError, match="is too large to hold class names: 20 MB"):
        load_classnames(tmp_path / "names.txt")
