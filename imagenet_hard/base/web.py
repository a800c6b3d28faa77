"""HTML pages: the one maker of templates, data and code inside a page, the libraries that travel with it.

Pages load nothing from elsewhere. A template escapes what it is given; an unknown name in it is an error.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any

from imagenet_hard.base import text

if TYPE_CHECKING:
    import jinja2

_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}
_FONT = "vendor/archivo.woff2"


@cache
def templates(package: str, **filters: Callable[..., Any]) -> jinja2.Environment:
    """The templates of a package's folder ``templates``; filters: the numbers of ``base.text``, and more."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader(package, "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    numbers = (text.pct, text.pct1, text.span, text.signed, text.points, text.count, text.size)
    for each in (*numbers, text.counted, text.printable):
        made.filters[each.__name__] = each
    made.filters.update(filters)
    return made


def json_text(value: Any) -> str:
    """Compact JSON without any character that could end a script or a string.

    >>> json_text({"a": "</script>"})
    '{"a":"\\\\u003c/script\\\\u003e"}'
    """
    written = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # These occur inside JSON strings only, where an escape means the same character.
    return written.translate(_ESCAPES).encode("utf-8", "replace").decode()


@dataclass(frozen=True)
class Inline:
    """A script or a style sheet inside the page."""

    code: str

    @property
    def source(self) -> str:
        """The hash by which the page's security policy allows it."""
        digest = hashlib.sha256(self.code.encode()).digest()
        return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def inline_policy(style: Inline, *scripts: Inline) -> str:
    """The Content-Security-Policy of a page in one file: it loads nothing and runs no other code."""
    return (
        f"default-src 'none'; script-src {' '.join(each.source for each in scripts)}; "
        f"style-src {style.source}; img-src data:; font-src data:; base-uri 'none'; form-action 'none'"
    )


def data_url(kind: str, data: bytes) -> str:
    """A file inside the page. ``kind``: its type, such as "image/jpeg"."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def static_text(name: str, package: str = "imagenet_hard.base") -> str:
    """A text file in the folder ``static`` of ``package``: a script, a style sheet, a licence."""
    return _static(package).joinpath(name).read_text("utf-8")


def style_with_font() -> str:
    """The style sheet of all pages with its font inside."""
    font = data_url("font/woff2", _static("imagenet_hard.base").joinpath(_FONT).read_bytes())
    return static_text("css/site.css").replace(f"../{_FONT}", font)


def static_files(package: str = "imagenet_hard.base") -> Iterator[tuple[str, bytes]]:
    """Every file below the folder ``static`` of ``package`` as (path from there, bytes)."""

    def walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
        for item in sorted(folder.iterdir(), key=lambda each: each.name):
            if item.is_dir():
                yield from walk(item, f"{prefix}{item.name}/")
            else:
                yield f"{prefix}{item.name}", item.read_bytes()

    yield from walk(_static(package), "")


def vendored() -> list[dict[str, Any]]:
    """The libraries that travel with the pages: names, versions, licences and hashes (``vendor.json``)."""
    listed: list[dict[str, Any]] = json.loads(static_text("vendor/vendor.json"))
    return listed


def _static(package: str) -> Traversable:
    return files(package).joinpath("static")
