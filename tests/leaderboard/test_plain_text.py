"""What strangers may write, and the folder names that are made of it."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from imagenet_hard.leaderboard.plain_text import Https, Line, check_plain, plain


@pytest.mark.parametrize(
    "text", ["ViT-B/32 (ours)", "Université de Genève", "模型", "a & b", "5' 3\"", "", "R@1: 5 %"]
)
def test_plain_text_is_kept(text: str) -> None:
    """Names of models and places pass, in any script."""
    assert plain(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "a < b",
        "line\nbreak",
        "tab\t",
        "\x1b[2J",
        "\u202egnp.exe",
        "zero\u200bwidth",
        "\ud800",
        "javascript:alert(1)",
        "  JavaScript : alert(1)",
        "data:text/html,x",
        "vbscript:x",
    ],
)
def test_active_text_is_refused(text: str) -> None:
    """Tags, control characters, invisible characters and script addresses do not pass."""
    with pytest.raises(ValueError, match="plain text"):
        plain(text)


@pytest.mark.parametrize(
    "text",
    [
        "a\u3164b",
        "a\u2800",
        "a\ufe0f",
        "\u115f",
        "\uffa0",
        "a\u034fb",
        "a\u17b4",
        "a\u180b",
        "\U0001d159",
        "a\U000e0100",
        "Z\u0335\u0321\u0316algo",
        "a\u20dd",
        "\u0301a",
        "1\u0301",
    ],
)
def test_what_hides_or_stacks_is_refused(text: str) -> None:
    """Letters and signs that show nothing, stacks of marks, marks on nothing."""
    with pytest.raises(ValueError, match="plain text"):
        plain(text)


@pytest.mark.parametrize("text", ["e\u0301", "ที่", "שָּׁ"[:3], "हिन्दी", "Việt Nam", "한국어"])
def test_marks_that_writing_needs_are_kept(text: str) -> None:
    """Accents typed apart, Thai tones, Hebrew points, Devanagari, Vietnamese, Korean."""
    assert plain(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "www.evil.org",
        "see WWW.x.y",
        "(www.x.y)",
        "http://a.b",
        "ftp://a",
        "a@b.c",
        "first.last@mail.example.org",
        "mailto:x",
        "xmpp:x",
        "@torvalds",
        "by @all",
    ],
)
def test_names_that_become_links(text: str) -> None:
    """What GitHub makes a link or a mention of without brackets is no line of ours."""
    with pytest.raises(ValidationError, match="of which Markdown makes a link"):
        TypeAdapter(Line).validate_python(text)


@pytest.mark.parametrize(
    "text", ["ViT-L/14@336px", "R@1: 5 %", "LAION-2B, e.g. awww.x", "v1.0 @ 2x", "a/b#1"]
)
def test_names_that_do_not(text: str) -> None:
    """Input sizes and recall are written with the same signs."""
    assert TypeAdapter(Line).validate_python(text) == text


def test_endless_numbers_are_refused() -> None:
    """Wherever they stand; ordinary ones pass."""
    check_plain({"a": [1, 2.5, -(2**62), True, None]})
    for number in (10**40, -(10**40), 1e300):
        with pytest.raises(ValueError, match=r"a\[0\].b: .*expected a number"):
            check_plain({"a": [{"b": number}]})


@pytest.mark.parametrize(
    "url", ["https://a.org", "https://arxiv.org/abs/2304.05538", "https://a.org:8443/x?y=%20z#w"]
)
def test_https_addresses_are_kept(url: str) -> None:
    """Ordinary addresses pass."""
    assert TypeAdapter(Https).validate_python(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://a.org",
        "javascript:alert(1)",
        "data:text/html;base64,xx",
        "file:///etc/passwd",
        "//a.org",
        "https://",
        "https:///x",
        "https://user:pass@a.org",
        "https://a.org@evil.org",
        'https://a.org/"onclick="x',
        "https://a.org/<script>",
        "https://a.org/a b",
        "https://a.org\\@b.org",
        "https://а.org",  # a Cyrillic a
        "https://a.org:port/",
        "https://[::1",
        "https://a.org/\n",
        "https://a.org/" + "x" * 2000,
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    """Only https, without tricks."""
    with pytest.raises(ValidationError):
        TypeAdapter(Https).validate_python(url)


def test_a_line_has_no_blanks_around_it() -> None:
    """Two names that look alike are not two names."""
    with pytest.raises(ValidationError, match="blank"):
        TypeAdapter(Line).validate_python("ViT ")


def test_every_string_of_a_value_is_looked_at() -> None:
    """Keys and nested lists too; the message names the place."""
    check_plain({"a": [{"b": "fine"}], "n": 3, "none": None, "yes": True})
    with pytest.raises(ValueError, match=r"a\[1\].b: '<i>' has the character '<'"):
        check_plain({"a": ["x", {"b": "<i>"}]})
    with pytest.raises(ValueError, match="a: '<i>'"):
        check_plain({"a": {"<i>": 1}})
