"""Which classifiers there are, from every backend, without importing a framework the second time."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from importlib.metadata import PackageNotFoundError, version

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.runtime import cache_dir
from imagenet_hard.classifiers import backends
from imagenet_hard.classifiers.backends import Backend

log = logging.getLogger(__name__)

FORMAT = 1
"""Raised when the cached file changes its shape or what is listed."""


@dataclass(frozen=True, slots=True)
class ModelListing:
    """One architecture; ``tags``: its weights, the default first; ``input_size``: height, width in pixels."""

    backend: str
    name: str
    tags: tuple[str, ...]
    input_size: tuple[int, int]

    def spelled(self, tag: str | None = None) -> str:
        """The name to load it by, with ``tag`` where the backend writes one into the name.

        >>> ModelListing("open_clip", "ViT-L-14", ("openai",), (224, 224)).spelled("openai")
        'open_clip:ViT-L-14/openai'
        """
        backend = backends.find(self.backend)
        assert backend is not None
        return backend.spelled(self.backend, self.name, tag)

    def by_default(self) -> str:
        """The shortest name that loads it."""
        backend = backends.find(self.backend)
        return self.spelled(self.tags[0] if backend and backend.needs_tag and self.tags else None)


def list_models(pattern: str | None = None, backend: str | None = None) -> list[ModelListing]:
    """Every known classifier, or those that ``pattern`` finds in their names or tags.

    A pattern with ``*``, ``?`` or ``[`` is a glob of the whole name, any other a part of it; case
    does not matter. Where it finds tags but not the name, only those tags are kept.

    Raises:
        UsageError: for an unknown backend.
    """
    known = [prefix for prefix, record in backends.own().items() if record.names]
    if backend is not None and backend not in (*known, *backends.installed()):
        expected = ", ".join((*known, *backends.installed()))
        raise UsageError(f"unknown backend {backend!r}: expected one of {expected}")
    models = [m for m in _all() if backend in (None, m.backend)] + _installed(backend)
    return [found for m in models if (found := _matching(m, pattern)) is not None]


def unknown_model(name: str, backend: str | None = None) -> str:
    """What to say about a name that no backend has: the nearest ones, and how names are written."""
    models = list_models(backend=backend)
    wanted = name.rpartition(":")[2].lower()
    by_name: dict[str, list[ModelListing]] = {}
    for model in models:
        by_name.setdefault(model.name.lower(), []).append(model)
    # An architecture may be followed by a tag, and follow an organisation.
    parts = dict.fromkeys((wanted, wanted.partition("/")[0], wanted.rpartition("/")[2].partition(".")[0]))
    near = list(
        dict.fromkeys(n for part in parts for n in get_close_matches(part, by_name, n=4, cutoff=0.6))
    )[:4]
    near += [n for n in by_name if wanted and wanted in n and n not in near][: 4 - len(near)]
    spelled = [m.by_default() for n in near for m in by_name[n]]
    where = f" in {backend}" if backend else ""
    hub = backend is None and ":" not in name and name.count("/") == 1
    return (
        f"unknown model {name!r}{where}. "
        + (f"Nearest: {', '.join(spelled[:6])}. " if spelled else "Nothing has a similar name. ")
        + (f"For a model on the Hub write hf-hub:{name}. " if hub else "")
        + f"Names are written {backends.usage()}; `imagenet-hard models PATTERN` searches them"
    )


def _all() -> list[ModelListing]:
    """The listing of the installed versions: from the cache, or made and cached."""
    path = cache_dir() / f"models-{_versions_hash()}.json"
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [ModelListing(b, n, tuple(t), (s[0], s[1])) for b, n, t, s in rows]
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError, IndexError) as error:
        log.debug("the cached listing %s is made anew: %s", path, error)
    models = [each for prefix, backend in backends.own().items() for each in _names(prefix, backend)]
    try:
        write_atomically(path, json.dumps([list(asdict(m).values()) for m in models]).encode())
    except ResultError as error:  # a read-only home: slower, but right
        log.debug("the listing cannot be cached: %s", error)
    return models


def _names(prefix: str, backend: Backend) -> list[ModelListing]:
    listed = backend.names() if backend.names else ()
    return [ModelListing(prefix, name, tuple(tags), size) for name, tags, size in listed]


def _installed(wanted: str | None) -> list[ModelListing]:
    """What installed packages list, unless another backend is ``wanted``; what fails is told and left out.

    Raises:
        UsageError: it is the very one that is wanted.
    """
    found = []
    for prefix, extension in backends.installed().items():
        if wanted not in (None, prefix):
            continue
        try:
            found += _names(prefix, backends.of_extension(extension))
        except Exception as error:  # whatever foreign code throws
            if wanted:
                raise UsageError(f"the models of {extension.origin} cannot be listed: {error}") from error
            log.warning("the models of the installed package %s are not listed: %s", extension.origin, error)
    return found


def _versions_hash() -> str:
    found = []
    packages = dict.fromkeys(name for each in backends.own().values() for name in each.packages)
    for package in ("imagenet-hard", *packages):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:  # run from a checkout that is not installed
            found.append(package)
    return hashlib.sha256(f"{FORMAT} {found}".encode()).hexdigest()[:16]


def _matching(model: ModelListing, pattern: str | None) -> ModelListing | None:
    if not pattern:
        return model
    wanted = pattern.lower()
    glob = any(c in wanted for c in "*?[")

    def matches(text: str) -> bool:
        return fnmatchcase(text.lower(), wanted) if glob else wanted in text.lower()

    if matches(model.name) or matches(model.spelled()):
        return model
    tags = tuple(t for t in model.tags if matches(t) or any(matches(s) for s in _spellings(model, t)))
    return replace(model, tags=tags) if tags else None


def _spellings(model: ModelListing, tag: str) -> tuple[str, ...]:
    full = model.spelled(tag)
    return full, full.partition(":")[2]
