"""Which images a limit takes."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from imagenet_hard.curation.sources.opening import spread

ROWS = st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["fog/1", "fog/2", "snow/1"])), max_size=60)


@settings(deadline=None)
@given(rows=ROWS, limit=st.integers(1, 70), data=st.data())
def test_a_spread_is_even_and_depends_on_no_order(rows, limit, data):
    """As many as asked for, each once; parts level off; the same names from any order."""
    names = [f"{part}/{label}/{i}" for i, (label, part) in enumerate(rows)]
    classes, parts = [label for label, _ in rows], [part for _, part in rows]
    chosen = spread(names, classes, parts, limit)
    assert len(chosen) == len(set(chosen)) == min(limit, len(rows))
    assert chosen == sorted(chosen)
    taken, there = Counter(parts[row] for row in chosen), Counter(parts)
    most = max(taken.values(), default=0)
    assert all(taken[part] == there[part] or taken[part] >= most - 1 for part in there)
    order = data.draw(st.permutations(range(len(rows))))
    again = spread([names[i] for i in order], [classes[i] for i in order], [parts[i] for i in order], limit)
    assert {names[row] for row in chosen} == {names[order[row]] for row in again}


@settings(deadline=None)
@given(
    classes=st.integers(1, 8),
    corruptions=st.integers(1, 5),
    images=st.integers(1, 4),
    limit=st.integers(1, 160),
)
def test_whole_sets_are_spread_over_classes_too(classes, corruptions, images, limit):
    """Where every part has every class, classes differ by one image at most, as parts do."""
    rows = [
        (c, f"{k}", f"{k}/{c}/{i}") for k in range(corruptions) for c in range(classes) for i in range(images)
    ]
    chosen = spread([n for _, _, n in rows], [c for c, _, _ in rows], [p for _, p, _ in rows], limit)
    for kind, n in ((0, classes), (1, corruptions)):
        taken = Counter(rows[row][kind] for row in chosen)
        counts = [*taken.values(), *[0] * (n - len(taken))]
        if limit < len(rows) - max(classes, corruptions) * images:
            assert max(counts) - min(counts) <= 1
