"""Load a benchmark by name, from a folder, or from the Hub."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from imagenet_hard.base.errors import DatasetError, UsageError
from imagenet_hard.dataset.benchmark import Benchmark, Source
from imagenet_hard.dataset.files import File, did_you_mean, images_among, read_file, state, walk
from imagenet_hard.dataset.labels import parse_label
from imagenet_hard.dataset.left_out import told

log = logging.getLogger(__name__)

HUB_NAMES: Mapping[str, str] = {
    "imagenet-hard": "taesiri/imagenet-hard",
    "imagenet-hard-4k": "taesiri/imagenet-hard-4K",
}
"""Our names -> Hub ids."""

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def load_dataset(
    name: Any,
    *,
    revision: str | None = None,
    split: str | None = None,
    streaming: bool = False,
    labels: str | os.PathLike[str] | None = None,
    exif: bool = False,
    token: str | bool | None = None,
    quiet: bool = False,
) -> Benchmark:
    """Labelled images, ready to be scored.

    ``name``: "imagenet-hard", "imagenet-hard-4k", "sample" (20 images, offline), a folder, or any
    Hub id OWNER/NAME. As in ``datasets``, a local folder of the name comes before the Hub. Or data that a
    program holds: a torchvision ``ImageFolder``, a ``datasets.Dataset`` or ``DatasetDict``, a sequence of
    (image, label); see ``dataset.objects``.
    ``revision``: branch, tag or commit on the Hub. ``split``: default "validation", else the only
    one. ``streaming``: read rows as they arrive instead of storing them. ``labels``: a label file
    for a folder of images. ``exif``: turn images by their EXIF orientation (default: as the
    published numbers, not). ``token``: for the Hub; None takes the environment's. ``quiet``: do not
    log what was left out; ``counts`` of the benchmark say it in any case.

    Raises:
        DatasetError: missing, empty, without labels, or with labels outside 0..999.
        UsageError: an argument that does not go with this data set, or an unknown name.

    >>> load_dataset("imagenet-harder")
    Traceback (most recent call last):
    imagenet_hard.base.errors.UsageError: unknown data set 'imagenet-harder': expected imagenet-hard, \
imagenet-hard-4k, sample, an existing folder or a Hub id OWNER/NAME. Did you mean imagenet-hard?
    """
    if not isinstance(name, str | os.PathLike):
        from imagenet_hard.dataset.objects import from_object

        _refuse(f"a {type(name).__name__}", revision=revision, labels=labels)
        return from_object(name, split=split, exif=exif)
    text = os.fspath(name)
    repo = HUB_NAMES.get(text.lower(), text)
    if text == "sample":
        _refuse(text, revision=revision, split=split, labels=labels)
        return sample(exif=exif)
    for folder in dict.fromkeys((Path(text).expanduser(), Path(repo))):
        if text and folder.is_dir():
            if text.lower() in HUB_NAMES:
                log.warning("%s is read from the local folder %s, not from the Hub (%s)", text, folder, repo)
            _refuse(text, revision=revision)
            benchmark = _folder(folder, split=split, streaming=streaming, labels=labels, exif=exif, repo=repo)
            if not quiet:
                _report(benchmark)
            return benchmark
    if isinstance(name, str) and _HUB_ID.fullmatch(repo) and not Path(text).is_file():
        from imagenet_hard.dataset.hub import hub_dataset

        near = "" if text.lower() in HUB_NAMES else did_you_mean(Path(text))
        _refuse(text, near, labels=labels)
        ours = {hub_id.lower(): ours for ours, hub_id in HUB_NAMES.items()}
        try:
            return hub_dataset(
                repo,
                name=ours.get(repo.lower(), repo),
                revision=revision,
                split=split,
                streaming=streaming,
                exif=exif,
                token=token,
            )
        except DatasetError as error:
            if near:
                raise DatasetError(f"{str(error).rstrip('.')}.{near}") from error
            raise
    raise _unknown(text)


def load_images(name: str | os.PathLike[str], *, token: str | bool | None = None) -> Benchmark:
    """As ``load_dataset``, but of a folder of plain images all that are there, without any labels.

    Raises:
        DatasetError: missing, empty, or a data set with labels that are not understood.
        UsageError: an unknown name.
    """
    folder = Path(name).expanduser()
    if os.fspath(name) == "sample" or not folder.is_dir():
        return load_dataset(name, token=token)
    files = walk(folder)
    if (stored := _stored(folder, files, split=None, streaming=False, labels=None, exif=False)) is not None:
        return stored
    images, _ = images_among(files)
    if not images:
        raise DatasetError(f"no image in {folder}")
    about = Source(folder.resolve().name, "folder", state=state(images))
    read = partial(read_file, [file.path for file in images])
    return Benchmark(about, [file.id for file in images], [()] * len(images), [""] * len(images), read)


def _folder(
    folder: Path,
    *,
    split: str | None,
    streaming: bool,
    labels: str | os.PathLike[str] | None,
    exif: bool,
    repo: str,
) -> Benchmark:
    from imagenet_hard.dataset.folder import image_folder

    files = walk(folder)
    stored = _stored(folder, files, split=split, streaming=streaming, labels=labels, exif=exif)
    if stored is not None:
        return stored
    _refuse(f"{folder} (a folder of images)", split=split)
    try:
        return image_folder(folder, files, labels=None if labels is None else Path(labels), exif=exif)
    except DatasetError as error:
        if repo in HUB_NAMES.values():
            raise DatasetError(
                f"{error}. This local folder hides the Hub's data set of the same name: for that one run "
                f"from another folder, or give its id {repo}"
            ) from None
        raise


def _stored(
    folder: Path,
    files: Sequence[File],
    *,
    split: str | None,
    streaming: bool,
    labels: str | os.PathLike[str] | None,
    exif: bool,
) -> Benchmark | None:
    """What a program stored in the folder as a data set; None where it holds plain files."""
    from imagenet_hard.dataset.built import built_folder, is_built, is_saved, saved_folder
    from imagenet_hard.dataset.webdataset import is_sharded, sharded_folder

    own = [file for file in files if not file.system]
    if is_saved(own):
        _refuse(str(folder), labels=labels)
        return saved_folder(folder, own, split=split, exif=exif)
    if is_built(folder, files):
        _refuse(str(folder), labels=labels)
        return built_folder(folder, files, split=split, streaming=streaming, exif=exif)
    if is_sharded(own):
        _refuse(str(folder), labels=labels)
        return sharded_folder(folder, own, split=split, exif=exif)
    return None


def _report(benchmark: Benchmark) -> None:
    """Say how a folder was read, and what is left out of it."""
    if said := [*benchmark.about.notes, *told(benchmark.counts)]:
        log.warning("%s holds %s labelled images; %s", benchmark.name, f"{len(benchmark):,}", "; ".join(said))


def _refuse(name: str, near: str = "", **arguments: object) -> None:
    for argument, value in arguments.items():
        if value is not None:
            meant = {
                "revision": "a data set on the Hub",
                "split": "a built data set",
                "labels": "a folder of images",
            }
            raise UsageError(
                f"{argument}={str(value)!r} does not go with {name}: it is for {meant[argument]}"
                f"{near and '.' + near}"
            )


def _unknown(text: str) -> UsageError:
    if Path(text).is_file():
        return UsageError(f"the data set {text!r} is a file: expected the folder that holds it")
    known = [*HUB_NAMES, "sample"]
    name = get_close_matches(text.lower(), known, n=1)
    near = f" Did you mean {name[0]}?" if name else did_you_mean(Path(text))
    return UsageError(
        f"unknown data set {text!r}: expected {', '.join(known)}, an existing folder or a Hub id OWNER/NAME."
        f"{near}"
    )


N_SAMPLE = 20
_SAMPLE_FILE = re.compile(r"imagenet_\d\d_(\d{1,3})\.(jpg|png)")


def sample(*, exif: bool = False) -> Benchmark:
    """The 20 images; the labels are in their file names. foolbox is located, not imported.

    Raises:
        DatasetError: foolbox is not installed, or has other images than expected.
    """
    spec = find_spec("foolbox")
    if spec is None or not spec.submodule_search_locations:
        raise DatasetError(
            f"the data set 'sample' is the {N_SAMPLE} ImageNet images in the foolbox package, which is not "
            'installed: pip install "imagenet-hard[demo]"'
        )
    folder = Path(spec.submodule_search_locations[0]) / "data"
    files = [file for file in walk(folder) if _SAMPLE_FILE.fullmatch(file.id)] if folder.is_dir() else []
    if len(files) != N_SAMPLE:
        raise DatasetError(
            f"the data set 'sample' is incomplete: got {len(files)} images in the foolbox package, expected "
            f'{N_SAMPLE}. Install it again: pip install --force-reinstall "foolbox>=3.3"'
        )
    labels = [(parse_label(_SAMPLE_FILE.sub(r"\1", file.id), file.id),) for file in files]
    about = Source("sample", "package", exif=exif, state=state(files))
    return Benchmark(
        about, [f.id for f in files], labels, [""] * len(files), partial(read_file, [f.path for f in files])
    )
