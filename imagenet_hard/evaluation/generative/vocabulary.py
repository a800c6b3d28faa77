"""What each word or words mean to the matcher: classes, a wider term, or another thing.

Looked up without blanks and hyphens ("golfball", "golf-ball", "golf ball" are one), as written, then with the
last word in the singular, then with all of them. In order: what a class is called (its name here and
WordNet's lemmas); what is a kind of it; what it is a kind of; other things.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import chain

from imagenet_hard.evaluation.generative.words import name_tokens, singular, singulars
from imagenet_hard.imagenet import classes, wordnet


@dataclass(frozen=True)
class Meaning:
    """``classes``: those that are named; ``wider``: synsets above classes that the word means ("duck": both).

    Neither: another thing. ``by``: the rule that says so, for the table in docs/generative.md.
    """

    classes: frozenset[int] = frozenset()
    wider: frozenset[str] = frozenset()
    by: str = "another thing"

    def above(self, other: Meaning) -> bool:
        """Whether this is a wider term for a class, or a narrower wider term, of ``other``."""
        wnids = classes.wnids()
        if self.classes and self.classes == other.classes:
            return False
        below = [wordnet.ancestors(wnids[i]) for i in other.classes] or [
            wordnet.ancestors(each) | {each} for each in other.wider
        ]
        return any(self.wider & each for each in below)

    def narrowed(self, wider: Meaning) -> Meaning:
        """Of several classes, those below ``wider``; all of them where none or every one is."""
        wnids = classes.wnids()
        kept = frozenset(i for i in self.classes if wordnet.ancestors(wnids[i]) & wider.wider)
        return Meaning(kept, by="narrowed by a wider term") if kept and kept < self.classes else self


OTHER = Meaning()
ORGANISM = "n00004475"
"""WordNet's synset of all that lives."""


EVERYDAY: tuple[tuple[str, int], ...] = (
    *(("tv", 851), ("tv set", 851), ("television set", 851), ("telly", 851)),
    *(("smartphone", 487), ("smart phone", 487), ("iphone", 487), ("mobile", 487)),
    *(
        ("labrador", 208),
        ("lab retriever", 208),
        ("yellow lab", 208),
        ("black lab", 208),
        ("chocolate lab", 208),
    ),
    *(
        ("alsatian dog", 235),
        ("westie", 203),
        ("yorkie", 187),
        ("rottie", 234),
        ("dobie", 236),
        ("frenchie", 245),
    ),
    *(("french bull dog", 245), ("bernese", 239), ("malamute dog", 249), ("xolo", 268), ("sheltie", 230)),
    *(("hairdryer", 589), ("blowdryer", 589), ("espresso maker", 550), ("coffee machine", 505)),
    *(("hoover", 882), ("ping pong ball", 722), ("table tennis ball", 722), ("flip phone", 487)),
    *(("clownfish", 393), ("clown fish", 393), ("puffer fish", 397), ("ladybird beetle", 301)),
    *(("remote", 761), ("tv remote", 761), ("kindle", 590), ("gas pump", 571), ("petrol pump", 571)),
    *(("garbage bin", 412), ("rubbish bin", 412), ("wheelie bin", 412), ("bin lorry", 569)),
    *(("sofa bed", 831), ("magnifying glass", 633), ("loo roll", 999), ("desktop pc", 527)),
    *(("computer monitor", 664), ("stop sign", 919), ("bookshelf", 453), ("jail", 743), ("jacuzzi", 876)),
    *(("blimp", 405), ("zeppelin", 405), ("handbag", 748), ("tennis shoe", 770), ("gym shoe", 770)),
    *(("dslr", 759), ("dslr camera", 759), ("slr", 759), ("slr camera", 759), ("polaroid", 732)),
    *(("passenger jet", 404), ("passenger plane", 404), ("jetliner", 404), ("commercial airplane", 404)),
    *(("camper", 757), ("camper van", 757), ("post box", 637), ("18 wheeler", 867), ("sweet shop", 509)),
    *(("waffle maker", 891), ("slow cooker", 521), ("cooktop", 827), ("mic", 650), ("magnifier", 633)),
    *(("balaclava", 796), ("motorcycle helmet", 518), ("sun cream", 838), ("flip flops", 774)),
    *(("settee", 831), ("sweetcorn", 987), ("ice pop", 929), ("cobweb", 815), ("cabbage white", 324)),
    *(("great white", 2), ("persian", 283), ("gsd", 235), ("choker", 679), ("sea otter", 360)),
    *(("queen bee", 309), ("jail cell", 743), ("pda", 590), ("palm pilot", 590), ("hard drive", 592)),
    *(("rotary phone", 528), ("ak 47", 413), ("kalashnikov", 413), ("bow and arrow", 456), ("matches", 644)),
    *(("digital alarm clock", 530), ("typewriter", 878)),
    *(("newfie", 256), ("staffie", 179), ("berner", 239), ("wheaten terrier", 202)),
    *(("hoodie", 841), ("trainers", 770), ("maize", 987), ("capsicum", 945), ("fire lorry", 555)),
)
"""Words of today for classes, which WordNet 3.0 of 2006 and the names lack."""


@dataclass(frozen=True)
class Vocabulary:
    """Words without blanks -> meaning, as written (``exact``) and all in the singular (``stems``).

    ``longest``: words of the longest entry. ``words``: all in them. ``near``: each long word of classes, by
    itself and by what is left of it without a letter; ``letters``: of the longest. ``headless``: what means a
    class as a whole answer only.
    """

    exact: Mapping[str, Meaning]
    stems: Mapping[str, Meaning]
    longest: int
    words: frozenset[str]
    near: Mapping[str, tuple[str, ...]]
    letters: int
    headless: Mapping[str, Meaning]

    def spelt(self, word: str) -> str:
        """``word``, or the one word of a class that it is with a slip of one letter: "dalmation"."""
        if word in self.words or singular(word) in self.words or len(word) > self.letters + 1:
            return word
        near = {each for key in _shortened(word) for each in self.near.get(key, ())}
        meant = [each for each in near if word in _slips(each)]
        return meant[0] if len(meant) == 1 and word not in wordnet.alike() else word

    def find(self, words: Sequence[str]) -> Meaning | None:
        """The meaning of tokens, or None."""
        as_written, begin = self.exact.get("".join(words)), "".join(words[:-1])
        if as_written is not None and as_written.classes:
            return as_written
        for last in singulars(words[-1]):
            found = self.exact.get(begin + last)
            if found is not None and (
                found.classes or as_written is None
            ):  # "oxen": cattle, and several an ox
                return found
        return as_written or self.stems.get("".join(map(singular, words)))


@cache
def vocabulary() -> Vocabulary:
    """All of it; made once, in a fraction of a second."""
    entries: dict[tuple[str, ...], Meaning] = {}
    for tier in (
        *(_own_names(), _lemmas(), _gathered(EVERYDAY, "everyday word"), _synonyms_of_names()),
        *(_wider(), _kinds(), _kinds_by_name(), _in_brackets()),
    ):
        for words, meaning in tier.items():
            before = entries.setdefault(words, meaning)
            if before.classes and not before.wider and meaning.wider:
                entries[words] = Meaning(before.classes, meaning.wider, before.by)
    for lemma in wordnet.others():
        entries.setdefault(tuple(name_tokens(lemma)), OTHER)
    exact, stems = dict[str, Meaning](), dict[str, Meaning]()
    for words, meaning in entries.items():
        exact.setdefault("".join(words), meaning)
        stems.setdefault("".join(map(singular, words)), meaning)
    near = _near()
    return Vocabulary(
        exact,
        stems,
        max(map(len, entries)),
        frozenset(chain.from_iterable(entries)),
        near,
        max(map(len, near)),
        {"".join(words): meaning for words, meaning in _without_heads().items()},
    )


_slips = lru_cache(1 << 10)(wordnet.misspellings)


def _shortened(word: str) -> list[str]:
    """The word, and it without one letter behind its first: two words that are a slip apart share one."""
    return [word, *(word[:i] + word[i + 1 :] for i in range(1, len(word)))]


def _near() -> dict[str, tuple[str, ...]]:
    words = {word for words in chain(_own_names(), _lemmas()) for word in words}
    found: defaultdict[str, list[str]] = defaultdict(list)
    for word in words:
        if len(word) >= wordnet.LONG and word.isalpha():
            for key in set(_shortened(word)):
                found[key].append(word)
    return {key: tuple(words) for key, words in found.items()}


def _gathered(pairs: Iterable[tuple[str, int]], by: str) -> dict[tuple[str, ...], Meaning]:
    found: defaultdict[tuple[str, ...], set[int]] = defaultdict(set)
    for name, index in pairs:
        # "bird" in "kite (bird of prey)" says which of the kites it is.
        found[tuple(name_tokens(name.partition("(")[0]))].add(index)
    return {words: Meaning(frozenset(indices), by=by) for words, indices in found.items()}


def _own_names() -> dict[tuple[str, ...], Meaning]:
    pairs = [
        (name, i) for names in (classes.names(), classes.distinct_names()) for i, name in enumerate(names)
    ]
    # Of "bell or wind chime" each side of several words is a name, and so is the whole.
    sides = [(side, i) for name, i in pairs for side in re.split(r" or | / ", name)]
    return _gathered(pairs, "class name") | {
        words: meaning for words, meaning in _gathered(sides, "class name").items() if len(words) > 1
    }


def _in_brackets() -> dict[tuple[str, ...], Meaning]:
    """Of "cherimoya (custard apple)" the other name; wider terms, as in "impala (antelope)", come before."""
    names = enumerate(classes.names())
    return _gathered(
        ((aside, i) for i, name in names for aside in re.findall(r"\((.+)\)", name)), "class name"
    )


def _lemmas() -> dict[tuple[str, ...], Meaning]:
    """Lemmas of the classes, but those that are a wider term before they are the class (sense numbers)."""
    own = {wnid: wordnet.synsets()[wnid].lemmas for wnid in classes.wnids()}
    first = _first_wider()
    index = classes.wnid_to_index()
    pairs = [
        (lemma, index[wnid])
        for wnid, lemmas in own.items()
        for lemma, rank in lemmas.items()
        if rank < first.get(lemma.lower(), 1_000)
    ]
    return _gathered(pairs, "WordNet lemma")


def _without_heads() -> dict[tuple[str, ...], Meaning]:
    """Names of living things of three words or more, without a last word that is wider: "Bernese mountain".

    As a whole answer alone: in a sentence, "the little blue bird" is no heron.
    """
    wider = _wider()
    found: defaultdict[tuple[str, ...], set[int]] = defaultdict(set)
    for words, meaning in chain(_own_names().items(), _lemmas().items()):
        if len(words) > 2 and words[-1:] in wider and wider[words[-1:]].above(meaning):
            alive = {i for i in meaning.classes if ORGANISM in wordnet.ancestors(classes.wnids()[i])}
            found[words[:-1]] |= alive
    return {words: Meaning(frozenset(i), by="class name") for words, i in found.items() if len(i) == 1}


def _first_wider() -> dict[str, int]:
    """Word -> the first of its senses that is above a class."""
    found: dict[str, int] = {}
    for synset in _above():
        for lemma, rank in wordnet.synsets()[synset].lemmas.items():
            found[lemma.lower()] = min(rank, found.get(lemma.lower(), rank))
    return found


@cache
def _above() -> frozenset[str]:
    """The synsets that are above a class."""
    return frozenset().union(*map(wordnet.ancestors, classes.wnids()))


@cache
def _meant() -> dict[str, int]:
    """Synset above a class that the class's name means first -> the class: "couch" is a studio couch here."""
    tokens = cache(name_tokens)  # the same few are above many
    return {
        above: index
        for index, (wnid, name) in enumerate(zip(classes.wnids(), classes.names(), strict=True))
        for own in [tokens(name.partition("(")[0])]
        for above in wordnet.ancestors(wnid)
        for lemma, rank in wordnet.synsets()[above].lemmas.items()
        if rank == 1 and tokens(lemma) == own
    }


def _synonyms_of_names() -> dict[tuple[str, ...], Meaning]:
    """What else WordNet calls that ("sofa"), by the first sense of its words alone."""
    return _gathered(
        (
            (lemma, index)
            for synset, index in _meant().items()
            for lemma, rank in wordnet.synsets()[synset].lemmas.items()
            if rank == 1
        ),
        "synonym of the name",
    )


def _kinds_by_name() -> dict[tuple[str, ...], Meaning]:
    """What is below that and neither is nor holds a class ("love seat"), by the first sense of its words."""
    meant = _meant()
    return _gathered(
        (
            (lemma, meant[above])
            for synset in wordnet.synsets().keys() - wordnet.class_of().keys() - _above()
            for above in wordnet.ancestors(synset) & meant.keys()
            for lemma, rank in wordnet.synsets()[synset].lemmas.items()
            if rank == 1
        ),
        "a kind of the class",
    )


def _wider() -> dict[tuple[str, ...], Meaning]:
    """What is above classes, by every sense of its words."""
    found: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    for synset in _above():
        for lemma in wordnet.synsets()[synset].lemmas:
            found[tuple(name_tokens(lemma))].add(synset)
    return {words: Meaning(wider=frozenset(each), by="wider term") for words, each in found.items()}


def _kinds() -> dict[tuple[str, ...], Meaning]:
    """What is below a class, by the first sense of its words alone ("collar" is no necklace)."""
    return _gathered(
        (
            (lemma, index)
            for synset, indices in wordnet.class_of().items()
            for lemma, rank in wordnet.synsets()[synset].lemmas.items()
            for index in indices
            if rank == 1
        ),
        "a kind of the class",
    )
