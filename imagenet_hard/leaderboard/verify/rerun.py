"""Run an entry's model again: on a few images that the submitter could not foresee, or on all of them."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from imagenet_hard.base.errors import ClassifierError, DatasetError, ResultError, UsageError
from imagenet_hard.base.records import first_problem
from imagenet_hard.base.types import ModelSpec, Predictions
from imagenet_hard.classifiers import backends
from imagenet_hard.evaluation.options import Options
from imagenet_hard.evaluation.result import Result, read_result
from imagenet_hard.evaluation.suite import TransformOptions
from imagenet_hard.leaderboard.answers import Answers
from imagenet_hard.leaderboard.entry import Entry
from imagenet_hard.leaderboard.gold import Gold
from imagenet_hard.leaderboard.verify.agreement import (
    ADAPTED_TOLERANCE,
    CHANGED,
    LOGPROB_TOLERANCE,
    chance_to_miss,
    compare,
    smallest_check,
)

if TYPE_CHECKING:
    from imagenet_hard.dataset.benchmark import Benchmark

PIXELS_AT_ONCE = 64 * 512**2
"""Of the model's input in one batch: a custom transform may be 300 times as large as a usual one."""

# Names and tags come from strangers: neither may be a path or another loader's prefix.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HUB_TAG = re.compile(r"hf-hub:[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[0-9a-f]{40})?", re.ASCII)


class CannotRerun(Exception):
    """The model cannot be run here; says nothing about the entry."""


@dataclass(frozen=True)
class Rerun:
    """How to run models again.

    ``n``: the number of images, None for all. ``secret``: what the submitter could not know; ``origin``:
    where it is from, for the report. ``weights``: a local file, for weights that are not published.
    """

    dataset: Benchmark
    n: int | None
    secret: bytes = b""
    origin: str = ""
    weights: Path | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        total = len(self.dataset)
        if self.n is not None and self.n < (least := smallest_check(total)):
            chance = chance_to_miss(max(self.n, 1), total)
            raise UsageError(
                f"a spot check of {self.n} of {total} images would miss {100 * CHANGED:g} % of made-up "
                f"answers with a chance of {100 * chance:.0f} %: expected {least} images or more, or "
                "--reproduce"
            )
        if self.n is not None and len(self.secret) < 8:
            raise UsageError("the secret of a spot check has less than 8 bytes: it could be guessed")


def choose(ids: Sequence[str], n: int, predictions_sha256: str, secret: bytes) -> tuple[str, ...]:
    """``n`` of the ids, uniformly, by HMAC-SHA256 of the predictions' hash and each id under the secret.

    Whoever knows the secret finds the same images; who submits before the secret exists cannot, and other
    predictions give other images.
    """

    def mark(each: str) -> bytes:
        return hmac.digest(secret, f"{predictions_sha256}\n{each}".encode(), hashlib.sha256)

    return tuple(sorted(sorted(ids, key=mark)[:n]))


def rerun(entry: Entry, answers: Answers, gold: Gold, how: Rerun) -> str:
    """Run the model again and compare; what came out, in words.

    Raises:
        ResultError: other weights, another transform, or other answers than the entry's.
        CannotRerun: it cannot be run here.
        DatasetError: ``how.dataset`` is not the entry's benchmark.
    """
    if entry.result is None:
        raise CannotRerun("the entry has no protocol: it was not scored with imagenet-hard-eval")
    if entry.result.answers is not None:
        raise CannotRerun("answers in words come from an endpoint, which need not say the same again")
    # What is not published is a stranger's code, or an installed package's, and is never run.
    own = backends.own()
    record, of_hub = own.get(entry.model.backend), _HUB_TAG.fullmatch(entry.model.tag or "")
    if record is None or not (record.published or (record.published_on_hub and of_hub)):
        published = [prefix for prefix, backend in own.items() if backend.published]
        raise CannotRerun(
            f"backend {entry.model.backend!r}: only published models of {', '.join(published)} and of the "
            "Hub are run"
        )
    if (tta := entry.result.protocol.tta) is not None and tta.package is not None:
        raise CannotRerun(f"test-time augmentation {tta.method!r} is code of the package {tta.package!r}")
    _check_names(entry, how)
    ids = gold.ids if how.n is None else choose(gold.ids, how.n, answers.sha256, how.secret)
    part = subset(how.dataset, gold, ids, exif=entry.result.protocol.decode.get("exif_rotation") is True)
    again, predictions = _evaluate(entry, part, how)
    _check_model(entry, again)
    return _compare(entry, answers, gold, predictions)


def _check_names(entry: Entry, how: Rerun) -> None:
    from imagenet_hard.classifiers.weights_file import is_file_name

    name, tag = entry.model.name, entry.model.tag
    known = tag is None or _HUB_TAG.fullmatch(tag) or (_NAME.fullmatch(tag) and not is_file_name(tag))
    if not _NAME.fullmatch(name):
        raise CannotRerun(f"{name!r} is not the name of a published model")
    if not (known or how.weights or not _backend(entry).takes_tag):
        raise CannotRerun(f"{tag!r} names no published weights: give the file with --weights")


def subset(dataset: Benchmark, gold: Gold, ids: Sequence[str], *, exif: bool = False) -> Benchmark:
    """The images of ``ids``, which must be those of the gold to the byte, turned as the entry's were."""
    from imagenet_hard.dataset.benchmark import Benchmark

    at = {each: i for i, each in enumerate(dataset.ids)}
    place = {each: i for i, each in enumerate(gold.ids)}
    if missing := [each for each in ids if each not in at]:
        raise DatasetError(
            f"{dataset.name} lacks {len(missing)} of {len(ids)} images of {gold.info.name}, the first "
            f"{missing[0]!r}: give the very data set with --dataset"
        )
    for each in ids:
        example = dataset[at[each]]
        expected = (gold.labels[place[each]], gold.image_sha256[place[each]])
        got = (example.labels, hashlib.sha256(example.image).hexdigest() if gold.info.images else "")
        if got != expected:
            what = "another label" if got[0] != expected[0] else "other bytes"
            raise DatasetError(f"image {each!r} of {dataset.name} has {what} than in {gold.info.name}")
    rows = [at[each] for each in ids]
    return Benchmark(
        replace(dataset.about, exif=exif),
        ids,
        [dataset.labels[i] for i in rows],
        [dataset.origins[i] for i in rows],
        lambda i: dataset[rows[i]].image,
    )


def _evaluate(entry: Entry, part: Benchmark, how: Rerun) -> tuple[Result, Predictions]:
    from imagenet_hard.evaluation.run import evaluate

    assert entry.result is not None
    protocol, model = entry.result.protocol, entry.model
    with TemporaryDirectory(prefix="imagenet-hard-rerun-") as folder:
        try:
            asked: Options = {
                **protocol.asked(),
                "transform": _transform(entry),
                "device": how.device,
                "batch_size": _batch_size(model),
                "weights": how.weights or (_tag(entry) if _backend(entry).takes_tag else None),
                "out": folder,
            }
            evaluate(_model_name(entry), part, **asked)
        except (ClassifierError, UsageError) as error:
            raise CannotRerun(str(error)) from error
        (path,) = Path(folder).glob("*/*.json")
        return read_result(path)


def _model_name(entry: Entry) -> str:
    tag = entry.model.tag or ""
    return tag if tag.startswith("hf-hub:") else f"{entry.model.backend}:{entry.model.name}"


def _backend(entry: Entry) -> backends.Backend:
    return backends.own()[entry.model.backend]


def _tag(entry: Entry) -> str | None:
    tag = entry.model.tag
    return None if tag is None or tag.startswith("hf-hub:") else tag


def _transform(entry: Entry) -> Any:
    """What ``evaluate`` takes: the policy's name, or the settings of an explicit transform."""
    assert entry.result is not None
    policy = entry.result.protocol.transform
    if policy != "custom":
        return policy
    settings = {key: value for key, value in entry.model.transform.items() if value is not None}
    if settings.pop("kind", None) != "standard":
        raise CannotRerun("its transform is code of the submitter's")
    try:
        # The limits of a suite, before a stranger's sizes are allocated.
        return TypeAdapter(TransformOptions).validate_python(settings)
    except ValidationError as error:
        raise CannotRerun(f"its transform: {first_problem(error)}") from None


def _batch_size(model: ModelSpec) -> int | None:
    """None for the usual one; fewer images where the transform makes them large."""
    sizes = [model.transform.get(key) for key in ("resize", "crop")]
    sides = [side for size in sizes for side in (size if isinstance(size, (list, tuple)) else [size])]
    pixels = max((side for side in sides if isinstance(side, int)), default=0) ** 2
    return None if 64 * pixels <= PIXELS_AT_ONCE else max(1, PIXELS_AT_ONCE // pixels)


def _check_model(entry: Entry, again: Result) -> None:
    for what, claimed, found in (
        ("weights", entry.model.weights_sha256, again.model.weights_sha256),
        ("transform", entry.model.transform_sha256, again.model.transform_sha256),
    ):
        if claimed != found:
            raise ResultError(
                f"the {what} that the entry names hash to {str(claimed)[:12]}..., those of "
                f"{again.model.name} with {again.model.tag or 'its weights'} to {str(found)[:12]}..."
            )
    for what, stated, counted in (
        ("parameters", entry.model.parameters, again.model.parameters),
        ("input size", entry.model.input_size, again.model.input_size),
    ):
        if stated is not None and stated != counted:
            raise ResultError(
                f"the entry states {stated} as its {what}: the model that was run has {counted}"
            )
    if entry.model.head != again.model.head:
        raise CannotRerun("its zero-shot head has other prompts or class names than the default")


def _compare(entry: Entry, answers: Answers, gold: Gold, again: Predictions) -> str:
    assert entry.result is not None
    assert answers.predictions is not None
    protocol, p = entry.result.protocol, answers.predictions
    place = {each: i for i, each in enumerate(answers.ids)}
    rows = [place[each] for each in again.ids]
    claimed = Predictions(again.ids, p.top5[rows], p.logprob5[rows], p.margin[rows])
    assert protocol.precision is not None  # what answers in words was not run again
    tolerance = LOGPROB_TOLERANCE[protocol.precision]
    if protocol.tta is not None and protocol.tta.step is not None:
        tolerance = max(tolerance, ADAPTED_TOLERANCE)
    return compare(claimed, again, [gold.labels[row] for row in rows], tolerance)
