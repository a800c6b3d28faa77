"""One call: what is an answer, what passes, what is one image's fault and what is everybody's."""

from __future__ import annotations

import gzip
import json
import threading
import time
from contextlib import closing
from email.utils import formatdate

import pytest

from imagenet_hard.base.errors import ClassifierError, ImageError, UsageError
from imagenet_hard.evaluation.generative import connection, endpoint
from imagenet_hard.evaluation.generative.endpoint import (
    Answer,
    Endpoint,
    PassingError,
    base_url,
    key_for,
)
from tests.evaluation.generative.chat_server import Chat, Reply, completion, serving

IMAGE = "data:image/png;base64,AAAA"
KEY = "sk-very-secret-key"


def error(message: str, status: int, headers=None, **about) -> Reply:
    return Reply({"error": {"message": message, **about}}, status, headers)


def ask(one: Endpoint, text: str = "?") -> Answer:
    with closing(one.connection()) as connection:
        return one.ask(connection, one.request(text, IMAGE))


def call(reply: Reply | dict, key: str = KEY, model: str = "toy") -> Answer:
    reply = reply if isinstance(reply, Reply) else Reply(reply)
    with serving(Chat(fault=lambda n, image, request: reply)) as chat:
        try:
            return ask(Endpoint(model, chat.url, key, {"temperature": 0, "seed": 7}), "What is it?")
        finally:
            (request,) = chat.requests
            assert {k: v for k, v in request.items() if k != "messages"} == {
                **{"model": model, "temperature": 0, "seed": 7},
            }
            assert chat.headers[0]["authorization"] == f"Bearer {key}"


def message(**about) -> dict:
    return completion("", choices=[{"message": about, "finish_reason": "stop"}])


def test_an_answer():
    assert call(completion("a tench")) == Answer("a tench", "stop", 100, 2, "toy-1")
    assert call(completion("tench", usage=None, model=None)) == Answer("tench", "stop")
    cut = completion("a ten")
    cut["choices"][0]["finish_reason"] = "length"
    assert call(cut).finish == "length"
    assert call(message(content=None)).text == ""
    assert call(
        message(content=[{"type": "text", "text": "a "}, {"type": "text", "text": "tench"}])
    ).text == ("a tench")
    assert call(completion("half \ud800")).text == "half ?"
    assert (
        call(completion("x", usage={"prompt_tokens": "many", "completion_tokens": -1})).prompt_tokens is None
    )


@pytest.mark.parametrize(
    "reply",
    [
        message(content=None, refusal="I can't help with that."),
        error("filtered", 400, code="content_filter"),
        error("your request was rejected", 400, code="content_policy_violation"),
    ],
)
def test_a_content_filter_is_an_answer(reply):
    assert call(reply).finish == "content_filter"


@pytest.mark.parametrize(
    ("reply", "said", "pushed_back"),
    [
        (error("slow down", 429), "429: slow down", True),
        (error("oops", 500), "500: oops", False),
        (error("later", 503), "503: later", True),
        (Reply(b"<html>Bad Gateway</html>", 502, {"Content-Type": "text/html"}), "502: .*Bad Gateway", False),
        (
            Reply(b"<html>Welcome</html>", 200, {"Content-Type": "text/html"}),
            "not a chat completion: <html>W",
            False,
        ),
        (Reply(b""), "not a chat completion", False),
        (Reply(b"[" * 100_000), "not a chat completion", False),
        (Reply([]), "not a chat completion", False),
        (completion("", choices=[]), "not a chat completion", False),
        (completion("", choices=None), "not a chat completion", False),
        ({"error": {"message": "overloaded"}}, "not a chat completion: .*overloaded", False),
        (message(content=7), "an answer that is not text: 7", False),
        (Reply(completion("tench"), cut=True), "no connection", False),
        (Reply(completion("tench"), drop=True), "no connection", False),
        (completion("x" * 2**20), "a reply of more than 1,048,576 bytes", False),
        (
            Reply(gzip.compress(b" " * 2**24), 200, {"Content-Encoding": "gzip"}),
            "a reply of more than",
            False,
        ),
        (Reply(b"x" * 2**21, 500), "a reply of more than", False),
    ],
)
def test_what_passes(reply, said, pushed_back):
    with pytest.raises(PassingError, match=said) as caught:
        call(reply)
    assert caught.value.pushed_back is pushed_back


def test_a_slow_answer_and_no_server(monkeypatch):
    monkeypatch.setattr(connection, "TIMEOUT", 0.2)
    with pytest.raises(PassingError, match="no answer within 0.2 s"):
        call(Reply(completion("tench"), wait=1))
    with pytest.raises(PassingError, match="no connection"):
        ask(Endpoint("toy", "http://127.0.0.1:9/v1", "none", {}))


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "Retry-After": "9"}, 1.5),
        ({"Retry-After": "-3"}, 0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait(headers, wait):
    with pytest.raises(PassingError) as caught:
        call(error("slow down", 429, headers))
    assert caught.value.wait == wait


def test_until_when_to_wait():
    with pytest.raises(PassingError) as caught:
        call(error("slow down", 429, {"Retry-After": formatdate(time.time() + 30, usegmt=True)}))
    assert caught.value.wait == pytest.approx(30, abs=3)
    with pytest.raises(ClassifierError, match="asks to wait 60 minutes .*The answers so far are kept"):
        call(error("tokens per day", 429, {"Retry-After": "3600"}))


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (
            error(f"Incorrect API key provided: {KEY}.", 401),
            r"refuses the key.*401: .*\(the key\).*--key-env",
        ),
        (error("no", 403), "refuses the key"),
        (error("The model `toy` does not exist", 404), "has no model 'toy', or is not an OpenAI-compatible"),
        (error("pay", 402), "wants to be paid"),
        (error("You exceeded your current quota", 429, code="insufficient_quota"), "wants to be paid"),
        (
            Reply({}, 302, {"Location": "https://evil.example/v1"}),
            "sends on to https://evil.example/v1, which is not",
        ),
        (Reply({}, 307, {"Location": "/v2"}), "sends on to /v2"),
    ],
)
def test_what_would_fail_for_all(reply, said):
    with pytest.raises(ClassifierError, match=said) as caught:
        call(reply)
    assert KEY not in str(caught.value)


def test_what_one_image_gets():
    with pytest.raises(ImageError, match="^400: image too large$"):
        call(error("image too large", 400))
    with pytest.raises(ImageError, match=r"^422: \[31mred"):
        call(Reply({"message": "[31mred\n" + "x" * 500}, 422))
    with pytest.raises(ImageError) as caught:
        call(Reply({"message": f"\x1b[31m{KEY}" + "x" * 500}, 422))
    assert len(str(caught.value)) < 220
    assert "\x1b" not in str(caught.value)
    assert KEY not in str(caught.value)


def test_a_wrong_address_is_told():
    with serving(Chat()) as chat:
        one = Endpoint("toy", chat.url.removesuffix("/v1"), "none", {})
        with pytest.raises(ClassifierError, match="which usually ends in /v1"):
            ask(one)


def test_the_address_is_checked():
    assert base_url(None, {}) == "https://api.openai.com/v1"
    assert base_url(None, {"OPENAI_BASE_URL": "http://here/v1/"}) == "http://here/v1"
    assert (
        base_url("http://localhost:8000/v1/", {"OPENAI_BASE_URL": "http://here"})
        == "http://localhost:8000/v1"
    )
    for wrong in ("localhost:8000/v1", "ftp://x/v1", "http://", "http://x:99999/v1", "http://[x", "nonsense"):
        with pytest.raises(UsageError, match="expected one as http://localhost:8000/v1"):
            base_url(wrong, {})
    for wrong in ("https://me:secret@x.org/v1", "https://x.org/v1?key=secret", "https://x.org/v1#secret"):
        with pytest.raises(UsageError, match="which a record would show") as caught:
            base_url(wrong, {})
        assert "secret" not in str(caught.value)
    with pytest.raises(UsageError, match="leave out /chat/completions"):
        base_url("https://x.org/v1/chat/completions", {})


def test_a_key_goes_where_it_belongs():
    """OpenAI's to OpenAI, and to the address that stands beside it in the environment; to no other."""
    environment = {"OPENAI_API_KEY": KEY, "MINE": "mine"}
    openai, other = "https://api.openai.com/v1", "https://other.example/v1"
    assert key_for(openai, None, environment) == KEY
    assert key_for(other, None, environment) == "none"
    assert key_for(other, None, environment | {"OPENAI_BASE_URL": other}) == KEY
    assert key_for(other, "MINE", environment) == "mine"
    assert key_for("http://localhost:1/v1", "MINE", environment) == "mine"
    with pytest.raises(UsageError, match="no key for https://api.openai.com/v1: set .* OPENAI_API_KEY"):
        key_for(openai, None, {})
    with pytest.raises(UsageError, match="set the environment variable HERS"):
        key_for(other, "HERS", environment)
    for url in ("http://other.example/v1", "HTTP://other.example/v1"):
        with pytest.raises(UsageError, match="is not encrypted, and the key of MINE would be sent"):
            key_for(url, "MINE", environment)


@pytest.mark.parametrize("wrong", ["two\nlines", "sk-\u2019", "a\x7f"])
def test_what_is_no_key_is_not_shown(wrong):
    with pytest.raises(UsageError, match="the key of MINE has characters that no key has") as caught:
        key_for("https://other.example/v1", "MINE", {"MINE": wrong})
    assert wrong not in str(caught.value)


def test_an_account_at_openai_is_told_to_nobody_else(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, f"private-{name}")
    with serving(Chat()) as chat:
        ask(Endpoint("toy", chat.url, key_for(chat.url, None), {}))
    assert "private" not in json.dumps(chat.headers)


def test_openai_hears_of_its_account(monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "")
    with serving(Chat()) as chat:
        monkeypatch.setattr(endpoint, "DEFAULT_URL", chat.url)
        ask(Endpoint("toy", chat.url, KEY, {}))
    assert chat.headers[0]["openai-organization"] == "org-1"
    assert "openai-project" not in chat.headers[0]


def test_the_request_is_what_the_openai_client_sends():
    """Words and names with all that JSON escapes, and that stand in the request's own places."""
    openai = pytest.importorskip("openai")
    model, words = 'a "TEXT" IMAGE/é', 'TEXT "IMAGE" \\ \n\u2028é🐟'
    settings = {"temperature": 0, "stop": ['"', "IMAGE"], "response_format": {"type": "text"}}
    content = [{"type": "text", "text": words}, {"type": "image_url", "image_url": {"url": IMAGE}}]
    with serving(Chat()) as chat:
        ask(Endpoint(model, chat.url, KEY, settings), words)
        with openai.OpenAI(base_url=chat.url, api_key=KEY, max_retries=0) as client:
            client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": content}], **settings
            )
    ours, theirs = chat.requests
    assert ours == theirs
    for header in ("authorization", "content-type", "accept"):
        assert chat.headers[0][header] == chat.headers[1][header]


def test_something_else_is_done_while_an_answer_is_on_its_way():
    """Between sending and receiving: not before all of the request has come."""
    seen, came = [], threading.Event()

    def fault(n, image, request):
        came.set()
        assert done.wait(10)

    done = threading.Event()

    def meanwhile():
        seen.append(came.wait(10))
        done.set()

    with serving(Chat(fault=fault)) as chat:
        one = Endpoint("toy", chat.url, KEY, {})
        with closing(one.connection()) as connection:
            assert one.ask(connection, one.request("?", IMAGE), meanwhile).text == "tench"
    assert seen == [True]


def test_the_extra_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "truststore", None)
    with pytest.raises(UsageError, match=r"api:toy needs the extra: pip install 'imagenet-hard\[api\]'"):
        Endpoint("toy", "https://localhost/v1", "none", {})
