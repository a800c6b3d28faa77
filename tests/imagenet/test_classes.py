"""The classes and masks equal those of timm, open_clip and the released label files."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from imagenet_hard.base.errors import ImageNetHardError, UsageError
from imagenet_hard.imagenet import classes, variants


def timm_info(name: str) -> list[str]:
    """The lines of a file that timm ships."""
    spec = find_spec("timm")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("timm is not installed")
    return (Path(spec.submodule_search_locations[0]) / "data" / "_info" / name).read_text().split()


def test_there_are_1000_sorted_wnids() -> None:
    """Index = place in sorted order, and the look-up is the inverse."""
    wnids = classes.wnids()
    assert len(wnids) == len(set(wnids)) == 1000
    assert list(wnids) == sorted(wnids)
    assert all(classes.wnid_to_index()[wnid] == index for index, wnid in enumerate(wnids))


def test_two_pairs_of_classes_share_a_name() -> None:
    """1000 names, 998 different: "missile" and "sunglasses" stand twice (paper, evaluation)."""
    names = classes.names()
    assert len(names) == 1000
    assert len(set(names)) == 998
    assert (names[657], names[836]) == (names[744], names[837]) == ("missile", "sunglasses")


def test_wnids_equal_timm() -> None:
    """timm's list of synsets is an independent copy."""
    assert list(classes.wnids()) == timm_info("imagenet_synsets.txt")


@pytest.mark.parametrize("variant", ["imagenet-a", "imagenet-r"])
def test_masks_equal_timm(variant: str) -> None:
    """The 200 classes of -A and -R are timm's."""
    synsets = timm_info(f"{variant.replace('-', '_')}_synsets.txt")
    kept = np.flatnonzero(variants.mask(variant))
    assert [classes.wnids()[i] for i in kept] == synsets
    assert len(kept) == 200


def test_the_order_of_the_development_kit() -> None:
    """A permutation; the first images of the validation set and their ids are known from its ground truth."""
    order = classes.devkit_order()
    assert sorted(order) == list(range(1000))
    assert [order[id - 1] for id in (490, 361, 171, 822, 297)] == [65, 970, 230, 809, 516]
    assert (classes.wnids()[order[0]], classes.wnids()[order[999]]) == ("n02119789", "n03255030")


def test_names_equal_open_clip() -> None:
    """The names are open_clip's, to the letter and in its order."""
    open_clip = pytest.importorskip("open_clip")
    assert list(classes.names()) == list(open_clip.IMAGENET_CLASSNAMES)


def test_the_released_label_files_agree(shared: Path) -> None:
    """wnids, names and subsets equal the released lists."""
    labels = shared / "data" / "labels"
    assert list(classes.wnids()) == (labels / "imagenet1k_wnids.txt").read_text().split()
    assert list(classes.names()) == json.loads((labels / "openai_clip_notebook_classnames.json").read_text())
    for variant in ("a", "r"):
        synsets = (labels / f"imagenet_{variant}_synsets.txt").read_text().split()
        assert [classes.wnids()[i] for i in np.flatnonzero(variants.mask(f"imagenet-{variant}"))] == synsets


def test_objectnet_maps_113_classes_to_125() -> None:
    """113 classes, 125 ImageNet ids, nine of the classes one-to-many, no id used twice."""
    mapped = classes.objectnet_classes()
    assert len(mapped) == len({c.id for c in mapped}) == len({c.folder for c in mapped}) == 113
    assert sum(len(c.indices) for c in mapped) == len(classes.imagenet_to_objectnet()) == 125
    assert sum(len(c.indices) > 1 for c in mapped) == 9
    assert int(variants.mask("objectnet").sum()) == 125
    chair = next(c for c in mapped if c.name == "Chair")
    assert [classes.names()[i] for i in chair.indices] == ["barber chair", "folding chair", "rocking chair"]


def test_objectnet_agrees_with_the_released_mapping(shared: Path) -> None:
    """Ids, folders and names equal the files of the ObjectNet template and of wise-ft."""
    objectnet = shared / "data" / "objectnet"
    released = json.loads((objectnet / "imagenet_pytorch_id_to_objectnet_id.json").read_text())
    assert dict(classes.imagenet_to_objectnet()) == {int(k): v for k, v in released.items()}
    folders = json.loads((objectnet / "folder_to_objectnet_label.json").read_text())
    assert all(folders[c.folder] == c.name for c in classes.objectnet_classes())
    by_name = json.loads((objectnet / "objectnet_to_imagenet_1k.json").read_text())
    assert {c.name: len(c.indices) for c in classes.objectnet_classes()} == {
        name: len(targets.split(";")) for name, targets in by_name.items()
    }
    # ObjectNet numbers its 313 classes by their sorted names.
    assert all(sorted(folders.values())[c.id] == c.name for c in classes.objectnet_classes())


def test_a_mask_is_read_only_bool() -> None:
    """bool (1000,), cached, and nobody can write into the cache."""
    kept = variants.mask("imagenet-a")
    assert kept.dtype == np.bool_
    assert kept.shape == (1000,)
    with pytest.raises(ValueError, match="read-only"):
        kept[0] = True


def test_an_unknown_mask_lists_the_masks() -> None:
    """The message names what there is."""
    with pytest.raises(
        UsageError, match="unknown mask 'imagenet-z': expected one of imagenet-a, imagenet-r, objectnet"
    ):
        variants.mask("imagenet-z")


OF_VARIANTS = [each.args for each in variants.MASKS.values() if isinstance(each, partial)]


@pytest.mark.parametrize(("file", "sha256"), sorted([*classes._SHA256.items(), *OF_VARIANTS]))
def test_a_changed_data_file_is_refused(
    file: str, sha256: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One swapped character is found, other line ends are not an error, a missing file is named."""
    source = Path(classes.__file__).parent / "data" / file
    copy = tmp_path / "data" / file
    copy.parent.mkdir()
    monkeypatch.setattr(classes, "files", lambda _: tmp_path)
    with pytest.raises(ImageNetHardError, match=f"{file} is damaged: got it cannot be read"):
        classes.checked_lines(file, sha256)
    copy.write_bytes(source.read_bytes().replace(b"\n", b"\r\n"))
    assert classes.checked_lines(file, sha256) == source.read_text(encoding="utf-8").splitlines()
    data = source.read_bytes()
    copy.write_bytes(data[:-2] + b"?" + data[-1:])
    with pytest.raises(
        ImageNetHardError, match=rf"{file} is damaged: got sha256 .* expected .* Install the package"
    ):
        classes.checked_lines(file, sha256)


def test_the_classes_need_no_torch() -> None:
    """The leaderboard reads the classes, so they must not pull in torch."""
    code = (
        "import sys; from imagenet_hard.imagenet import classes, variants; classes.names();"
        "variants.mask('objectnet');"
        "sys.exit(any(m in sys.modules for m in ('torch', 'timm', 'open_clip', 'datasets')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
