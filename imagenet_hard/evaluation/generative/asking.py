"""Many images asked about at once: as many as the endpoint bears, and every answer kept as it comes.

Threads read images and wait for answers, and read the next image while an answer is on its way, so that the
endpoint waits for nothing; this one writes them down. A call that failed in passing is made
again; an image that fails for good is named in the end, and then there is no result. The first call is made
alone, so that what is wrong with all of them is said once, and costs one call.
"""

from __future__ import annotations

import hashlib
import queue
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import count

from imagenet_hard.base.errors import ClassifierError, ImageError
from imagenet_hard.base.text import counted, shorten_list
from imagenet_hard.base.types import Example
from imagenet_hard.engine.store import Row
from imagenet_hard.evaluation.generative.answer_store import Answered, AnswerStore
from imagenet_hard.evaluation.generative.connection import Connection
from imagenet_hard.evaluation.generative.endpoint import Endpoint, PassingError
from imagenet_hard.evaluation.generative.images import data_url

AUTOMATIC = 64
"""Calls at once at the most, unless told otherwise; it begins with ``FIRST``."""

FIRST = 4
AHEAD = 4
"""Images more than calls that may be out at once: where some fail in passing, others take their turns."""

LONGEST_PAUSE = 30.0
"""Seconds between two calls for one image, where the endpoint says nothing."""

IN_A_ROW = 8
"""Images that fail one after another, before the endpoint is taken to be gone."""

SHOWN = 10
PATIENCE = 20.0
"""Seconds that an interrupted run waits for the answers that are on their way."""


class StoppedError(Exception):
    """The run ends: no call is made any more."""


class Gate:
    """Lets as many calls through at once as the endpoint bears: one more after each round of answers, half as
    many when it pushes back, none while it says to wait. ``fixed``: so many, once the first has come back."""

    def __init__(self, fixed: int | None = None) -> None:
        self.limit, self._fixed, self._inside = 1, fixed, 0
        self._in_round, self._closed_until, self._cut_at = 0, 0.0, 0.0
        self.began = False  # one has come back
        self._stopped = threading.Event()
        self._changed = threading.Condition()

    def enter(self) -> float:
        """Wait for one's turn; when it came.

        Raises:
            StoppedError: there is none any more.
        """
        with self._changed:
            while not self._stopped.is_set():
                left = self._closed_until - time.monotonic()
                if left <= 0 and self._inside < self.limit:
                    self._inside += 1
                    if self._inside < self.limit:
                        self._changed.notify()  # there is room for another
                    return time.monotonic()
                self._changed.wait(left if left > 0 else None)
            raise StoppedError

    def leave(self, entered: float, error: PassingError | None = None, *, failed: bool = False) -> None:
        """The call that ``entered`` then has ended."""
        with self._changed:
            self._inside -= 1
            if error is not None and error.pushed_back:
                self._closed_until = max(self._closed_until, time.monotonic() + (error.wait or 0.0))
                if self._fixed is None and entered > self._cut_at:  # once for all calls of a round
                    self.limit, self._cut_at, self._in_round = max(1, self.limit // 2), time.monotonic(), 0
            elif error is None and not failed:
                self._grow()
            self._changed.notify()

    def _grow(self) -> None:
        if not self.began:
            self.began, self.limit = True, self._fixed or FIRST
            return
        self._in_round += 1
        if self._fixed is None and self._in_round >= self.limit < AUTOMATIC:
            self.limit, self._in_round = self.limit + 1, 0

    def stop(self) -> None:
        """Let nobody in any more."""
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()

    def pause(self, seconds: float) -> None:
        """Wait outside, unless it is stopped meanwhile."""
        self._stopped.wait(seconds)


@dataclass
class Asked:
    """What came of it. ``rows``: of the images; ``new``: answers of this run; ``calls``: that it took."""

    rows: list[Row] = field(default_factory=list)
    new: int = 0
    calls: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class _Done:
    """What a thread hands over for one image. ``answer``: None where it was known; or what went wrong."""

    row: Row | None = None
    answer: Answered | None = None
    error: Exception | None = None
    calls: int = 0


@dataclass(frozen=True)
class _Ready:
    """An image to ask about. ``question``: hash of all that is asked; ``request``: what is sent."""

    row: Row
    question: str
    request: bytes
    encoded_anew: bool


Question = Callable[[str, Sequence[int]], str]
"""From an image's id and labels to the words."""


class Asking:
    """Ask ``endpoint`` the ``question`` about images, ``concurrency`` at once (None: as it bears)."""

    def __init__(
        self, endpoint: Endpoint, question: Question, store: AnswerStore, concurrency: int | None = None
    ) -> None:
        self._endpoint, self._question, self._store = endpoint, question, store
        self._gate = Gate(concurrency)
        self._threads = (concurrency or AUTOMATIC) + AHEAD
        self._tasks: queue.SimpleQueue[Callable[[], Example] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[_Done] = queue.SimpleQueue()
        self._taken: list[_Done] = []
        self._known: Mapping[str, str] = {}
        self._in_flight = self._failed_in_a_row = 0
        self._failures: list[str] = []

    @property
    def calls_at_once(self) -> int:
        """As many as it lets through now."""
        return self._gate.limit

    def run(
        self, name: str, tasks: Iterable[Callable[[], Example]], on_answer: Callable[[Answered, int], None]
    ) -> Asked:
        """All images of ``tasks``, of the benchmark ``name``; ``on_answer(answer, how many so far)``.

        Raises:
            ClassifierError: the endpoint answers nothing, or some images got no answer. What came is kept.
        """
        began, asked = time.monotonic(), Asked()
        self._known, self._failures = self._store.questions(), []
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self._threads)]
        for thread in threads:
            thread.start()
        try:
            for task in tasks:
                # As many again as there are threads: none of them waits while answers go to disk.
                while self._in_flight >= 2 * self._threads:
                    self._collect(asked, on_answer)
                self._tasks.put(task)
                self._in_flight += 1
            while self._in_flight:
                self._collect(asked, on_answer)
        except BaseException:
            self._drain(asked)
            raise
        finally:
            for _ in threads:
                self._tasks.put(None)
        if self._failures:
            n = len(asked.rows) + len(self._failures)
            raise ClassifierError(
                f"{len(self._failures)} of {n} images of {name} got no answer, so there is no result:\n  "
                f"{shorten_list(self._failures, SHOWN, between=chr(10) + '  ')}\nThe other "
                f"{counted(len(asked.rows), 'answer')} are kept: run the same command again, and only the "
                "missing ones are asked for (or leave these images out with --ids)"
            )
        asked.seconds = time.monotonic() - began
        return asked

    def _collect(
        self, asked: Asked, on_answer: Callable[[Answered, int], None], wait: float | None = None
    ) -> None:
        """What has come since, in one transaction; waits for the first.

        Raises:
            ClassifierError: all would fail.
        """
        if not self._taken:
            self._taken.append(self._done.get(timeout=wait))
        while not self._done.empty():
            self._taken.append(self._done.get())
        if answers := [each.answer for each in self._taken if each.answer]:
            self._store.add(answers)
        # Until here an interruption leaves them to be added again.
        done, self._taken = self._taken, []
        self._in_flight -= len(done)
        for each in done:
            asked.calls += each.calls
            if each.row is not None:
                asked.rows.append(each.row)
            if each.answer is not None:
                self._failed_in_a_row = 0
                asked.new += 1
                on_answer(each.answer, asked.new)
        for each in done:
            if each.error is not None:
                self._fail(each.error, asked.new)

    def _fail(self, error: Exception, answered: int) -> None:
        """One image has failed: note it, or end all where it is not its own fault."""
        if isinstance(error, StoppedError):
            return  # what stopped it comes as well
        if not isinstance(error, PassingError | ImageError):
            raise error
        self._failures.append(str(error))
        if isinstance(error, _Unreadable):
            return
        if not answered and not self._known:  # nothing has ever come back
            advice = (error.advice if isinstance(error, PassingError) else None) or (
                "Is this a model that takes images? Fields of the request that it refuses are changed, or "
                """left out by null, with --request '{"max_tokens": null}'"""
            )
            raise ClassifierError(
                f"{self._endpoint.url} does not answer for {self._endpoint.model!r}: {error}. {advice}"
            )
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= IN_A_ROW:
            raise ClassifierError(
                f"{self._endpoint.url} failed for {IN_A_ROW} images in a row, last with: {error}. "
                f"{counted(answered, 'answer')} of this run are kept: run the same command again to go on"
            )

    def _drain(self, asked: Asked) -> None:
        """The run ends early: the answers that are on their way were paid for, so they are waited for."""
        self._gate.stop()
        until = time.monotonic() + PATIENCE
        while self._in_flight and (left := until - time.monotonic()) > 0:
            try:
                self._collect(asked, lambda answer, n: None, left)
            except Exception:  # noqa: S112
                continue  # what failed is asked again by the next run

    def _work(self) -> None:
        """One thread: images until there are no more."""
        ahead = list[_Ready]()  # one at the most

        def read_ahead() -> None:
            if ahead:
                return
            with suppress(queue.Empty):
                if (task := self._tasks.get_nowait()) is None:
                    self._tasks.put(None)  # the end, which this thread comes to later
                else:
                    ahead.extend(self._read(task))

        with closing(self._endpoint.connection()) as connection:
            while True:
                while not ahead:
                    if (task := self._tasks.get()) is None:
                        return
                    ahead.extend(self._read(task))
                ready = ahead.pop()
                try:
                    self._done.put(self._ask(connection, ready, read_ahead))
                except Exception as error:
                    self._give_up(error)

    def _read(self, task: Callable[[], Example]) -> list[_Ready]:
        """The image of a task, unless it is known, or cannot be read."""
        try:
            example = task()
            row = Row.of(example)
            text = self._question(example.id, example.labels)
            question = hashlib.sha256(f"{row.image_sha256} {text}".encode()).hexdigest()
            if self._known.get(example.id) == question:
                self._done.put(_Done(row))
                return []
            url, anew = data_url(example.image, id=example.id)
            return [_Ready(row, question, self._endpoint.request(text, url), anew)]
        except ImageError as error:
            self._give_up(_Unreadable(str(error)))
        except Exception as error:
            self._give_up(error)
        return []

    def _give_up(self, error: Exception) -> None:
        """There is no answer for one image."""
        own = isinstance(error, _Unreadable | StoppedError)
        first = not own and not self._gate.began and not self._known
        if first or not isinstance(error, PassingError | ImageError | StoppedError):
            self._gate.stop()  # the next would fail as well
        self._done.put(_Done(error=error))

    def _ask(self, connection: Connection, ready: _Ready, meanwhile: Callable[[], None]) -> _Done:
        """The answer about one image; ``meanwhile`` is called while it is on its way.

        Raises:
            StoppedError, PassingError, ImageError, ClassifierError: there is none.
        """
        id = ready.row.id
        for calls in count(1):
            entered = self._gate.enter()
            try:
                answer = self._endpoint.ask(connection, ready.request, meanwhile)
            except PassingError as error:
                self._gate.leave(entered, error)
                if calls >= error.tries:
                    raise PassingError(
                        f"image {id!r}: {error}, after {calls} calls", advice=error.advice
                    ) from None
                pause = min(LONGEST_PAUSE, 0.5 * 2 ** (calls - 1)) * random.uniform(0.75, 1.25)  # noqa: S311
                self._gate.pause(error.wait or pause)
                continue
            except ImageError as error:
                self._gate.leave(entered, failed=True)
                raise ImageError(f"image {id!r}: {error}") from None
            except BaseException:
                self._gate.leave(entered, failed=True)
                raise
            self._gate.leave(entered)
            kept = (answer.text, answer.finish, answer.prompt_tokens, answer.completion_tokens, answer.model)
            answered = Answered(id, ready.question, *kept, ready.encoded_anew, time.time())
            return _Done(ready.row, answered, calls=calls)
        raise AssertionError("the last call returns or raises")


class _Unreadable(ImageError):
    """An image that was not asked about."""
