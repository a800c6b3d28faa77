"""How `make docs` builds the site of these pages.

Sphinx, since it is kept and reads docstrings, the commands' help and Markdown alike.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

import imagenet_hard

project = "imagenet-hard"
copyright = "the imagenet-hard maintainers"  # the name that Sphinx asks for
version = release = imagenet_hard.__version__

extensions = [
    "myst_parser",  # the pages are Markdown, which people also read in the repository
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",  # the docstrings' "Raises:"
    "sphinx_click",
    "sphinx_copybutton",
]
html_extra_path = ["result.schema.json"]

myst_heading_anchors = 3
smartquotes = False  # or --option gets a dash

autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_google_docstring = True

html_theme = "furo"
html_title = "imagenet-hard"
# Nothing is asked of another site: no fonts, no analytics. The system's fonts are read best anyhow.
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5cad", "color-brand-content": "#0b5cad"},
    "dark_css_variables": {"color-brand-primary": "#7ab8ff", "color-brand-content": "#7ab8ff"},
}
html_show_sphinx = False
html_copy_source = False
copybutton_prompt_text = "$ "


def setup(app: Sphinx) -> None:
    """Mend what keeps people from reading with a screen reader or a keyboard."""
    mends = {
        'role="heading">': 'role="heading" aria-level="2">',  # the captions of the contents
        "<pre>": '<pre tabindex="0">',  # code that is wider than its block is scrolled with the arrows
        '<div class="table-wrapper': '<div tabindex="0" class="table-wrapper',
    }

    def mend(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
        for part in ("body", "furo_navigation_tree"):
            for old, new in mends.items():
                if part in context:
                    context[part] = context[part].replace(old, new)

    app.connect("html-page-context", mend, priority=900)  # after the theme's own
