"""An answer as tokens: out of its wrappers, in small letters and American spelling; singular forms of words.

Tokens are words of letters and digits, and the marks that matter to the matcher: "." ends a sentence, ","
sets words apart, "(" and ")" hold an aside, "/" is an "or".
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import cache
from typing import Any

MAX_ANSWER = 20_000
"""Characters of an answer that are looked at: the rest of a longer one names nothing."""

_KEYS = ("answer", "label", "class", "class_name", "object", "prediction", "name", "category", "main_object")
_FENCE = re.compile(r"```[a-z]*\s*(.*?)\s*```", re.DOTALL | re.IGNORECASE)
_THOUGHT = re.compile(r"<(think|thinking|reasoning)>.*?(</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_BOXED = re.compile(r"\\(?:boxed|text|mathrm|textbf)\s*\{([^{}]*)\}")
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,100}>")
_LABEL = re.compile(
    r"(?:(?:final|my|best|short|correct|predicted|the)\s+)*(?:answer|label|class|object|prediction|category|classification)"
    r"(?:\s+(?:name|label))?\s*(?:[:=]|\bis\b:?)\s*(?=\S)",
    re.IGNORECASE,
)
_ASKED = re.compile(r"\b(what|which|whatever)\s+$", re.IGNORECASE)
"""Before "the object is": a question, and no answer comes after it."""

_CONTRACTIONS = tuple(
    (re.compile(rf"\b{short}\b"), full)
    for short, full in (
        ("can't", "can not"),
        ("cannot", "can not"),
        ("won't", "will not"),
        (r"(\w+)n't", r"\1 not"),
        (r"(it|that|this|here|there|what|he|she|who)'s", r"\1 is"),
        (r"i'm", "i am"),
        (r"(they|you|we)'re", r"\1 are"),
        (r"(i|you|we|they)'ve", r"\1 have"),
        (r"(i|it|you|we|they)'d", r"\1 would"),
        (r"(i|it|you|we|they)'ll", r"\1 will"),
    )
)
_ABBREVIATION = re.compile(r"\b(st|mt|dr|mr|mrs|e\.g|i\.e|approx|sp|spp|var)\.", re.IGNORECASE)
_MARKS = re.compile(r"[a-z0-9]+|[.,()/]")

_SPELLING = {
    **{"grey": "gray", "colour": "color", "coloured": "colored", "tyre": "tire", "aeroplane": "airplane"},
    **{"armour": "armor", "armoured": "armored", "plough": "plow", "theatre": "theater", "centre": "center"},
    **{"jewellery": "jewelry", "pyjama": "pajama", "pyjamas": "pajamas", "doughnut": "donut", "axe": "ax"},
    **{"yoghurt": "yogurt", "moustache": "mustache", "sabre": "saber", "mould": "mold", "whisky": "whiskey"},
    **{"favourite": "favorite", "harbour": "harbor", "fibre": "fiber", "metre": "meter", "litre": "liter"},
    **{"catalogue": "catalog", "disc": "disk", "programme": "program", "kerb": "curb", "waggon": "wagon"},
    **{
        "racquet": "racket",
        "omelette": "omelet",
        "sceptre": "scepter",
        "goitre": "goiter",
        "smokey": "smoky",
    },
    **{
        "woollen": "woolen",
        "gramme": "gram",
        "carburettor": "carburetor",
        "labour": "labor",
        "hifi": "hi fi",
        "sulphur": "sulfur",
        "aluminium": "aluminum",
        "chequered": "checkered",
        "cosy": "cozy",
    },
}
_IRREGULAR = {
    **{"mice": "mouse", "geese": "goose", "wolves": "wolf", "oxen": "ox", "feet": "foot", "teeth": "tooth"},
    **{"men": "man", "women": "woman", "children": "child", "people": "person", "leaves": "leaf"},
    **{"knives": "knife", "loaves": "loaf", "shelves": "shelf", "scarves": "scarf", "calves": "calf"},
    **{"halves": "half", "hooves": "hoof", "fungi": "fungus", "cacti": "cactus", "octopi": "octopus"},
    **{"thieves": "thief", "wives": "wife", "lives": "life", "dice": "die", "larvae": "larva"},
}


def unwrap(answer: str) -> str:
    """The words of an answer that came as JSON, in a code block, with thoughts, Markdown or "Answer:".

    >>> unwrap('```json\\n{"label": "tench"}\\n```'), unwrap("**Answer:** A *tench*."), unwrap("tench")
    ('tench', 'A tench.', 'tench')
    """
    text = unicodedata.normalize("NFKC", answer[:MAX_ANSWER])
    text = "".join(c for c in text if c.isprintable() or c in "\n\t ")
    text = _THOUGHT.sub(" ", text).strip()
    if fenced := _FENCE.search(text):
        text = fenced[1] or text.replace("```", " ")
    text = _json_text(text)
    text = _TAG.sub(" ", _BOXED.sub(r" \1 ", text))
    text = re.sub(r"^\s*(?:[-*+•>]|#+|\W{0,3}\d{1,2}[.)]\W{0,3}(?=\s))\s*", "", text, flags=re.MULTILINE)
    text = re.sub(r"(?<=\w) *\s\d{1,2}[.)](?=\s)", "\n", text)
    text = re.sub(r"[*`$\"“”«»]|(?<!\w)_+|_+(?!\w)", "", text).replace("_", " ")
    if labels := [each for each in _LABEL.finditer(text) if not _ASKED.search(text[: each.start()])]:
        text = text[labels[-1].end() :]
    return text.strip()


def _json_text(text: str) -> str:
    if text[:1] not in '{["':
        return text
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return text
    for _ in range(5):
        if isinstance(value, dict):
            keys = {str(key).lower(): key for key in value}
            known = [keys[key] for key in _KEYS if key in keys]
            rest = sorted(value.values(), key=lambda v: not isinstance(v, str))
            value = (
                value[known[0]] if known else next((v for v in rest if isinstance(v, str | dict | list)), "")
            )
        elif isinstance(value, list) and len(value) == 1:
            value = value[0]
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None or isinstance(value, dict) else str(value)


def tokens(text: str) -> list[str]:
    """The tokens of unwrapped text.

    >>> tokens("It's a Grey Wolf (Canis lupus), isn't it?")
    ['it', 'is', 'a', 'gray', 'wolf', '(', 'canis', 'lupus', ')', ',', 'is', 'not', 'it', '.']
    """
    text = unicodedata.normalize("NFKD", text.replace("’", "'").replace("‘", "'")).lower()
    text = "".join(c for c in text if not unicodedata.combining(c))
    for pattern, full in _CONTRACTIONS:
        text = pattern.sub(full, text)
    text = _ABBREVIATION.sub(lambda found: found[1].replace(".", ""), text).replace("'", "")
    text = re.sub(r"[!?;\n]|\.(?=\s|$|\))", " . ", text).replace(".", " . " if " . " in text else ".")
    text = re.sub(r"\s[-–—]+\s|[—:]", " , ", text).replace("[", "(").replace("]", ")")
    text = re.sub(r"[&+]", " and ", text).replace("|", " / ")
    return [_SPELLING.get(word, word) for word in _MARKS.findall(re.sub(r"(?<=\w)\.(?=\w)", "", text))]


def name_tokens(name: str) -> list[str]:
    """The words of a name of WordNet or ImageNet, as ``tokens`` gives them; quick, as there are 15,000."""
    text = name if name.isascii() else unicodedata.normalize("NFKD", name)
    plain = re.findall(r"[a-z0-9]+", text.lower().replace("'", "").replace(".", "").replace("\u0301", ""))
    return [_SPELLING.get(word, word) for word in plain]


@cache
def singulars(word: str) -> tuple[str, ...]:
    """What a word may be the plural of, the likeliest first; nothing where it ends like no plural.

    >>> singulars("wolves"), singulars("canaries"), singulars("mice"), singulars("tench")
    (('wolf',), ('canary', 'canarie'), ('mouse',), ())
    """
    if word in _IRREGULAR:
        return (_IRREGULAR[word],)
    if word.endswith("men") and len(word) > 4:
        return (word[:-3] + "man",)
    if not word.endswith("s") or word.endswith("ss") or len(word) < 3:
        return ()
    if word.endswith("ies"):
        return word[:-3] + "y", word[:-1]
    if word.endswith(("ses", "shes", "ches", "xes", "zes", "oes", "ies")):
        return word[:-2], word[:-1]
    return (word[:-1],)


def singular(word: str) -> str:
    """The likeliest of ``singulars``, or the word itself."""
    return next(iter(singulars(word)), word)
