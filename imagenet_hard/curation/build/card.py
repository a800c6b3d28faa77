"""The card of a built data set: README.md with front matter, and the distribution as a picture."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.runtime import __version__, content_dir
from imagenet_hard.curation.build.selection import SelectedRows
from imagenet_hard.curation.build.shards import SPLIT, features
from imagenet_hard.curation.recipe import Recipe
from imagenet_hard.curation.records import ScoreSummary
from imagenet_hard.dataset.exif import worth
from imagenet_hard.dataset.versions import Versions
from imagenet_hard.hub.evaluation import benchmark_yaml, task_id

TEMPLATE = "card.md.jinja"
LICENCES = "LICENSE.md"
IMAGENET = "ILSVRC/imagenet-1k"
_OF_IMAGENET = ("validation", "relabelled", "corruptions")
"""Layouts of the variants whose images are ImageNet's own."""

_LINK = re.compile(r"https?://\S+|LICENSE(\.md)?")
PICTURE = "distribution.svg"
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**12, "1M<n<10M"),
)


def render(
    recipe: Recipe,
    recipe_text: str,
    summary: ScoreSummary,
    selection: SelectedRows,
    notes: Mapping[str, Sequence[str]],
    shards: Sequence[str],
    image_bytes: int,
    turned: Sequence[str] = (),
    chain: Versions | None = None,
) -> str:
    """The whole README.md.

    ``notes``: source id -> what was seen and left out when it was read. ``turned``: ids of images with an
    EXIF orientation. ``chain``: the versions, where there are several.

    Raises:
        UsageError: the recipe's ``licence_link`` is none that the Hub takes.
    """
    from huggingface_hub import DatasetCard

    path = content_dir("curation/templates") / TEMPLATE
    card = DatasetCard.from_template(
        front_matter(recipe, len(selection.rows), shards, image_bytes),
        template_str=path.read_text(encoding="utf-8"),
        recipe=recipe,
        output=recipe.output,
        recipe_text=recipe_text,
        fence=_fence(recipe_text),
        summary=summary,
        selection=selection,
        notes={name: lines for name, lines in notes.items() if lines},
        n=len(selection.rows),
        by_origin=by_origin(recipe, selection),
        n_zooms=len(recipe.grid()),
        picture=PICTURE,
        licences=LICENCES,
        turned=worth(turned, len(selection.rows)) if turned else "",
        chain=chain.versions if chain else (),
        version=__version__,
        cell=cell,
    )
    return str(card) + ("" if str(card).endswith("\n") else "\n")


def front_matter(recipe: Recipe, n: int, shards: Sequence[str], image_bytes: int) -> Any:
    """The YAML that ``datasets`` and the Hub read: files by their exact names, features, licence."""
    from datasets import DatasetInfo, SplitDict, SplitInfo
    from datasets.info import DatasetInfosDict
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCardData

    output = recipe.output
    data = DatasetCardData(
        language=["en"],
        license="other",
        license_name=output.licence_name,
        license_link=_licence_link(recipe),
        pretty_name=output.title,
        size_categories=[next(name for limit, name in _SIZES if n < limit)],
        task_categories=["image-classification"],
        annotations_creators=["found"],
        task_ids=["multi-label-image-classification"],
        source_datasets=_source_datasets(recipe) or None,
        tags=["imagenet", "robustness", "hard-examples", "zoom"],
    )
    splits = SplitDict()
    splits.add(SplitInfo(SPLIT, num_bytes=image_bytes, num_examples=n))
    info = DatasetInfo(features=features(), splits=splits, dataset_size=image_bytes)
    DatasetInfosDict({"default": info}).to_dataset_card_data(data)
    MetadataConfigs(
        {"default": {"data_files": [{"split": SPLIT, "path": list(shards)}], "version": recipe.version}}
    ).to_dataset_card_data(data)
    return data


def licences(recipe: Recipe) -> str:
    """The text of LICENSE.md: whose terms the images are under, source by source."""
    lines = [
        f"- {cell(each.id)}: {cell(each.licence)}" + (f" ({each.url})" if each.url else "")
        for each in recipe.sources
    ]
    link = recipe.output.licence_link
    return "\n".join(
        (
            f"# Licences of {escape(recipe.output.title)}",
            "",
            "Each image keeps the licence or terms of its source. They are collected here for research.",
            "",
            *lines,
            *(("", f"Terms of the collection: {link}") if link else ()),
            "",
        )
    )


def evaluation(recipe: Recipe, framework: str) -> str:
    """The text of ``eval.yaml``, which makes the data set a benchmark of the Hub."""
    output = recipe.output
    description = output.summary or recipe.description or output.title
    return benchmark_yaml(
        output.title, " ".join(description.split()), framework, task=task_id(output.name), split=SPLIT
    )


def _licence_link(recipe: Recipe) -> str:
    link = recipe.output.licence_link or LICENCES
    if not _LINK.fullmatch(link):
        raise UsageError(
            f"output.licence_link of the recipe {recipe.name} is {link!r}, which the Hub refuses: expected "
            f"an https address, or nothing for {LICENCES}, which a build writes"
        )
    return link


def _source_datasets(recipe: Recipe) -> list[str]:
    """Ids on the Hub: where sources were read, and ImageNet's where the images are its own."""
    found = [each.hub or (IMAGENET if each.layout in _OF_IMAGENET else "") for each in recipe.sources]
    return [each for each in dict.fromkeys(found) if each]


def by_origin(recipe: Recipe, selection: SelectedRows) -> dict[str, int]:
    """Images from each source, in the recipe's order."""
    counts = {source.id: 0 for source in recipe.sources}
    for row in selection.rows:
        counts[row.source] += 1
    return counts


def distribution_svg(counts: Mapping[str, int], title: str) -> str:
    """Bars of images by origin, with numbers and shares; the same text for the same counts."""
    total = sum(counts.values())
    row, left = 30, 30 + 8 * max(15, *map(len, counts))  # names may have 96 letters, of about 8 pixels
    width = left + 610
    height = 50 + row * len(counts)
    most = max(counts.values())
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="14" role="img">',
        f"<title>{escape(title)}: images by origin</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        '<text x="16" y="28" font-size="16" font-weight="600" fill="#1f2933">'
        f"{escape(title)}: {total:,} images by origin</text>",
    ]
    for number, (name, n) in enumerate(counts.items()):
        y = 46 + row * number
        length = round((width - left - 130) * n / most, 1)
        parts.append(
            f'<text x="{left - 10}" y="{y + 17}" text-anchor="end" fill="#1f2933">{escape(name)}</text>'
            f'<rect x="{left}" y="{y}" width="{length}" height="{row - 8}" rx="2" fill="#2563a8"/>'
            f'<text x="{left + length + 8}" y="{y + 17}" fill="#52606d">'
            f"{n:,} ({100 * n / total:.1f} %)</text>"
        )
    return "\n".join([*parts, "</svg>", ""])


def cell(text: object) -> str:
    """Text inside of a Markdown table: no pipes, no line breaks, no HTML."""
    return " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def _fence(text: str) -> str:
    """Backticks enough that the quoted recipe cannot end its block."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    return "`" * max(3, longest + 1)
