"""``sample``: the 20 labelled ImageNet images that the foolbox wheel carries, for offline use."""

from __future__ import annotations

import re
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.dataset.benchmark import Benchmark, Source
from imagenet_hard.dataset.files import read_file, state, walk
from imagenet_hard.dataset.labels import parse_label

N_SAMPLE = 20
_NAME = re.compile(r"imagenet_\d\d_(\d{1,3})\.(jpg|png)")


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
    files = [file for file in walk(folder) if _NAME.fullmatch(file.id)] if folder.is_dir() else []
    if len(files) != N_SAMPLE:
        raise DatasetError(
            f"the data set 'sample' is incomplete: got {len(files)} images in the foolbox package, expected "
            f'{N_SAMPLE}. Install it again: pip install --force-reinstall "foolbox>=3.3"'
        )
    labels = [(parse_label(_NAME.sub(r"\1", file.id), file.id),) for file in files]
    about = Source("sample", "package", exif=exif, state=state(files))
    return Benchmark(
        about, [f.id for f in files], labels, [""] * len(files), partial(read_file, [f.path for f in files])
    )
