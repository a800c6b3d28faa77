"""WordNet's facts: those that a look into any WordNet 3.0 confirms, and laws that hold for all classes."""

from __future__ import annotations

from pathlib import Path

from imagenet_hard.imagenet import classes, wordnet


def test_every_class_is_there_and_stands_below_entity():
    root = next(synset for synset, about in wordnet.synsets().items() if "entity" in about.lemmas)
    assert wordnet.synsets()[root].above == ()
    assert wordnet.depth(root) == 0
    for wnid in classes.wnids():
        assert root in wordnet.ancestors(wnid)


def test_no_class_is_a_kind_of_another():
    """The 1000 classes were chosen so; each synset below one belongs to it alone."""
    assert all(not wordnet.ancestors(wnid) & classes.wnid_to_index().keys() for wnid in classes.wnids())
    assert {len(indices) for indices in wordnet.class_of().values()} == {1}


def test_facts_that_the_dictionary_shows():
    """``wn tench -hypen``: a cyprinid; ``wn lioness -hypen``: a lion."""
    tench = wordnet.synsets()["n01440764"]
    assert list(tench.lemmas) == ["tench", "Tinca tinca"]
    assert [list(wordnet.synsets()[each].lemmas) for each in tench.above] == [["cyprinid", "cyprinid fish"]]
    (lioness,) = [each for each, about in wordnet.synsets().items() if "lioness" in about.lemmas]
    assert wordnet.class_of()[lioness] == {291}
    assert wordnet.depth("n02099601") == 1 + min(
        wordnet.depth(each) for each in wordnet.synsets()["n02099601"].above
    )


def test_other_things_are_none_of_the_words():
    """ "prairie dog" is no dog, and no word for a class, what is above or below it."""
    others = set(wordnet.others())
    assert {"prairie dog", "musk ox", "zebra crossing", "tiger lily"} <= others
    assert not others & {lemma.lower() for about in wordnet.synsets().values() for lemma in about.lemmas}


def test_the_licence_lies_beside_the_facts():
    text = (Path(classes.__file__).parent / "data" / "wordnet_license.txt").read_text("utf-8")
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in text


def test_words_that_look_misspelt_and_are_none():
    """ "Failed" is a slip away from "tailed", and a word; "dalmation" is none, nor is "gorillad"."""
    assert "dalmatian" in wordnet.misspellings("dalmation")
    assert "dalmation" not in wordnet.alike()
    assert {"retriever", "retrieved"} & wordnet.alike() == {"retrieved"}
    assert not {"gorillad", "nautilusd", "automatis"} & wordnet.alike()
    assert {"slotted", "carpeters", "moister"} <= wordnet.alike()
    assert all(len(word) >= wordnet.LONG - 1 for word in wordnet.alike())
