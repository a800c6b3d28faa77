"""Which survivors become rows: decisions, relabelled images that are hard no more, shared images."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.curation.build.selection import select
from imagenet_hard.curation.recipe import SourceSpec
from imagenet_hard.curation.records import Decision, OpenSource, Survivor, View
from imagenet_hard.dataset.benchmark import Benchmark, Source


def source(variant: str, n: int = 4) -> OpenSource:
    ids = [f"{variant}/{i}" for i in range(n)]
    images = Benchmark(Source(variant, "folder"), ids, [(0,)] * n, [variant] * n, lambda i: b"")
    labels = "real.json" if variant == "imagenet-real" else None
    return OpenSource(SourceSpec(variant=variant, path="x", labels=labels), images, None)


SOURCES = [source("imagenet"), source("imagenet-real")]


def survivor(id: str, labels: tuple[int, ...], sha256: str = "", *, seen: int = 900) -> Survivor:
    return Survivor(id, id.partition("/")[0], labels, sha256 or id, standard=(View("net", 7, seen, 0.5),))


def relabel(id: str, *labels: int) -> dict[str, Decision]:
    return {id: Decision(id, "relabel", labels=labels, reviewers=("ann",))}


def test_a_label_that_a_zoom_predicts_is_not_hard():
    """By the survivor's own views, or by others that the store has; else the labels are replaced."""
    one = survivor("imagenet/0", (1,), seen=5)
    other = survivor("imagenet/1", (2,))
    found = select(SOURCES, [one, other], relabel(one.id, 5, 6), {})
    assert (found.answered, found.relabelled, [r.id for r in found.rows]) == ((one.id,), 0, [other.id])
    found = select(SOURCES, [one, other], relabel(one.id, 6), {}, {one.id: {6, 8}})
    assert found.answered == (one.id,)
    found = select(SOURCES, [one, other], relabel(one.id, 7, 6), {}, {one.id: {8}})
    assert (found.answered, found.relabelled, found.rows[0].labels) == ((), 1, (6, 7))
    assert (found.reviewed, found.reviewers) == (1, 1)


def test_the_other_source_does_not_bring_a_wrong_label_back():
    """ImageNet's label was replaced by a reviewer; -ReaL, which nobody looked at, still has it."""
    pair = [survivor("imagenet/0", (1,), "ff"), survivor("imagenet-real/0", (1, 2), "ff")]
    assert select(SOURCES, pair, {}, {}).rows[0].labels == (1, 2)
    (row,) = select(SOURCES, pair, relabel("imagenet/0", 3), {}).rows
    assert (row.id, row.labels) == ("imagenet/0", (3,))
    (row,) = select(SOURCES, pair, relabel("imagenet-real/0", 3), {}).rows
    assert (row.id, row.labels) == ("imagenet/0", (3,))
    both = relabel("imagenet/0", 4) | relabel("imagenet-real/0", 3)
    assert select(SOURCES, pair, both, {}).rows[0].labels == (3, 4)


@pytest.mark.parametrize("how", ["dropped", "excluded", "answered"])
def test_an_image_that_is_out_under_one_id_only_is_named(how):
    """It stays under the other source's labels, and the report and the card say so."""
    gone, stays = survivor("imagenet/0", (1,), "ff", seen=5), survivor("imagenet-real/0", (2,), "ff")
    decisions = {
        "dropped": {gone.id: Decision(gone.id, "drop", "wrong label")},
        "excluded": {},
        "answered": relabel(gone.id, 5),
    }[how]
    excluded = {gone.id: "ill-posed"} if how == "excluded" else {}
    found = select(SOURCES, [gone, stays, survivor("imagenet/1", (3,))], decisions, excluded)
    assert [row.id for row in found.rows] == [stays.id, "imagenet/1"]
    assert found.torn == (stays.id,)
    assert found.merged == 0


def test_every_survivor_is_accounted_for():
    """Rows and all that is out add up to the survivors, in whatever order they come."""
    survivors = [survivor(f"imagenet/{i}", (i,), f"{i}") for i in range(4)]
    survivors += [survivor(f"imagenet-real/{i}", (9,), f"{i}") for i in range(3)]
    decisions = {"imagenet/0": Decision("imagenet/0", "drop"), **relabel("imagenet/1", 900)}
    found = select(SOURCES, survivors, decisions, {"imagenet/3": "x"})
    out = found.excluded + sum(found.dropped.values()) + len(found.answered) + found.merged
    assert len(found.rows) + out == len(survivors)
    assert found == select(SOURCES, survivors[::-1], decisions, {"imagenet/3": "x"})
    assert found.dropped == {"no reason given": 1}


def test_nothing_left():
    """The message has the numbers of each step."""
    one, two = survivor("imagenet/0", (1,), seen=5), survivor("imagenet/1", (2,))
    with pytest.raises(
        DatasetError, match="2 survivors, 1 excluded, 0 dropped by reviewers, 1 not hard under reviewers'"
    ):
        select(SOURCES, [one, two], relabel(one.id, 5), {two.id: ""})


def test_copies_within_a_source_are_refused():
    """Also where a third copy belongs to -ReaL."""
    three = [survivor(id, (1,), "ff") for id in ("imagenet/0", "imagenet/1", "imagenet-real/0")]
    with pytest.raises(DatasetError, match="imagenet-real/0 = imagenet/0 = imagenet/1. An image counts once"):
        select(SOURCES, three, {}, {})
    assert len(select(SOURCES, [*three[1:], replace(three[0], image_sha256="0")], {}, {}).rows) == 2
