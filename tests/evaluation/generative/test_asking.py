"""Many calls at once under every fault: no answer is lost, and none is paid for twice."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imagenet_hard import evaluate
from imagenet_hard.base.errors import ClassifierError, ImageError
from imagenet_hard.base.types import Example
from imagenet_hard.evaluation.generative import asking, endpoint
from imagenet_hard.evaluation.generative.answer_store import AnswerStore
from imagenet_hard.evaluation.generative.asking import Asking, Gate, StoppedError
from imagenet_hard.evaluation.generative.endpoint import Endpoint, PassingError
from imagenet_hard.evaluation.generative.prompts import PROMPTS, question
from tests.base.forked import started
from tests.evaluation.generative.chat_server import Chat, Reply, completion, serving


def picture(seed: int) -> bytes:
    """A tiny PNG, another one for each seed."""
    file = BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def examples(n: int) -> list[Example]:
    return [Example(f"{i:05}.png", picture(i), (i % 1000,)) for i in range(n)]


def words(id, labels):
    return question(PROMPTS["open"], id, labels)


def ask(chat: Chat, store: AnswerStore, images, concurrency=None, on_answer=lambda answer, n: None):
    one = Endpoint("toy", chat.url, "none", {})
    return Asking(one, words, store, concurrency).run("toy", [lambda e=e: e for e in images], on_answer)


@pytest.fixture
def quick(monkeypatch):
    """Pauses of hundredths of a second."""
    monkeypatch.setattr(asking, "LONGEST_PAUSE", 0.02)


FAULTS = [
    Reply({"error": {"message": "slow"}}, 429),
    Reply({"error": {"message": "slow"}}, 429, {"Retry-After": "0.05"}),
    Reply({"error": {"message": "oops"}}, 500),
    Reply({"error": {"message": "busy"}}, 503),
    Reply(b"<html>Bad Gateway</html>", 502, {"Content-Type": "text/html"}),
    Reply(b"<html>Hello</html>", 200, {"Content-Type": "text/html"}),
    Reply(b"{"),
    Reply({"choices": []}),
    Reply({"error": {"message": "in a good reply"}}),
    Reply(b"x" * 2**21),
    Reply(completion("cut"), cut=True),
    Reply(completion("dropped"), drop=True),
]


def trouble(n: int, image: str, request) -> Reply | None:
    """Each image fails up to three times, in ways that its hash says."""
    if n > int(image[0], 16) % 4:
        return None
    return FAULTS[int(image[n : n + 2], 16) % len(FAULTS)]


@pytest.mark.parametrize("concurrency", [64, pytest.param(None, marks=pytest.mark.slow)])
def test_every_fault_at_once(quick, concurrency):
    """64 calls at a time, or as many as it finds: each image is answered once, with what was given for it."""
    images = examples(400)
    answers = {hashlib.sha256(e.image).hexdigest(): f"answer {e.id}" for e in images}
    store = AnswerStore(None)
    with serving(Chat(answers, trouble, wait=0.1 if concurrency else 0.01)) as chat:
        came = ask(chat, store, images, concurrency)
        assert came.new == 400
        assert chat.repeated() == {}
        assert chat.most <= 64
        assert concurrency is None or chat.most > 8
        assert len(chat.calls) == 400
        again = ask(chat, store, images, concurrency)
        assert (again.new, len(again.rows)) == (0, 400)
    kept = store.read(e.id for e in images)
    assert [(each.id, each.answer) for each in kept] == [(e.id, f"answer {e.id}") for e in images]
    assert sum(len(times) for times in chat.good.values()) == 400


def test_a_changed_image_is_asked_about_again():
    store = AnswerStore(None)
    first, second = examples(2)
    with serving(Chat()) as chat:
        ask(chat, store, [first, second])
        changed = Example(second.id, picture(9), second.labels)
        assert ask(chat, store, [first, changed]).new == 1
    assert len(chat.requests) == 3


def test_answers_arrive_in_groups_and_memory_is_not_asked_for(quick):
    """The one who is told hears of each answer once, in order of arrival."""
    told = []
    with serving(Chat()) as chat:
        ask(chat, AnswerStore(None), examples(30), 4, lambda answer, n: told.append((answer.id, n)))
    assert sorted(id for id, _ in told) == [e.id for e in examples(30)]
    assert [n for _, n in told] == list(range(1, 31))


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, r"does not answer for 'toy': image '\d{5}.png': 400: no images here. Is this a"),
        (401, "refuses the key"),
        (404, "has no model 'toy'"),
    ],
)
def test_what_is_wrong_with_all_costs_one_call(status, said):
    """One of the images is asked about, whichever thread comes first."""
    wrong = Reply({"error": {"message": "no images here"}}, status)
    with serving(Chat(fault=lambda n, image, request: wrong)) as chat:
        with pytest.raises(ClassifierError, match=said):
            ask(chat, AnswerStore(None), examples(50), 32)
        assert len(chat.requests) == 1


def test_nobody_at_the_address(quick):
    """The address is asked about, and not the model."""
    with serving(Chat()) as chat:
        pass
    with pytest.raises(ClassifierError, match="no connection: .*, after 8 calls. Is a server running there"):
        ask(chat, AnswerStore(None), examples(1))


def test_an_endpoint_without_any_answer(quick):
    """A server that cannot take images may say so with 500: its words are shown."""
    wrong = Reply({"error": {"message": "image input is not supported"}}, 500)
    with serving(Chat(fault=lambda n, image, request: wrong)) as chat:
        with pytest.raises(
            ClassifierError, match="500: image input is not supported, after 8 calls. Is this"
        ):
            ask(chat, AnswerStore(None), examples(1))
        assert chat.most == 1


def test_an_image_without_an_answer_is_named_and_the_others_kept(quick):
    images = examples(40)
    bad = hashlib.sha256(images[7].image).hexdigest()
    fault = Reply({"error": {"message": "cannot read it"}}, 400)
    store = AnswerStore(None)

    def broken():
        raise ImageError("image 'x' of toy cannot be read: gone")

    with serving(Chat(fault=lambda n, image, request: fault if image == bad else None)) as chat:
        with pytest.raises(
            ClassifierError, match="1 of 40 images of toy got no answer.*\n.*'00007.png': 400"
        ):
            ask(chat, store, images, 8)
        assert len(store.questions()) == 39
        with pytest.raises(ClassifierError, match="1 of 40 images"):
            ask(chat, store, images, 8)
        assert chat.calls[bad] == 2
        one = Endpoint("toy", chat.url, "none", {})
        with pytest.raises(ClassifierError, match="image 'x' of toy cannot be read: gone"):
            Asking(one, words, store).run("toy", [broken], lambda answer, n: None)
    assert chat.repeated() == {}


def test_the_next_image_is_read_while_an_answer_is_on_its_way(monkeypatch):
    """By the thread that waits; where that image is broken, the answer is kept."""
    monkeypatch.setattr(asking, "AHEAD", 0)
    images, store, read = examples(3), AnswerStore(None), threading.Event()
    first = hashlib.sha256(images[0].image).hexdigest()

    def broken():
        read.set()
        raise ImageError("image 'x' of toy cannot be read: gone")

    def fault(n, image, request):
        assert image != first or read.wait(10)

    tasks = [lambda: images[0], broken, lambda: images[1], lambda: images[2]]
    with serving(Chat(fault=fault)) as chat:
        alone = Asking(Endpoint("toy", chat.url, "none", {}), words, store, 1)
        with pytest.raises(ClassifierError, match="1 of 4 images of toy got no answer"):
            alone.run("toy", tasks, lambda answer, n: None)
    assert len(store.questions()) == 3
    assert chat.repeated() == {}


def test_an_endpoint_that_goes_away_ends_the_run(quick):
    """What came is kept; when it is back, only the rest is asked for."""
    images, store, gone = examples(200), AnswerStore(None), threading.Event()

    def fault(n, image, request):
        if len(chat.good) >= 50:
            gone.set()
        return Reply({"error": {"message": "down"}}, 500) if gone.is_set() and not chat.back else None

    with serving(Chat(fault=fault)) as chat:
        chat.back = False
        with pytest.raises(ClassifierError, match="failed for 8 images in a row, last with: .*500: down"):
            ask(chat, store, images, 16)
        assert set(map(len, chat.good.values())) == {1}
        assert len(store.questions()) == len(chat.good) < 100
        chat.back = True
        ask(chat, store, images, 16)
    assert len(store.questions()) == 200
    assert chat.repeated() == {}


def test_an_interrupted_run_waits_for_what_was_paid():
    images, store = examples(64), AnswerStore(None)

    def interrupt(answer, n):
        if n == 3:
            raise KeyboardInterrupt

    with serving(Chat(wait=0.1)) as chat:
        with pytest.raises(KeyboardInterrupt):
            ask(chat, store, images, 16, interrupt)
        time.sleep(0.3)
        assert len(store.questions()) == len(chat.good) < 64
        ask(chat, store, images, 16)
    assert chat.repeated() == {}


def test_a_gate_follows_the_endpoint():
    gate = Gate()
    assert gate.limit == 1
    gate.leave(gate.enter())
    assert gate.limit == asking.FIRST
    for _ in range(asking.FIRST):
        gate.leave(gate.enter())
    assert gate.limit == asking.FIRST + 1
    inside = [gate.enter() for _ in range(5)]
    time.sleep(0.001)
    for entered in inside:
        gate.leave(entered, PassingError("429", pushed_back=True))
    assert gate.limit == 2  # once for all of a round
    gate.leave(gate.enter(), PassingError("500"))
    assert gate.limit == 2
    began = time.monotonic()
    gate.leave(gate.enter(), PassingError("429", 0.2, pushed_back=True))
    gate.leave(gate.enter())
    assert time.monotonic() - began >= 0.19  # nobody enters while it says to wait
    gate.stop()
    with pytest.raises(StoppedError):
        gate.enter()


def test_a_fixed_gate_lets_so_many_in_once_one_came_back():
    gate = Gate(3)
    assert gate.limit == 1
    gate.leave(gate.enter(), PassingError("500"))
    assert gate.limit == 1
    gate.leave(gate.enter())
    assert gate.limit == 3
    gate.leave(gate.enter(), PassingError("429", pushed_back=True))
    assert gate.limit == 3


@pytest.mark.parametrize("status", [429, 503])
def test_an_automatic_gate_settles_where_the_endpoint_is_content(quick, status):
    """It takes 6 at once, and pushes back beyond."""

    def fault(n, image, request):
        return Reply({"error": {"message": "too many"}}, status) if chat.now > 6 else None

    with serving(Chat(fault=fault, wait=0.005)) as chat:
        ask(chat, AnswerStore(None), examples(300))
        assert chat.repeated() == {}
        assert sum(chat.calls.values()) < 300 * 1.5


def run(images: Path, url: str, out: Path) -> None:
    asking.LONGEST_PAUSE = 0.02  # as ``quick``, in a process of its own
    evaluate("api:toy", images, base_url=url, out=out, concurrency=64)


WINDOW = 0.5
"""Seconds from when an answer was sent until it is surely on disk, on a machine that is busy."""


@pytest.mark.slow
def test_kill_9_costs_no_answer(tmp_path: Path):
    """A run at 64 calls is killed again and again, and goes on: what was delivered is asked for once."""
    folder = tmp_path / "toy" / "n01440764"
    folder.mkdir(parents=True)
    for i in range(600):
        (folder / f"{i:04}.png").write_bytes(picture(i))
    killed = []
    with serving(Chat(fault=trouble, wait=0.05)) as chat:
        for goal in (80, 250, 400, None):
            process = started(run, folder.parent, chat.url, tmp_path / "out")
            if goal is None:
                process.join(240)
                assert process.exitcode == 0
                continue
            while len(chat.good) < goal:
                assert process.is_alive()
                time.sleep(0.005)
            killed.append(time.monotonic())
            process.kill()
            process.join()
        assert len(chat.good) == 600
    for times in chat.good.values():
        if len(times) > 1:  # one was on its way when the run was killed
            assert any(kill - WINDOW < times[0] < kill + WINDOW for kill in killed), times
    (found,) = (tmp_path / "out").glob("*/*.answers.jsonl")
    rows = [json.loads(line) for line in found.read_text().splitlines()]
    assert len({row["id"] for row in rows}) == 600
    assert {row["answer"] for row in rows} == {"tench"}


def test_given_up_calls_are_counted_as_tries(quick, monkeypatch):
    monkeypatch.setattr(endpoint, "PATIENT_TRIES", 5)
    wrong = Reply({"error": {"message": "slow"}}, 429)
    with serving(Chat(fault=lambda n, image, request: wrong)) as chat:
        with pytest.raises(ClassifierError, match="429: slow, after 5 calls"):
            ask(chat, AnswerStore(None), examples(1))
        assert sum(chat.calls.values()) == 5
