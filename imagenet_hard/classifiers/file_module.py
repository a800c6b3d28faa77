"""A Python file as a module: ``./file.py:build``, with the files beside it at hand.

Each time it is read afresh, and so are the files of its folder that it imports: two folders may each
have a ``net.py``, and a file may have changed since. Workers elsewhere get these modules by value.
"""

from __future__ import annotations

import hashlib
import re
import sys
from difflib import get_close_matches
from importlib import invalidate_caches
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.base.text import reason

_NAME = re.compile(r"(?P<file>.+\.py):(?P<attribute>[A-Za-z_][\w.]*)", re.DOTALL)

_folders: set[Path] = set()
_before: set[str] = set()
"""Names of the modules that were there before the first file: they are not read again."""


def split(name: str) -> tuple[str, str] | None:
    """File and attribute of ``FILE.py:attribute``, or None for another name.

    >>> split("C:/my models/net.py:build")
    ('C:/my models/net.py', 'build')
    >>> split("package.module:build")
    """
    found = _NAME.fullmatch(name)
    return (found["file"], found["attribute"]) if found else None


def import_file(file: str) -> ModuleType:
    """The module that the file is.

    Raises:
        ClassifierError: for a file that is not there or fails.
    """
    path = Path(file).expanduser().resolve()
    if not path.is_file():
        folder = path.parent
        near = get_close_matches(path.name, [p.name for p in folder.glob("*.py")], 3)
        hint = f": did you mean {', '.join(near)}?" if near else ""
        raise ClassifierError(f"there is no file {path.name} in {folder}{hint}")
    if not _folders:
        _before.update(sys.modules)
    for module in file_modules():
        del sys.modules[module.__name__]
    _folders.add(path.parent)
    invalidate_caches()
    here = str(path.parent)
    sys.path[:] = [here, *(entry for entry in sys.path if entry != here)]
    name = _module_name(path)
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a script that parses the command line ends so
        del sys.modules[name]
        line = getattr(error, "lineno", None)
        raise ClassifierError(
            f"importing {file} failed: {reason(error)}" + (f", line {line}" if line else "")
        ) from error
    return module


def file_modules() -> list[ModuleType]:
    """The modules that were imported from files, and from their folders since then."""
    return [
        module
        for name, module in list(sys.modules.items() if _folders else ())
        if name not in _before and isinstance(module, ModuleType) and _is_ours(name, module)
    ]


def _is_ours(name: str, module: ModuleType) -> bool:
    """Whether a module is one of the files, or was found in one of their folders (and not below it)."""
    # Not by getattr: that makes lazy modules import something.
    place, top = Path(vars(module).get("__file__") or ""), name.partition(".")[0]
    if place.suffix != ".py" or top == __name__.partition(".")[0]:
        return False
    if name == _module_name(place):
        return place.parent in _folders
    return any(
        place.is_relative_to(each) and place.relative_to(each).parts[0].removesuffix(".py") == top
        for each in _folders
    )


def _module_name(path: Path) -> str:
    """A name of its own: the file may be called as an installed module is, or as one of another folder."""
    return f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
