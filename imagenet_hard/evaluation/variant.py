"""What sets a run apart from the default one, in a few words."""

from __future__ import annotations

from imagenet_hard.base.types import ModelSpec
from imagenet_hard.evaluation.generative.score import AnswersInfo
from imagenet_hard.evaluation.result import Protocol

_HEAD = {"templates": ("openai-80", "prompts"), "classnames": ("open_clip", "class names")}
"""Of a zero-shot head: key -> what it has in a default run, and what it is called here."""


def variant(model: ModelSpec, protocol: Protocol | None, answers: AnswersInfo | None = None) -> str:
    """ "" for the default, else what differs: ``TTA zoom64, bf16``.

    The default: the model's own transform, fp32, its standard view, images as they are stored, all 1000
    classes, open_clip's class names in OpenAI's 80 prompts. How a model was asked for words is always said.
    """
    words, head = [f"asked {answers.how}"] if answers else [], model.head or {}
    if protocol is not None:
        words += [f"TTA {protocol.tta.label}"] if protocol.tta else []
        words += [f"{protocol.transform} transform"] if protocol.transform != "native" else []
        words += [protocol.precision] if protocol.precision not in (None, "fp32") else []
        words += ["turned by EXIF"] if protocol.decode.get("exif_rotation") else []
        words += [f"among {protocol.classes.label}"] if protocol.classes else []
        words += [f"{name} {value}" for name, value in protocol.options.items()]
    for key, (usual, what) in _HEAD.items():
        words += [f"{what} {head[key]}"] if head.get(key, usual) != usual else []
    return ", ".join(words)
