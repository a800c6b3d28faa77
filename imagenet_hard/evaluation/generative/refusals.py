"""How answers say that they are none, or not sure: patterns over their plain words."""

from __future__ import annotations

import re

from imagenet_hard.evaluation.generative.word_lists import word_set

HEDGES = re.compile(
    r"\b(i am |it is |i |we are )?(can )?not (\w+ )?(\w+ )?(sure|certain|positive|"
    r"confident)\b( (about|of) (this|that|it))?"
)
_DO = (
    "help|assist|identify|determine|see|view|provide|answer|process|tell|describe|analyze|analyse|"
    "recogni[sz]e|make out|"
    "comply|access|know|comment|discern|confirm|classify|name|have|find|fulfill|engage|discuss|"
    "detect|interpret|be sure|"
    "be certain|say|do that"
)
REFUSALS = re.compile(
    rf"\b(not|unable to|never) (\w+ )?({_DO})\b|\b(unable|not able) to\b|\bsorry\b|\bapologi[sz]e|"
    r"\b(do|does) not (seem|appear) to (be|have) (an? |any )?(image|picture|photo|object)|"
    r"\bno (main |single |specific )?(image|picture|photo|object|idea|answer|clue|discernible|visible|"
    r"recogni[sz]able|identifiable|clear)\b|"
    r"\bnot (possible|clear|clearly|allowed|visible|appropriate|applicable|comfortable|attached|"
    r"recogni[sz]able|identifiable)\b|"
    r"\b(can|could|will) not( \.)?$|\b(did|do|does) not (provide|attach|upload|receive|show up|load)\b|"
    r"\bplease (provide|upload|share|attach|try)\b|\b(content|usage) policy\b|\bguidelines\b|\bdecline\b|"
    r"\b(difficult|hard|impossible) to (say|\w+ out|\w+)\b|\btoo (blurry|dark|unclear|small|low|blurred)\b"
)
NO_ANSWER = re.compile(
    r"((it|the (object|image|answer)|this) is )?(unknown|unidentifiable|unidentified|unclear|unsure|"
    r"uncertain|n / a|na|none|"
    r"idk|undetermined|indeterminate|unrecogni[sz]able|no|dunno|nothing|none of (the|these|"
    r"those) \w+|none of (these|them|those)|"
    r"no object|unknown object|error|refused|pass|no comment)"
)
ANSWERING = word_set(
    """
    it this that the there my i looks appears seems possibly maybe perhaps probably likely a an based
    from
    """
)
"""How a clause begins that answers after all: "I cannot be sure. It looks like ..."."""
