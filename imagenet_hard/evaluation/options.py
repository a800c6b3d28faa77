"""What ``evaluate``, ``evaluate_all`` and the command may be asked for, each declared once.

An option that moves numbers and is recorded nowhere else needs no more than its lines here (or in
``RunOptions``, where the engine acts on it): see ``base.options``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from imagenet_hard.base.options import Option
from imagenet_hard.base.types import DropClass
from imagenet_hard.dataset.subset import Ids
from imagenet_hard.engine.engine import Engine, EngineName
from imagenet_hard.engine.settings import RunOptions
from imagenet_hard.evaluation.generative.prompts import (
    PromptName,
    parse_concurrency,
    parse_price,
    parse_request,
)
from imagenet_hard.imagenet.mask import ClassMask
from imagenet_hard.tta.settings import TtaSettings

TransformPolicy = Literal["native", "paper", "study", "custom"]

_of_images = partial(Option, recorded="benchmark")


class Options(RunOptions, total=False):
    """Of one model on one benchmark; those of how it is run stand in ``RunOptions``."""

    # Which images.
    revision: Annotated[
        str | None, _of_images(None, "Branch, tag or commit of a data set on the Hub.", metavar="REV")
    ]
    split: Annotated[
        str | None, _of_images(None, "Split of the data set [default: validation].", metavar="NAME")
    ]
    labels: Annotated[
        str | Path | None,
        _of_images(
            None,
            "Labels of a folder of images (val.txt, real.json, CSV, the development kit's; see "
            "docs/data.md).",
            metavar="FILE",
        ),
    ]
    limit: Annotated[int | None, _of_images(None, "Score the first N images only.", metavar="N", least=1)]
    ids: Annotated[
        Ids | None,
        _of_images(
            None,
            "Score the images of these ids only: one id per line, a JSON list, or the column id of a CSV.",
            metavar="FILE",
        ),
    ]
    sample: Annotated[
        int | None, _of_images(None, "Score a sample of N images that --seed draws.", metavar="N", least=1)
    ]
    seed: Annotated[
        int | None,
        _of_images(None, "Which sample or estimate: each seed draws another [default: 0].", metavar="S"),
    ]
    estimate: Annotated[
        int | None,
        _of_images(
            None,
            "Estimate the score on all images, with an interval, from N that are drawn by difficulty (see "
            "docs/estimate.md).",
            metavar="N",
            least=1,
        ),
    ]
    until: Annotated[
        float | None,
        _of_images(
            None,
            "Estimate it from as many images as it takes for an interval of W points to either side.",
            metavar="W",
        ),
    ]
    difficulty: Annotated[
        str | Path | None,
        _of_images(
            None,
            "Table of an estimate, as `imagenet-hard difficulty` makes it [default: the benchmark's].",
            metavar="FILE",
        ),
    ]
    streaming: Annotated[
        bool, Option(False, "Read a Hub data set as it arrives, storing nothing.", recorded="")
    ]
    exif: Annotated[
        bool,
        Option(
            False,
            "Rotate images by their EXIF orientation (off: the paper's numbers).",
            recorded="protocol.decode",
        ),
    ]

    # Which model.
    weights: Annotated[
        str | Path | None,
        Option(
            None,
            "Weights tag of the backend, or a local checkpoint; FILE#NAME takes one of several sets in it.",
            metavar="TAG|FILE",
            recorded="model",
        ),
    ]
    pretrained: Annotated[
        str | None,
        Option(
            None, "Weights tag of an open_clip architecture, e.g. openai.", metavar="TAG", recorded="model"
        ),
    ]
    transform: Annotated[
        Literal["native", "paper", "study"] | Mapping[str, Any] | Callable[..., Any],
        Option(
            "native",
            "The model's own transform, the paper's Resize(256), CenterCrop(224), or the zoom study's "
            "standard view.",
            recorded="protocol.transform",
        ),
    ]
    templates: Annotated[
        str | None,
        Option(
            None,
            "Prompts of zero-shot models: openai-80, simple (open_clip's seven), single, or a file "
            "[default: openai-80].",
            metavar="NAME|FILE",
            recorded="model.head",
        ),
    ]
    classnames: Annotated[
        str | None,
        Option(
            None,
            "1000 class names of zero-shot models: open_clip (998 different), distinct, or a file "
            "[default: open_clip].",
            metavar="NAME|FILE",
            recorded="model.head",
        ),
    ]
    drop_class: Annotated[
        DropClass | None,
        Option(
            None,
            "Background class of a model with 1001 outputs: the first (TensorFlow's) or the last.",
            recorded="protocol.drop_class",
        ),
    ]

    # Which model behind an endpoint, and how it is asked.
    base_url: Annotated[
        str | None,
        Option(
            None,
            "For api:MODEL: the OpenAI-compatible endpoint [default: that of OPENAI_BASE_URL, else "
            "OpenAI's].",
            metavar="URL",
            recorded="answers.asked",
        ),
    ]
    protocol: Annotated[
        PromptName,
        Option(
            "open",
            "For api:MODEL: name what is seen (open), choose one of five names (choices) or of all 1000 "
            "(list); see docs/generative.md.",
            recorded="answers.asked",
        ),
    ]
    distractors: Annotated[
        str | Path | None,
        Option(
            None,
            "Of api:MODEL with --protocol choices: table of what known models confuse, as `imagenet-hard "
            "distractors` makes it [default: the nearest in WordNet].",
            metavar="FILE",
            recorded="answers.asked",
        ),
    ]
    request: Annotated[
        Mapping[str, Any] | None,
        Option(
            None,
            "For api:MODEL: fields of each request as JSON, replacing the protocol's; null removes one.",
            metavar="JSON",
            parse=parse_request,
            recorded="answers.asked",
        ),
    ]
    concurrency: Annotated[
        int | None,
        Option(
            None,
            "For api:MODEL: calls at once [default: auto, as many as the endpoint can take].",
            metavar="auto|N",
            parse=parse_concurrency,
            recorded="",
        ),
    ]
    key_env: Annotated[
        str | None,
        Option(
            None,
            "For api:MODEL: environment variable that holds the key [default: OPENAI_API_KEY for OpenAI's "
            "own endpoint, none for others].",
            metavar="NAME",
            recorded="",
        ),
    ]
    price: Annotated[
        tuple[float, float] | None,
        Option(
            None,
            "For api:MODEL: US dollars for a million tokens of prompts and of answers, to show the cost.",
            metavar="IN,OUT",
            parse=parse_price,
            recorded="answers.asked",
        ),
    ]

    # What is made of it.
    classes: Annotated[
        str | Path | Sequence[int | str] | ClassMask | None,
        Option(
            None,
            "Score among these classes only: those of a variant such as imagenet-a, or a file of indices, "
            "wnids or names [default: all 1000].",
            metavar="NAME|FILE",
            recorded="protocol.classes",
        ),
    ]
    tta: Annotated[str | TtaSettings | None, Option(None, recorded="protocol.tta")]
    metrics: Annotated[Sequence[str], Option((), recorded="package_metrics")]

    # Where it is done, and where it goes.
    engine: Annotated[EngineName | Engine, Option("local", recorded="")]
    address: Annotated[str | None, Option(None, recorded="")]
    out: Annotated[str | Path | None, Option(None, recorded="")]
    tta_show: Annotated[str | Path | None, Option(None, recorded="")]
    verbose: Annotated[bool, Option(False, recorded="")]
