"""Real images laid out as people have the variants: links into ``shared/data``, and a few made files."""

from __future__ import annotations

import json
from pathlib import Path

from imagenet_hard.curation.sources.imagenet_c import corrupt
from imagenet_hard.imagenet.classes import objectnet_classes, wnid_to_index, wnids
from imagenet_hard.imagenet.variants import MASKS

CORRUPTIONS = ("fog", "impulse_noise")


def lay_out(shared: Path, root: Path, *, each: int = 40) -> None:
    """All eight variants below ``root``, as the recipe imagenet-hard-lite expects them.

    ``imagenet-val`` (flat, 867 images) with ``val.txt`` and ``real.json``; ``imagenet-v2`` (numbered),
    ``imagenet-a`` and ``imagenet-r`` (their wnids), each of up to ``each`` different sample images;
    ``imagenet-c`` made of ten others; ``imagenet-sketch`` and ``objectnet`` with all there is.
    """
    data = shared / "data"
    root.mkdir(parents=True, exist_ok=True)
    (root / "imagenet-val").symlink_to(data / "imagenet-val/images")
    for name in ("val.txt", "real.json"):
        (root / name).symlink_to(data / "labels" / name)
    (root / "imagenet-sketch").symlink_to(data / "sketch-crops")
    samples = {path.name[:9]: path for path in sorted((data / "imagenet-samples").iterdir())}
    for variant in ("imagenet-a", "imagenet-r"):
        for wnid in [wnids()[c] for c in sorted(MASKS[variant]()) if wnids()[c] in samples][:each]:
            path = samples.pop(wnid)
            _link(root / variant / wnid / path.name, path)
    rest = iter(samples.items())
    for _ in range(each):
        wnid, path = next(rest)
        _link(root / "imagenet-v2" / str(wnid_to_index()[wnid]) / path.name, path)
    for _ in range(10):
        wnid, path = next(rest)
        for corruption in CORRUPTIONS:
            target = root / "imagenet-c" / corruption / "3" / wnid / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(corrupt(path.read_bytes(), corruption, 3, path.name))
    _lay_out_objectnet(data / "objectnet", root / "objectnet")


def lay_out_by_wnid(shared: Path, folder: Path) -> None:
    """The validation images in wnid folders."""
    labels = dict(line.split() for line in (shared / "data/labels/val.txt").read_text().splitlines())
    for path in (shared / "data/imagenet-val/images").iterdir():
        _link(folder / wnids()[int(labels[path.name])] / path.name, path)


def _lay_out_objectnet(data: Path, folder: Path) -> None:
    answers = json.loads((data / "answers.json").read_text())
    by_number = {c.id: c.folder for c in objectnet_classes()}
    for name, number in answers.items():
        target = by_number.get(number, f"unmapped_{number}")
        _link(folder / target / name, data / "images" / name)


def _link(target: Path, source: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(source)
