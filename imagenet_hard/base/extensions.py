"""What installed packages add to the project's closed sets (backends, TTA methods, metrics), by entry point.

A package names its object in ``pyproject.toml`` under ``[project.entry-points."imagenet_hard.GROUP"]``.
Nothing of it is imported before somebody asks for that name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.runtime import extending_points
from imagenet_hard.base.text import reason


@dataclass(frozen=True)
class Extension:
    """One entry point. ``origin``: the package that brings it, as a result records it ("name version")."""

    name: str
    origin: str
    entry: EntryPoint

    def load(self) -> Any:
        """The object that the package names; its module is imported now.

        Raises:
            UsageError: it cannot be imported.
        """
        try:
            return self.entry.load()
        except Exception as error:  # whatever a foreign module throws while it is imported
            raise UsageError(
                f"{self.name!r} of the installed package {self.origin} cannot be loaded from "
                f"{self.entry.value!r}: {reason(error)}. Repair or uninstall that package"
            ) from error


def extensions(group: str, taken: Collection[str]) -> Mapping[str, Extension]:
    """What installed packages bring for ``imagenet_hard.GROUP``, by name, sorted; nothing is imported.

    Raises:
        UsageError: a name is one of ``taken``, the project's own, or two packages bring it.
    """
    found: dict[str, Extension] = {}
    for entry in sorted(extending_points(group), key=lambda each: each.name):
        origin = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "(unknown package)"
        holder = "imagenet-hard itself" if entry.name in taken else None
        if entry.name in found and found[entry.name].entry.value != entry.value:
            holder = found[entry.name].origin
        if holder:
            raise UsageError(
                f"{entry.name!r} of the installed package {origin} is a name that {holder} has for its "
                f"{group}: expected one name for one thing. Uninstall one of them, or rename the entry point"
            )
        found[entry.name] = Extension(entry.name, origin, entry)
    return found
