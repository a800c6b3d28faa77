"""A source on the Hub, opened by the official client from a server on loopback."""

from __future__ import annotations

import json

import pytest

from tests.dataset.test_hub import REPO, push
from tests.hub.server import LoopbackHub

pytest.importorskip("datasets")

OPEN = """
import json
from pathlib import Path
from imagenet_hard.curation.recipe import SourceSpec
from imagenet_hard.curation.sources import open_source
from imagenet_hard.base.errors import ImageNetHardError
for options in {sources!r}:
    try:
        s = open_source(SourceSpec(variant="imagenet", **options), Path("."))
        print("=> " + json.dumps([s.images.ids, s.images.labels, s.images.revision, len(s.images[0].image)]))
    except ImageNetHardError as error:
        print("=> " + json.dumps(str(error)))
"""


def test_a_hub_source(minihub: LoopbackHub) -> None:
    """Ids under the source's name, labels, the commit; a missing repository is named with its source."""
    commit = push(minihub, n=4)
    sources = [{"hub": REPO, "split": "validation"}, {"hub": "alice/gone", "name": "lost"}]
    done = minihub.client(OPEN.format(sources=sources))
    assert done.returncode == 0, done.stderr
    found, missing = (json.loads(line[3:]) for line in done.stdout.splitlines() if line.startswith("=> "))
    ids, labels, revision, size = found
    assert ids == [f"imagenet/{i}" for i in range(4)]
    assert labels[:2] == [[0], [1, 11]]
    assert revision == commit
    assert size > 0
    assert missing.startswith("lost: ")
    assert "alice/gone" in missing
