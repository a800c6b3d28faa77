"""Where a file of weights is had from, as data: asked later, it says which file would be loaded now."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from imagenet_hard.base.errors import WeightsError
from imagenet_hard.base.types import Record
from imagenet_hard.classifiers.weights_file import INDEX, find
from imagenet_hard.hub.read import model_file


class WeightsSource(Record):
    """``place``: a path as it was given, an address, a repository of the Hub, or an installed package.

    ``names``: files of the last two; of a repository the first that it has.
    """

    kind: Literal["file", "url", "hub", "package"]
    place: str
    names: tuple[str, ...] = ()

    def file(self) -> Path | None:
        """The one that would be loaded now; None where it is several, or has to be fetched first."""
        if self.kind == "url":
            from imagenet_hard.classifiers.download import place_of

            path = place_of(self.place)
        elif self.kind == "package":
            found = find_spec(self.place)
            if found is None or found.origin is None:
                return None
            path = Path(found.origin).parent / self.names[0]
        else:
            try:
                path = model_file(self.place, self.names) if self.kind == "hub" else find(self.place)[0]
            except WeightsError:  # which loading will say
                return None
        return path if path.is_file() and not path.name.endswith(INDEX) else None

    def sha256(self) -> str | None:
        """Of the bytes of that file."""
        if (path := self.file()) is None:
            return None
        try:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return None
