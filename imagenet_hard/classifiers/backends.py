"""The model backends, each known by the prefix of its names: one record each, and nothing else knows them.

One more is a module with a record called ``BACKEND`` and a line in ``OWN``; an installed package brings one
by an entry point (``docs/extending.md``). No record imports a framework before a model is loaded or listed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.extensions import Extension, extensions

OWN: Mapping[str, str] = {
    "bundled": "imagenet_hard.classifiers.bundled",
    "torchvision": "imagenet_hard.classifiers.torchvision_models",
    "timm": "imagenet_hard.classifiers.timm_models",
    "open_clip": "imagenet_hard.classifiers.open_clip_models",
    "clip": "imagenet_hard.classifiers.openai_names",
    "hf-hub": "imagenet_hard.classifiers.hub_models",
    "transformers": "imagenet_hard.classifiers.transformers_models",
}
"""Prefix -> the module with its record, in the order in which they are listed and asked for bare names."""

ENDPOINT = "api"
"""What results call models that answer in words, and their prefix: those are no classifiers."""

ANSWERS = "answers"
"""What results call models whose answers in words were produced elsewhere."""

RESERVED = ("custom", ENDPOINT, ANSWERS)
"""What results call what is no backend: code of one's own, and these two."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What a caller may say beside the name of a model.

    ``tag``: which of several weights; ``file``: a checkpoint to load in place of the published ones.
    ``templates`` and ``classnames``: of zero-shot models, whose heads are built on ``device``.
    ``progress``: show a bar. ``drop_class``: the background class of a model of one's own with 1001 outputs.
    """

    tag: str | None = None
    file: str | None = None
    templates: str | None = None
    classnames: str | None = None
    device: str = "cpu"
    progress: bool = False
    drop_class: int | None = None


@dataclass(frozen=True)
class Backend:
    """What there is to know of a backend.

    ``load``: from what follows the prefix, and the options, to a ``Classifier`` under its own transform.
    (That of an installed package gives what a function of one's own may, and leaves ``file`` to its caller.)
    ``form``: how what follows is written. ``takes_tag``: whether a tag may be said beside the name.
    ``names``: lists what is published, as (name, tags with the default first, (height, width) in pixels).
    ``tags``: the tags of a name that is given without the prefix; None where there is no such model.
    ``separator``: what stands between name and tag in one word; ``needs_tag``: there are no default weights.
    ``published``: name and tag say which weights these are, and these are data, so that ``verify`` may load
    them; ``published_on_hub``: that holds where the tag is a repository's, and not for a folder.
    ``packages``: whose versions say what is listed. ``libraries``: modules that its layers are from.
    """

    load: Callable[[str, LoadOptions], Any]
    form: str = "NAME"
    takes_tag: bool = False
    names: Callable[[], Iterable[tuple[str, Sequence[str], tuple[int, int]]]] | None = None
    tags: Callable[[str], Sequence[str] | None] | None = None
    separator: str | None = None
    needs_tag: bool = False
    published: bool = False
    published_on_hub: bool = False
    packages: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()

    def spelled(self, prefix: str, name: str, tag: str | None = None) -> str:
        """The name to load a model by, with ``tag`` where names have it in them."""
        return f"{prefix}:{name}" + (f"{self.separator}{tag}" if self.separator and tag else "")


def own() -> dict[str, Backend]:
    """The records of this package's backends."""
    return {prefix: _own(prefix) for prefix in OWN}


@cache
def _own(prefix: str) -> Backend:
    record: Backend = import_module(OWN[prefix]).BACKEND
    return record


def installed() -> Mapping[str, Extension]:
    """Backends that installed packages bring; nothing of them is imported.

    Raises:
        UsageError: one has a prefix that is taken.
    """
    return _installed(tuple(sys.path))


@cache
def _installed(_path: tuple[str, ...]) -> Mapping[str, Extension]:
    return extensions("backends", (*OWN, *RESERVED))


def find(prefix: str) -> Backend | None:
    """The backend of a prefix, of this package or of another; None where there is none.

    Raises:
        UsageError: it cannot be imported from its package, or is no record.
    """
    if prefix in OWN:
        return _own(prefix)
    extension = installed().get(prefix)
    return None if extension is None else of_extension(extension)


def of_extension(extension: Extension) -> Backend:
    """The record that a package brings.

    Raises:
        UsageError: it cannot be imported, or is something else.
    """
    record = extension.load()
    if not isinstance(record, Backend):
        raise UsageError(
            f"{extension.entry.value!r} of the installed package {extension.origin} is "
            f"{type(record).__name__}: expected an imagenet_hard.classifiers.backends.Backend"
        )
    return record


def usage() -> str:
    """How names are written, for messages."""
    forms = [f"{prefix}:{record.form}" for prefix, record in own().items()]
    forms += [f"{prefix}:NAME" for prefix in installed()]
    return f"{', '.join(forms)}, or package.module:function for your own"
