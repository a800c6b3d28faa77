"""What an entry in words says of how its answers came about: what has to hold, and what a person looks at.

None of it proves that a model said so: whoever writes answers down writes this down as well.
"""

from __future__ import annotations

import re

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.text import shorten_list
from imagenet_hard.evaluation.generative.prompts import PROMPTS, Asked
from imagenet_hard.evaluation.generative.score import AnswersInfo, this_matcher
from imagenet_hard.leaderboard.entry import Entry
from imagenet_hard.leaderboard.rescore import Rescored, read_by_another
from imagenet_hard.leaderboard.verify.report import Finding

_BEHIND = r"(latest|preview|[0-9]{4,})?"
"""What endpoints put behind a name, of which punctuation is taken out: a date, or that it moves."""


def check_asked(asked: Asked, n: int) -> None:
    """The protocol is one of ours, word for word, and the counts are those of ``n`` answers.

    Raises:
        ResultError: they are not.
    """
    prompt = asked.prompt
    if prompt != PROMPTS[prompt.name]:
        known = ", ".join(each.label for each in PROMPTS.values())
        raise ResultError(
            f"its protocol {prompt.label} is none of this release's ({known}): other words or settings make "
            "another score"
        )
    if asked.prompt_sha256 != prompt.sha256:
        raise ResultError(f"prompt_sha256 is not the hash of the protocol {prompt.label}")
    if asked.encoded_anew > n or sum(asked.models.values()) != n:
        raise ResultError(f"answers.asked counts other answers than the {n} of the benchmark")
    if asked.first > asked.last:
        raise ResultError(f"the first answer came at {asked.first}, after the last at {asked.last}")


def reported_model(entry: Entry, asked: Asked) -> Finding:
    """Whether the endpoint called the model as it was asked for, which may have a date behind its name."""
    if others := [name for name in asked.models if not _is(entry.model.name, name)]:
        return True, f"asked for {entry.model.name!r}, the endpoint called it {shorten_list(others, 3)}"
    if len(asked.models) > 1:
        return True, f"the endpoint called it by several names: {shorten_list(list(asked.models), 3)}"
    return False, f"the endpoint called it {next(iter(asked.models), '')}"


def _is(wanted: str, reported: str) -> bool:
    """Whether "models/gpt-4.1-mini-2025-04-14" is "gpt-4.1-mini": the same but for a folder and a date."""
    names = [re.sub(r"[\W_]", "", name.rpartition("/")[2].casefold()) for name in (wanted, reported)]
    short, long = sorted(names, key=len)
    return bool(short) and bool(re.fullmatch(re.escape(short) + _BEHIND, long))


def read_anew(entry: Entry, words: AnswersInfo, rescored: Rescored) -> Finding:
    """Whether the matcher of this release reads the answers as the one that read them for the entry."""
    before, now = words.matcher, this_matcher()
    if not read_by_another(entry):
        return False, f"matcher {now.version}"
    whose = f"matcher {before.version} ({before.sha256[:12]}...)"
    this = f"matcher {now.version} ({now.sha256[:12]}...)"
    typed, found = entry.claim.n_correct, rescored.top1.n_correct
    return typed != found, f"{whose} read {typed} of them as right, {this} {found}: that is the score"
