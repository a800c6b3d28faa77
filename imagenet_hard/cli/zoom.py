"""``imagenet-hard zoom``: one image under every zoom of one model, as a page."""

from __future__ import annotations

import json
from pathlib import Path

import click

from imagenet_hard.cli.console import at_work
from imagenet_hard.cli.options import PATH, device_option, path_option

MAX_BYTES = 256 * 2**20
"""Of an image file."""


@click.command("zoom")
@click.argument("image", type=PATH)
@click.option("--model", "-m", required=True, help="As in `imagenet-hard eval`: any name of `models`.")
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="CLASS",
    help="What is right: an index, a wnid or a class name; may be repeated [default: nothing is judged].",
)
@path_option("--out", "-o", required=True, metavar="FILE", help="The page, an .html file.")
@click.option("--weights", metavar="TAG|FILE", help="Weights tag of the backend, or a local checkpoint.")
@click.option("--pretrained", metavar="TAG", help="Weights tag of an open_clip architecture, e.g. openai.")
@click.option("--templates", metavar="NAME|FILE", help="Prompts of zero-shot models.")
@click.option(
    "--size",
    type=click.IntRange(16, 2048),
    default=224,
    show_default=True,
    help="Side of the crops in pixels; the scales grow with it.",
)
@click.option("--exif", is_flag=True, help="Turn the image by its EXIF orientation first.")
@click.option("--batch-size", "-b", type=click.IntRange(min=1), help="Crops in a forward pass.")
@device_option
@click.option("--json", "as_json", is_flag=True, help="Print what every zoom says as JSON.")
def command(
    image: Path,
    model: str,
    labels: tuple[str, ...],
    out: Path,
    weights: str | None,
    pretrained: str | None,
    templates: str | None,
    size: int,
    exif: bool,
    batch_size: int | None,
    device: str,
    as_json: bool,
) -> int:
    """Show where in IMAGE a model is right: a page with the map of 36 scales x 9 anchors.

    The crops and the predictions are those of the zoom study. The page is one file that loads nothing.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise click.UsageError(f"--out {out}: expected the name of an .html file")
    from imagenet_hard.base.errors import ImageError
    from imagenet_hard.base.files import read_bounded
    from imagenet_hard.imagenet.mask import class_index

    found = sorted({class_index(each, "--label") for each in labels})
    data = read_bounded(image, MAX_BYTES, error=ImageError)
    from imagenet_hard.curation.recipe import ClassifierSpec
    from imagenet_hard.curation.score.classifiers import load_zoom_classifier
    from imagenet_hard.dataset.decode import decode
    from imagenet_hard.engine.settings import RunSettings
    from imagenet_hard.imagenet.zoom import PAPER_SIZE, ZoomGrid
    from imagenet_hard.study.zoom_map import zoom_map
    from imagenet_hard.study.zoom_page import write_zoom_page

    decode(data, id=image.name)  # before a model is loaded
    spec = ClassifierSpec(
        model=model,
        normalization="native",
        weights=weights,
        pretrained=pretrained,
        templates=templates,
        size=size,
    )
    grid = ZoomGrid() if size == PAPER_SIZE else ZoomGrid.for_size(size)
    with at_work():
        classifier = load_zoom_classifier(spec, grid, device)
        settings = RunSettings(device=device, batch_size=batch_size)
        seen = zoom_map(classifier, data, found, settings, id=image.name, exif=exif)
    write_zoom_page(out, seen, classifier.model.spec, image.name)
    best = grid[seen.best]
    if as_json:
        zooms = [
            {
                "scale": zoom.scale,
                "row": zoom.row,
                "column": zoom.column,
                "predicted": int(seen.predicted[i]),
                "confidence": float(seen.confidence[i]),
                **({"right": bool(seen.right[i])} if found else {}),
            }
            for i, zoom in enumerate(grid)
        ]
        value = {"page": str(out), "labels": found, "best": seen.best, "zooms": zooms}
        click.echo(json.dumps(value, indent=1))
        return 0
    if found:
        click.echo(f"{int(seen.right.sum())} of {len(grid)} zooms are right; best: {best}", err=True)
    else:
        click.echo(f"surest: {best}", err=True)
    click.echo(out)
    return 0
