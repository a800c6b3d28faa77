"""Scoring a recipe into a work folder that belongs to it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from imagenet_hard.base.errors import ClassifierError, ResultError, UsageError
from imagenet_hard.curation.recipe import ClassifierSpec
from imagenet_hard.curation.score.classifiers import arrange, load_zoom_classifier
from imagenet_hard.curation.score.run import score
from imagenet_hard.curation.store import FILE, CurationStore
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.imagenet.zoom import PAPER_SCALES, Zoom
from tests.curation.small import GRID, SETTINGS, made, net, recipe


def test_a_run_says_what_it_found(tmp_path):
    """Numbers per source, who the classifiers were, and a store that build and review can read."""
    data, seen = made(30), []
    summary = score(
        recipe(),
        [data.source()],
        tmp_path,
        SETTINGS,
        classifiers=[net(0), net(1)],
        on_progress=seen.append,
    )
    assert summary.complete
    assert summary.seen == {"imagenet": 30}
    assert summary.hard == {"imagenet": 10}
    assert summary.recipe_sha256 == recipe().scoring_sha256()
    assert summary.classifiers["net0"] == net(0).model.spec
    assert (seen[-1].done, seen[-1].total) == (30, 30)
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    with CurationStore(tmp_path / FILE) as store:
        survivors = store.survivors()
    assert {s.id for s in survivors} == data.hard
    assert [view.zoom for view in survivors[0].standard] == [GRID.standard] * 2


def test_done_work_is_not_done_again(tmp_path):
    """The second run of the same command ends with the same summary, without a crop."""
    data, progress = made(), []
    first = score(recipe(), [data.source()], tmp_path, SETTINGS, classifiers=[net(0)])
    again = score(
        recipe(),
        [data.source()],
        tmp_path,
        SETTINGS,
        classifiers=[net(0)],
        on_progress=progress.append,
    )
    assert again == first
    assert progress == []


@pytest.mark.parametrize(
    ("change", "mode", "message"),
    [
        ({"name": "other", "scales": [20, 32]}, "early-exit", "was begun with the recipe 'small'"),
        ({}, "exhaustive", "was begun with the mode early-exit, and cannot go on with exhaustive"),
        ({}, "screening", "was begun with the mode early-exit"),
    ],
)
def test_two_kinds_of_scores_do_not_mix(tmp_path, change, mode, message):
    """Another recipe or mode on the same work folder."""
    data = made(6)
    score(recipe(), [data.source()], tmp_path, SETTINGS, classifiers=[net(0)])
    with pytest.raises(ResultError, match=message):
        score(recipe(**change), [data.source()], tmp_path, SETTINGS, classifiers=[net(0)], mode=mode)


def test_scores_from_when_a_limit_took_the_first_images_are_refused(tmp_path):
    """A limit takes a spread now: the two do not belong together, and that is said."""
    data = made(6)
    limited = recipe(sources=[{"variant": "imagenet", "path": "x", "limit": 6}])
    with CurationStore(tmp_path / FILE, create=True) as store:
        store.remember(recipe_sha256="ab" * 32, recipe_name="small", mode="early-exit")
    with pytest.raises(
        ResultError, match=r"'small' as it was then, or while a limit took the first images \("
    ):
        score(limited, [data.source()], tmp_path, SETTINGS, classifiers=[net(0)])


def test_other_weights_under_the_same_name_are_refused(tmp_path):
    """The first part was scored by another network."""
    data = made(6)
    score(recipe(), [data.source()], tmp_path, SETTINGS, classifiers=[net(0)])
    with pytest.raises(
        ResultError, match="net0 is not the classifier that .* was begun with: weights_sha256"
    ):
        score(
            recipe(),
            [data.source()],
            tmp_path,
            SETTINGS,
            classifiers=[replace(net(1), id="net0")],
        )


@pytest.mark.parametrize(
    ("settings", "mode", "message"),
    [
        (RunSettings(precision="bf16"), "early-exit", "hardness is decided in fp32, not in bf16"),
        (RunSettings(), "quick", "scoring mode 'quick': expected early-exit, screening, exhaustive"),
    ],
)
def test_wrong_settings(tmp_path, settings, mode, message):
    """Refused before anything is written."""
    with pytest.raises(UsageError, match=message):
        score(recipe(), [made(6).source()], tmp_path, settings, classifiers=[net(0)], mode=mode)
    assert list(tmp_path.iterdir()) == []


def test_a_classifier_of_a_recipe_is_loaded_under_the_zoom(monkeypatch):
    """Its own mean and std, or ImageNet's; the grid of its size; an impossible size is refused."""
    full = recipe(scales=list(PAPER_SCALES))
    own = load_zoom_classifier(ClassifierSpec(model="efficientnet_lite0"), full.grid())
    assert own.model.transform.describe()["mean"] == [0.5, 0.5, 0.5]
    assert len(own.grid) == 324
    spec = ClassifierSpec(model="efficientnet_lite0", normalization="imagenet", size=160)
    paper = load_zoom_classifier(spec, full.grid(160))
    assert paper.id == "efficientnet_lite0/imagenet/160"
    assert paper.model.transform.describe()["mean"] == [0.485, 0.456, 0.406]
    assert (paper.grid.size, paper.grid.scale_of(paper.grid.standard)) == (160, 183)
    with pytest.raises(ClassifierError, match="efficientnet_lite9"):
        load_zoom_classifier(ClassifierSpec(model="efficientnet_lite9"), full.grid())


def test_the_cheapest_classifier_comes_first(monkeypatch):
    """By measured time, whatever the recipe's order."""
    from imagenet_hard.curation.score import classifiers

    times = {"net0": 3.0, "net1": 1.0}
    monkeypatch.setattr(classifiers, "seconds_per_crop", lambda c, s: times[c.id])
    assert list(arrange([net(0), net(1)], SETTINGS).order) == [
        "net1",
        "net0",
    ]
    assert arrange([net(0)], SETTINGS).order == ("net0",)


def test_a_given_order_changes_no_verdict(tmp_path):
    """Zooms that solve least are tried first: the same images survive."""
    images, order = made(), [Zoom(GRID.scales[0] * 7, row, 2) for row in range(3)]
    found = []
    for work, first in ((tmp_path / "a", ()), (tmp_path / "b", order)):
        classifiers = [net(0), net(1)]
        two = recipe(classifiers=[{"model": "net0"}, {"model": "net1"}])
        score(two, [images.source()], work, SETTINGS, classifiers=classifiers, order=first)
        with CurationStore(work / FILE) as store:
            found.append({survivor.id for survivor in store.survivors()})
    assert found[0] == found[1] == images.hard


class OwnNet(torch.nn.Module):
    """Code of one's own around a network: the weights are the same, two outputs may be exchanged."""

    def __init__(self, inner, exchanged=()):
        super().__init__()
        self.inner, self.exchanged = inner, exchanged

    def forward(self, x):
        logits = self.inner(x)
        for a, b in self.exchanged:
            logits[:, [a, b]] = logits[:, [b, a]]
        return logits


def own(*exchanged):
    who = net(0)
    return replace(who, model=replace(who.model, module=OwnNet(who.model.module, exchanged)))


def test_own_code_that_was_changed_does_not_go_on(tmp_path):
    """The weights are those of the first part, the code is not: neither is the work done again unasked."""
    data = made(6)
    first = score(recipe(), [data.source()], tmp_path, SETTINGS, classifiers=[own()])
    assert score(recipe(), [data.source()], tmp_path, SETTINGS, classifiers=[own()]) == first
    with pytest.raises(ResultError, match="net0 brings code of your own.*its code, or.*--work folder"):
        score(recipe(), [data.source()], tmp_path, SETTINGS, classifiers=[own((997, 998))])
    with CurationStore(tmp_path / FILE, create=True) as store:
        store.remember(witnesses="{}")  # as a release that kept none has left it
    with pytest.raises(ResultError, match="it is not known which code that was"):
        score(recipe(), [data.source()], tmp_path, SETTINGS, classifiers=[own()])


def test_given_classifiers_come_back(tmp_path):
    """Their weights lie in memory as before, whatever the run made of them."""
    who = own()
    before = [(id(p), p.stride()) for p in who.model.module.parameters()]
    score(recipe(), [made(6).source()], tmp_path, SETTINGS, classifiers=[who])
    assert [(id(p), p.stride()) for p in who.model.module.parameters()] == before
