"""Where the content folders are: in the wheel or in the checkout.

Recipes, suites and published tables are what people change by pull request. They lie in
top-level folders of the checkout and travel in the wheel under ``imagenet_hard/content/``.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from imagenet_hard.base.errors import ImageNetHardError, UsageError

_PACKAGE = Path(__file__).resolve().parents[1]


def content_dir(kind: str) -> Path:
    """The folder of ``kind``, a path as in the checkout: ``evaluate/suites``, ``curation/recipes``, ...

    Raises:
        UsageError: ``kind`` is no relative path, or leads out of the project.
        ImageNetHardError: neither the installed package nor a checkout has the folder.
    """
    parts = PurePosixPath(kind).parts
    if not parts or PurePosixPath(kind).is_absolute() or ".." in parts:
        raise UsageError(
            f"no content folder: got {kind!r}, expected a relative path such as 'evaluate/suites'"
        )
    candidates = [_PACKAGE.joinpath("content", *parts)]
    # Beside an installed package lie other packages (Hugging Face's `evaluate`): only a checkout counts.
    if (_PACKAGE.parent / "pyproject.toml").is_file():
        candidates.append(_PACKAGE.parent.joinpath(*parts))
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise ImageNetHardError(
        f"the content folder {kind!r} is missing: looked at {' and '.join(map(str, candidates))}. "
        "Install the package again (its wheel carries the folder), or run from a whole checkout."
    )
