"""Templates and class names: those of open_clip, those of a file, and what is wrong with a file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagenet_hard.base.errors import UsageError
from imagenet_hard.classifiers.zero_shot.prompts import (
    BUILTIN,
    TextSet,
    fill,
    load_classnames,
    load_templates,
)


def test_the_words_are_those_of_open_clip() -> None:
    """The 80 and the 7 templates and the 1000 names, 998 of them different, in its order."""
    from open_clip import IMAGENET_CLASSNAMES, OPENAI_IMAGENET_TEMPLATES, SIMPLE_IMAGENET_TEMPLATES

    for source, theirs in (("openai-80", OPENAI_IMAGENET_TEMPLATES), ("openai-7", SIMPLE_IMAGENET_TEMPLATES)):
        ours = load_templates(source)
        assert [fill(t, "x {} y") for t in ours.texts] == [t("x {} y") for t in theirs]
        assert ours.name == source
    names = load_classnames()
    assert names.texts == tuple(IMAGENET_CLASSNAMES)
    assert (len(names), len(set(names.texts))) == (1000, 998)
    assert names.texts[657] == names.texts[744] == "missile"
    assert names.texts[836] == names.texts[837] == "sunglasses"


def test_hashes_are_pinned() -> None:
    """Results name these: another value means that results cannot be compared any more."""
    assert load_templates().sha256 == "e30aa9d7fb289e072e361fb1b2d16a295f7cb396978685fa57a0882c96c06b0d"
    assert (
        load_templates("single").sha256 == "3849a0dee9e53fa0be73d7cdaed0e5ffc9263fbc1db8c11331c0965a64f68f6d"
    )
    assert (
        load_classnames("distinct").sha256
        == "699e6c04dd6c6a75bc32ee3f46f83806e894a607191af14565fb65961e5aa033"
    )
    assert load_classnames().sha256 == "6ef5246539bb6543da0958381424e7f7b63b6758af04434f6e8f6da88e0cca70"


def test_single_is_one_template_and_simple_is_open_clips() -> None:
    """``SIMPLE_IMAGENET_TEMPLATES`` has seven; both names give one set and one hash."""
    assert load_templates("single") == TextSet("single", ("a photo of a {}.",))
    assert load_templates("simple") == load_templates("openai-7")
    assert len(load_templates("simple")) == 7


def test_distinct_names_differ_from_open_clips_in_the_twins_alone() -> None:
    """1000 different names; the two that change have WordNet's word for their synset."""
    from timm.data import ImageNetInfo

    ours, theirs = load_classnames("distinct").texts, load_classnames().texts
    assert len({name.lower() for name in ours}) == 1000
    changed = {i: own for i, (own, other) in enumerate(zip(ours, theirs, strict=True)) if own != other}
    assert changed == {744: "projectile", 836: "sunglass"}
    words = ImageNetInfo("imagenet-1k").label_descriptions()
    assert all(words[i].split(",")[0] == name for i, name in changed.items())


def test_the_hash_is_of_the_words_alone() -> None:
    """Not of what the set is called, but of every text and the order."""
    a = TextSet("a", ("x {}", "y {}"))
    assert a.sha256 == TextSet("b", ("x {}", "y {}")).sha256
    assert a.sha256 != TextSet("a", ("y {}", "x {}")).sha256
    assert TextSet("a", ("xy", "z")).sha256 != TextSet("a", ("x", "yz")).sha256


def test_no_torch_is_imported() -> None:
    """Words are words."""
    code = (
        "import sys\n"
        "from imagenet_hard.classifiers.zero_shot.prompts import load_classnames as c, load_templates as t\n"
        "t(), c(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


@given(
    texts=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="{}\n\r")).filter(lambda t: t == t.strip()),
        min_size=1,
    ),
    ending=st.sampled_from(["\n", "\r\n"]),
    bom=st.booleans(),
)
def test_a_file_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], ending: str, bom: bool
) -> None:
    """As lines and as JSON, with either placeholder, line ending and with a byte order mark."""
    templates = [f"a {text}{{c}} b" for text in texts]
    expected = tuple(t.replace("{c}", "{}") for t in templates)
    folder = tmp_path_factory.mktemp("words")
    encoding = "utf-8-sig" if bom else "utf-8"
    (folder / "t.txt").write_bytes((ending.join(templates) + ending).encode(encoding))
    (folder / "t.json").write_bytes(json.dumps(templates).encode(encoding))
    for name in ("t.txt", "t.json"):
        assert load_templates(folder / name) == TextSet(name, expected)


def test_class_names_from_a_file(tmp_path: Path) -> None:
    """Line 1 is class 0; names may repeat."""
    path = tmp_path / "names.txt"
    path.write_text("\n".join(f"thing {i // 2}" for i in range(1000)), encoding="utf-8")
    names = load_classnames(str(path))
    assert names.name == "names.txt"
    assert names.texts[:3] == ("thing 0", "thing 0", "thing 1")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "a {}\nno place\n",
            r"line 2: 'no place' has no placeholder; expected exactly one \{\} \(or \{c\}\)",
        ),
        ("a {} and {}\n", r"line 1: 'a \{\} and \{\}' has \{\}, \{\}; expected exactly one"),
        ("a {} {c}", r"line 1: .* has \{\}, \{c\}"),
        ("a {x}", r"line 1: .* has \{x\}"),
        ("{} }", r"line 1: .* has \{\}, \}"),
        ("a {}\n\nb {}", "line 2: empty; every one of the templates needs a text"),
        ("", "no templates in this file"),
        ("\n \n", "no templates in this file"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, content: str, message: str) -> None:
    """By file and line, with what is there."""
    path = tmp_path / "t.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=rf"t\.txt.*{message}"):
        load_templates(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('["a {}",\n "b {}"', r"t\.json, line 2: not JSON: "),
        ('{"a": 1}', "got a JSON dict, expected a list of strings"),
        ('["a {}", 3]', r"t\.json, item 2: got 3, expected a string"),
        ('["a {}", ""]', r"t\.json, item 2: empty"),
        ("[]", "no templates in this file"),
        ('["a photo"]', r"t\.json, item 1: 'a photo' has no placeholder"),
    ],
)
def test_bad_json_is_named(tmp_path: Path, content: str, message: str) -> None:
    """By file and item."""
    path = tmp_path / "t.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        load_templates(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing, a folder, not text, and a slip in a built-in name."""
    with pytest.raises(UsageError, match=r"cannot read templates from .*nothing\.txt: No such file"):
        load_templates(tmp_path / "nothing.txt")
    with pytest.raises(UsageError, match="cannot read templates from .*: Is a directory"):
        load_templates(tmp_path)
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(UsageError, match=r"b\.txt: templates must be UTF-8 text"):
        load_templates(tmp_path / "b.txt")
    with pytest.raises(
        UsageError, match=r"unknown templates 'openai80' \(did you mean openai-80\?\)"
    ) as error:
        load_templates("openai80")
    assert all(name in str(error.value) for name in BUILTIN)
    with pytest.raises(UsageError, match=r"cannot read class names from .*names\.txt"):
        load_classnames(tmp_path / "names.txt")
    with pytest.raises(UsageError, match=r"unknown class names 'distnict' \(did you mean distinct\?\)"):
        load_classnames("distnict")


@pytest.mark.parametrize("n", [1, 999, 1001])
def test_class_names_are_exactly_1000(tmp_path: Path, n: int) -> None:
    """Others would be scored against the wrong labels."""
    path = tmp_path / "names.txt"
    path.write_text("\n".join(f"thing {i}" for i in range(n)), encoding="utf-8")
    with pytest.raises(UsageError, match=rf"names\.txt: got {n} class names, expected 1000"):
        load_classnames(path)
