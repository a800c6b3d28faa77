"""Recipes: those that ship are valid, wrong ones name the line."""

from __future__ import annotations

import hashlib
import json

import pytest

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.records import parse_record, record_names
from imagenet_hard.curation.recipe import FOLDER, Recipe, load_recipe
from imagenet_hard.imagenet.zoom import PAPER_SCALES

SMALL = """name: small
version: 1.0.0
sources:
  - {variant: imagenet, path: val, labels: val.txt}
classifiers:
  - {model: efficientnet_lite0}
"""


def test_the_shipped_recipes_are_valid():
    """By name, with the paper's zooms and exclusions that exist."""
    from imagenet_hard.base.runtime import content_dir

    assert record_names(FOLDER) == ["imagenet-hard", "imagenet-hard-lite", "template"]
    for name in record_names(FOLDER):
        recipe = load_recipe(name)
        assert recipe.name == name
        assert recipe.scales == PAPER_SCALES
        for file in recipe.exclusions:
            assert (content_dir("curation/exclusions") / file).is_file()


def test_the_papers_recipe():
    """Eight variants, CLIP ViT-L/14 with ImageNet's mean and std, masks as in the study."""
    recipe = load_recipe("imagenet-hard")
    assert [source.variant for source in recipe.sources] == [
        "imagenet",
        "imagenet-real",
        "imagenet-v2",
        "imagenet-a",
        "imagenet-r",
        "imagenet-sketch",
        "imagenet-c",
        "objectnet",
    ]
    assert {s.id: s.mask_name for s in recipe.sources if s.mask_name != "none"} == {
        "imagenet-a": "imagenet-a",
        "imagenet-r": "imagenet-r",
        "objectnet": "objectnet",
    }
    (classifier,) = recipe.classifiers
    assert (classifier.model, classifier.normalization) == ("clip:ViT-L/14", "imagenet")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("path: val,", "", r":4: sources\[0\]: give either path \(a folder\) or hub"),
        ("path: val,", "path: val, hub: a/b,", r":4: sources\[0\]: give either path"),
        ("path: val,", "path: val, make: true,", "make belongs to imagenet-c, not to imagenet"),
        ("path: val,", "path: val, revision: x,", "revision and split belong to hub"),
        ("imagenet,", "imagenet-real,", None),
        ("variant: imagenet,", "variant: imagenet-x,", r":4: sources\[0\].variant: Input should be"),
        (
            "labels: val.txt",
            "lables: val.txt",
            r":4: sources\[0\].lables: unknown key: did you mean labels\?",
        ),
        ("path: val,", "path: val, license: MIT,", r":4: sources\[0\].license: .* did you mean licence\?"),
        ("version: 1.0.0", "version: 1.0.0\nlicense: MIT", r":3: license: .* mean licence in sources\?"),
        ("sources:", "source:", r":3: source: unknown key: did you mean sources\?"),
        (
            "path: val,",
            "path: val, x: 1,",
            r"sources\[0\].x: unknown key: expected some of variant, name, path",
        ),
        ("version: 1.0.0", "version: 1.0", ":2: version: YAML reads 1.0 as a number: expected three numbers"),
        (
            "path: val, labels: val.txt",
            "hub: a/b, revision: 1.10",
            "YAML reads 1.10 as a number: write '1.10'",
        ),
        (
            "path: val,",
            "path: val, name: on,",
            r":4: sources\[0\].name: YAML reads on as yes or no: write 'on'",
        ),
        ("path: val,", "path: val, border: 4,", "border belongs to objectnet, not to imagenet"),
        ("path: val,", "path: val, severities: [3],", "severities belongs to imagenet-c, not to imagenet"),
        ("imagenet, path: val", "imagenet-r, path: val", "labels belongs to imagenet, imagenet-real, "),
        ("imagenet, path: val", "imagenet-c, path: val", "labels belongs to `make: true`"),
        (
            "imagenet, path: val",
            "imagenet, hub: a/b",
            "labels belongs to path: a data set on the Hub is taken",
        ),
        (
            "imagenet, path: val, labels: val.txt",
            "imagenet-c, path: v, seed: 1",
            "seed belongs to `make: true`",
        ),
        (
            "version: 1.0.0",
            "version: one",
            r":2: version: expected three numbers such as 1.0.0 \(got 'one'\)",
        ),
        (
            "name: small",
            "name: Small Set",
            r":1: name: expected small letters, digits, '_' and '-' without blanks",
        ),
        (
            "- {model: efficientnet_lite0}",
            "- {model: a}\n  - {model: a}",
            r"classifiers\[1\] \(a\) repeats an earlier one",
        ),
        ("version: 1.0.0", "version: 1.0.0\nscales: [256, 224]", "expected rising numbers"),
        ("version: 1.0.0", "version: 1.0.0\nrule: standard-view", ":3: rule: "),
        ("version: 1.0.0", "version: 1.0.0\nrule: any-zoom", None),
        ("classifiers:\n  - {model: efficientnet_lite0}", "classifiers: []", ":5: classifiers: Tuple should"),
    ],
)
def test_a_wrong_recipe_names_the_line(old, new, message):
    """File, line, place and what is wrong."""
    text = SMALL.replace(old, new)
    assert text != SMALL
    if message is None:
        assert parse_record(Recipe, text.encode(), "r.yaml").sources[0].labels == "val.txt"
        return
    with pytest.raises(UsageError, match=r"^r.yaml") as error:
        parse_record(Recipe, text.encode(), "r.yaml")
    assert error.match(message)


def test_real_needs_its_label_file():
    """imagenet-real without real.json is no source."""
    text = SMALL.replace(
        "{variant: imagenet, path: val, labels: val.txt}", "{variant: imagenet-real, path: v}"
    )
    with pytest.raises(UsageError, match="imagenet-real needs labels: the path of real.json"):
        parse_record(Recipe, text.encode(), "r.yaml")


def test_an_unknown_name_shows_the_nearest():
    """And where one's own file would go."""
    with pytest.raises(
        UsageError, match="there is no recipe 'imagenet-hard-light': did you mean imagenet-hard-lite"
    ):
        load_recipe("imagenet-hard-light")


def test_the_scoring_hash_ignores_texts_and_places():
    """A better summary does not invalidate scores; other zooms, classifiers or masks do."""
    base = parse_record(Recipe, SMALL.encode(), "r").scoring_sha256()

    def changed(old: str, new: str) -> bool:
        return parse_record(Recipe, SMALL.replace(old, new).encode(), "r").scoring_sha256() != base

    assert not changed("version: 1.0.0", "version: 2.0.0\ndescription: better")
    assert not changed("path: val", "path: elsewhere, licence: MIT")
    assert not changed("lite0}", "lite0, note: small}\noutput: {title: Other}")
    assert changed("version: 1.0.0", "version: 1.0.0\nscales: [224, 256]")
    assert changed("lite0", "lite1")
    assert changed("path: val", "path: val, mask: imagenet-a")
    assert changed("version: 1.0.0", "version: 1.0.0\nexif: true")
    assert changed("path: val", "path: val, limit: 9")


def test_the_scoring_hash_is_what_it_was():
    """Scores from before still belong to their recipe; but with a limit, which took other images then."""

    def by_hand(recipe: Recipe) -> str:
        data = recipe.model_dump(
            mode="json", exclude={"description", "version", "name", "exclusions", "output"}
        )
        for source in data["sources"]:
            for key in ("path", "labels", "original_labels", "licence", "url"):
                source.pop(key)
        for classifier in data["classifiers"]:
            classifier.pop("note")
        data["rule"] = "any-zoom"  # a key with one value, then
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()

    for name in record_names(FOLDER):
        assert load_recipe(name).scoring_sha256() == by_hand(load_recipe(name))
    limited = parse_record(Recipe, SMALL.replace("path: val", "path: val, limit: 9").encode(), "r")
    assert limited.scoring_sha256() != by_hand(limited)


def test_another_input_size_keeps_the_regions():
    """Scales grow with the crop."""
    recipe = parse_record(Recipe, SMALL.encode(), "r")
    assert recipe.grid() == recipe.grid(224)
    assert recipe.grid(448).scales[0] == 20
    assert recipe.grid(448).size == 448
