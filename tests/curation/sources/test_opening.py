"""Sources: each layout that people have gives the same images under the same ids, and slips are named."""

from __future__ import annotations

import io
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from imagenet_hard.base.errors import DatasetError, ImageError, UsageError
from imagenet_hard.curation.recipe import Recipe, SourceSpec, load_recipe
from imagenet_hard.curation.sources import find_duplicates, open_source, open_sources, unwanted
from imagenet_hard.curation.sources.exclusions import explain_near_copies, image_sha256s, near_copies
from imagenet_hard.curation.sources.imagenet_c import corrupt, corruptions
from imagenet_hard.curation.sources.listing import Listing
from imagenet_hard.curation.sources.objectnet import unframed, without_border
from imagenet_hard.curation.sources.opening import spread
from imagenet_hard.dataset.decode import decode
from imagenet_hard.imagenet.classes import objectnet_classes, wnids
from imagenet_hard.imagenet.variants import MASKS, mask
from tests.curation.small import sha256
from tests.curation.variants import lay_out, lay_out_by_wnid
from tests.engine.small import jpeg

A = [wnids()[c] for c in sorted(MASKS["imagenet-a"]())]
R = [wnids()[c] for c in sorted(MASKS["imagenet-r"]())]
ROWS = st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["fog/1", "fog/2", "snow/1"])), max_size=60)


def put(path: Path, data: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data or jpeg(len(str(path))))
    return path


def opened(root: Path, **source: object):
    return open_source(SourceSpec.model_validate({"path": "images", **source}), root)


def validation(root: Path, n: int = 6, *, flat: bool = True) -> list[int]:
    """n validation images of classes 0, 7, 14, ...; their ground truth in val.txt."""
    classes = [7 * i for i in range(n)]
    for i, c in enumerate(classes, start=1):
        folder = root / "images" if flat else root / "images" / wnids()[c]
        put(folder / f"ILSVRC2012_val_{i:08d}.JPEG", jpeg(i))
    lines = [f"ILSVRC2012_val_{i:08d}.JPEG {c}" for i, c in enumerate(classes, start=1)]
    (root / "val.txt").write_text("\n".join(lines))
    return classes


def test_validation_images_have_one_id_in_every_layout(tmp_path):
    """Flat with ground truth, or in wnid folders: the same ids, labels and bytes."""
    classes = validation(tmp_path / "flat")
    validation(tmp_path / "tree", flat=False)
    flat = opened(tmp_path / "flat", variant="imagenet", labels="val.txt")
    tree = opened(tmp_path / "tree", variant="imagenet")

    def rows(source):
        return {(e.id, e.labels, e.origin, e.image) for e in source.images}

    assert rows(flat) == rows(tree)
    assert flat.images.ids[0] == "imagenet/ILSVRC2012_val_00000001"
    assert flat.images.labels == tuple((c,) for c in classes)
    assert flat.mask is None
    assert any("6 of 1000 classes have images; missing are n01443537" in note for note in flat.notes)


def test_v2_folders_are_numbers(tmp_path):
    """10 comes after 2, and is class 10."""
    for c in (0, 2, 10, 999):
        put(tmp_path / f"images/{c}/a.jpeg", jpeg(c))
    source = opened(tmp_path, variant="imagenet-v2")
    assert source.images.labels == ((0,), (2,), (10,), (999,))
    assert source.images.ids[2] == "imagenet-v2/10/a.jpeg"


def test_real_labels_alone_and_united(tmp_path):
    """A list by validation index; images without a label are left out of both, and counted."""
    validation(tmp_path, 4)
    (tmp_path / "real.json").write_text(json.dumps([[5, 3], [], [14], [800]]))
    alone = opened(tmp_path, variant="imagenet-real", labels="real.json")
    assert alone.images.labels == ((3, 5), (14,), (800,))
    assert "1 images are excluded by an empty label list" in alone.notes
    united = opened(tmp_path, variant="imagenet-real", labels="real.json", original_labels="val.txt")
    assert united.images.labels == ((0, 3, 5), (14,), (21, 800))
    assert "original labels were added to 2 of 3 images" in united.notes
    assert united.images.ids == alone.images.ids


def test_real_needs_an_original_label_for_each_image(tmp_path):
    """A ground truth that lacks images is no ground truth."""
    validation(tmp_path, 3)
    (tmp_path / "real.json").write_text(json.dumps([[1], [2], [3]]))
    (tmp_path / "val.txt").write_text("ILSVRC2012_val_00000001.JPEG 1\n")
    with pytest.raises(
        DatasetError, match=r"lacks the original label of 2 of 3 images \(first ILSVRC2012_val_0"
    ):
        opened(tmp_path, variant="imagenet-real", labels="real.json", original_labels="val.txt")


def test_what_was_read_by_content_or_left_out_is_noted(tmp_path, caplog):
    """In the notes, which plan and card show, and in no warning of every command."""
    validation(tmp_path, 2, flat=False)
    put(tmp_path / "images" / wnids()[0] / "other.jfif")
    put(tmp_path / "images" / wnids()[0] / "other.heic", b"x")
    put(tmp_path / "images" / wnids()[0] / "@eaDir" / "a" / "thumb.jpg")
    source = opened(tmp_path, variant="imagenet")
    assert len(source.images) == 3
    assert source.notes[:3] == (
        "1 files are images by their content (1 .jfif)",
        "1 images are hidden, or lie in system folders (thumbnails, trash)",
        "1 labelled files are no image that can be read (1 .heic)",
    )
    assert not caplog.records


@pytest.mark.parametrize(
    ("variant", "folder"), [("objectnet", "backpack"), ("imagenet-c", "fog/1/n01440764")]
)
def test_the_other_variants_note_it_too(tmp_path, variant, folder):
    """Each adapter lists its files itself."""
    for name in ("a.png", "@eaDir/a.png", "b.heic", "notes.txt"):
        put(tmp_path / "images" / folder / name, b"x")
    source = opened(tmp_path, variant=variant)
    assert len(source.images) == 1
    assert "1 images are hidden, or lie in system folders (thumbnails, trash)" in source.notes
    assert "1 labelled files are no image that can be read (1 .heic)" in source.notes


def test_mistyped_paths_of_a_recipe(tmp_path):
    """What is there under nearly the same name."""
    validation(tmp_path, 2)
    with pytest.raises(DatasetError, match=r"Did you mean .*/images\?"):
        opened(tmp_path, variant="imagenet", path="image")
    with pytest.raises(DatasetError, match=r"change `labels:` .*Did you mean .*/val\.txt\?"):
        opened(tmp_path, variant="imagenet", labels="vall.txt")


def test_the_200_classes_of_a_and_r_bring_their_mask(tmp_path):
    """Odd names and endings of the release are read; the mask is the variant's."""
    names = ["0.000116_digital clock _ digital clock_0.865662.jpg", "it's.JPEG", "b.jpeg", "c.JPG"]
    for wnid, name in zip(A, names, strict=False):
        put(tmp_path / "images" / wnid / name)
    source = opened(tmp_path, variant="imagenet-a")
    assert len(source.images) == 4
    np.testing.assert_array_equal(source.mask, mask("imagenet-a"))
    assert any("4 of 200 classes have images" in note for note in source.notes)


@pytest.mark.parametrize(
    ("variant", "files", "message"),
    [
        (
            "imagenet-a",
            [f"{w}/art_{i}.jpg" for i, w in enumerate(R)],
            "imagenet-a: .* does not look like imagenet-a.* It looks like ImageNet-R: 200 wnid folders of "
            "files such as art_0.jpg: set `variant: imagenet-r`",
        ),
        (
            "imagenet-r",
            [f"{w}/x.jpg" for w in A],
            "It looks like ImageNet-A: 200 wnid folders, just its classes",
        ),
        (
            "imagenet",
            [f"{w}/x.jpg" for w in R],
            "It looks like ImageNet-R: 200 wnid folders, just its classes",
        ),
        ("imagenet", [f"{wnids()[0]}/sketch_{i}.JPEG" for i in range(3)], "set `variant: imagenet-sketch`"),
        ("imagenet", ["0/a.jpeg", "17/b.jpeg"], "It looks like ImageNet-V2: 2 numbered folders"),
        ("imagenet-v2", [f"{wnids()[5]}/a.jpg"], "which has folders 0 to 999. It looks like 1 wnid folders"),
        (
            "imagenet-sketch",
            ["fog/3/n01440764/a.JPEG"],
            "It looks like ImageNet-C: wnid folders below others",
        ),
        ("imagenet-r", ["alarm_clock/a.png"], "It looks like ObjectNet: folders such as alarm_clock"),
        (
            "imagenet-c",
            ["n01440764/a.JPEG"],
            "does not look like imagenet-c, which has folders such as fog/3/",
        ),
        ("objectnet", ["n01440764/a.JPEG"], "no image of the 113 ObjectNet classes"),
        (
            "imagenet",
            ["a.JPEG", "b.JPEG"],
            "is a flat folder of images: give their ground truth with `labels:`",
        ),
        ("imagenet-a", ["cats/a.jpg"], "folders named cats, none of which is a class"),
        (
            "imagenet",
            ["train/n01440764/a.JPEG", "val/n01440764/b.JPEG"],
            "It looks like a folder of other folders \\(train, val\\) that hold wnid folders: give another",
        ),
        (
            "objectnet",
            ["a/alarm_clock/1.png", "b/alarm_clock/2.png"],
            "several sets of images: class folders in a/ .*, class folders in b/",
        ),
        (
            "objectnet",
            ["alarm_clock/1.png", "alarm_clock/small/1.png"],
            "images at different places in its class folders",
        ),
        ("imagenet", ["notes.txt"], "no image in .*: it holds 1 other files"),
    ],
)
def test_a_wrong_folder_is_named_as_what_it_looks_like(tmp_path, variant, files, message):
    """With what was expected, and what to change."""
    for file in files:
        put(tmp_path / "images" / file, b"x")
    with pytest.raises(DatasetError, match=message):
        opened(tmp_path, variant=variant)


def test_a_missing_folder_or_file_says_where_it_was_looked_for(tmp_path):
    """And which keys and options choose the place."""
    with pytest.raises(
        DatasetError, match=r"images does not exist: change `path:` in the recipe, or --data \(now"
    ):
        opened(tmp_path, variant="imagenet")
    put(tmp_path / "images/a.JPEG")
    with pytest.raises(DatasetError, match="val.txt does not exist: change `labels:` in the recipe"):
        opened(tmp_path, variant="imagenet", labels="val.txt")


def test_a_mask_that_does_not_fit(tmp_path):
    """Labels outside of the mask can never be right."""
    wnid = next(w for w in wnids() if w not in A)
    put(tmp_path / f"images/{wnid}/a.jpg")
    with pytest.raises(
        DatasetError, match=rf"the mask imagenet-a does not fit: 1 of 1 images .*\({wnid}; first"
    ):
        opened(tmp_path, variant="imagenet-sketch", mask="imagenet-a")


def test_all_broken_sources_are_named_at_once(tmp_path):
    """One message for all, not one a run."""
    put(tmp_path / "good/n01440764/a.jpg")
    recipe = Recipe.model_validate(
        {
            "name": "x",
            "version": "1.0.0",
            "classifiers": [{"model": "m"}],
            "sources": [
                {"variant": "imagenet", "path": "good"},
                {"variant": "imagenet-a", "path": "gone"},
                {"variant": "objectnet", "path": "gone"},
            ],
        }
    )
    with pytest.raises(
        DatasetError, match=r"2 of 3 sources cannot be opened:\n  imagenet-a: .*\n  objectnet: "
    ):
        open_sources(recipe, tmp_path)


@pytest.mark.parametrize(
    ("path", "inside"), [("images", "images"), ("images/fog", "images"), ("images/fog/3", "images")]
)
def test_imagenet_c_from_any_level(tmp_path, path, inside):
    """The whole tree, one corruption, or one severity of it: the same ids."""
    for corruption in ("fog", "snow"):
        for severity in (1, 3):
            put(tmp_path / inside / corruption / str(severity) / wnids()[4] / "ILSVRC2012_val_00000007.JPEG")
    source = opened(tmp_path, variant="imagenet-c", path=path, corruptions=["fog"], severities=[3])
    assert source.images.ids == ("imagenet-c/fog/3/ILSVRC2012_val_00000007",)
    assert source.images.labels == ((4,),)
    if path == "images":
        assert "3 images of other corruptions or severities are left out" in source.notes
        with pytest.raises(DatasetError, match="lacks frost: it has fog, snow"):
            opened(tmp_path, variant="imagenet-c", corruptions=["frost"])


def test_imagenet_c_made_on_the_fly(tmp_path):
    """From clean images: 224 pixel JPEGs, each once per corruption and severity."""
    validation(tmp_path, 2)
    source = opened(
        tmp_path,
        variant="imagenet-c",
        labels="val.txt",
        make=True,
        corruptions=["fog", "jpeg_compression"],
        severities=[1, 5],
    )
    assert source.images.ids[:2] == (
        "imagenet-c/fog/1/ILSVRC2012_val_00000001",
        "imagenet-c/fog/1/ILSVRC2012_val_00000002",
    )
    assert len(source.images) == 8
    image = Image.open(io.BytesIO(source.images[0].image))
    assert (image.format, image.size) == ("JPEG", (224, 224))
    validation(tmp_path / "tree", 2, flat=False)
    tree = opened(tmp_path / "tree", variant="imagenet-c", make=True, corruptions=["fog"], severities=[1])
    assert tree.images.ids == source.images.ids[:2]
    put(tmp_path / "other" / "cats" / "a.jpg")
    with pytest.raises(DatasetError, match="does not look like imagenet, which has 1000 wnid folders"):
        opened(tmp_path, variant="imagenet-c", path="other", make=True)
    with pytest.raises(DatasetError, match="unknown corruption mist: expected some of"):
        opened(tmp_path, variant="imagenet-c", labels="val.txt", make=True, corruptions=["mist"])


def test_corruptions_are_the_same_in_any_order_and_thread():
    """All of them, made twice: one after the other, and shuffled in threads."""
    clean = jpeg(3, (120, 90))
    jobs = [(name, severity) for name in corruptions() for severity in (1, 4)]
    first = {job: sha256(corrupt(clean, *job, "0/a")) for job in jobs}
    with ThreadPoolExecutor(4) as pool:
        again = dict(
            zip(
                jobs[::-1], pool.map(lambda job: sha256(corrupt(clean, *job, "0/a")), jobs[::-1]), strict=True
            )
        )
    assert again == first
    noise = "gaussian_noise", 3
    assert corrupt(clean, *noise, "0/a") != corrupt(clean, *noise, "1/a")  # another seed
    before = np.random.get_state()[1].copy()
    corrupt(clean, *noise, "0/a")
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_making_corruptions_needs_its_package(tmp_path, monkeypatch):
    """The message names the extra."""
    monkeypatch.setitem(__import__("sys").modules, "corrupt_tta", None)
    with pytest.raises(UsageError, match=r'pip install "imagenet-hard\[corruptions\]"'):
        corruptions()


def png(size: tuple[int, int], mode: str = "RGBA") -> bytes:
    out = io.BytesIO()
    image = Image.new(mode, size, (255, 0, 0, 255)[: len(mode)])
    image.paste((0, 128, 255, 255)[: len(mode)], (2, 2, size[0] - 2, size[1] - 2))
    image.save(out, "PNG")
    return out.getvalue()


def test_objectnet_folders_map_to_imagenet(tmp_path):
    """Mapped classes with one to three labels; the others are left out and counted; no red is left."""
    several = next(c for c in objectnet_classes() if len(c.indices) > 1)
    put(tmp_path / f"images/{several.folder}/a.png", png((20, 14)))
    put(tmp_path / "images/air_freshener/b.png", png((20, 14)))
    source = opened(tmp_path, variant="objectnet")
    assert source.images.labels == (several.indices,)
    assert "1 images of classes that ImageNet does not know are left out" in source.notes
    np.testing.assert_array_equal(source.mask, mask("objectnet"))
    pixels = np.asarray(Image.open(io.BytesIO(source.images[0].image)))
    assert pixels.shape == (10, 16, 3)
    assert (pixels == [0, 128, 255]).all()
    assert source.images[0].image == source.images[0].image


def test_objectnet_flat_with_its_numbers(tmp_path):
    """ObjectNet's own class numbers by file name."""
    put(tmp_path / "images/a.png", png((20, 14)))
    put(tmp_path / "images/b.png", png((20, 14)))
    table = {"a.png": objectnet_classes()[3].id, "b.png": 0}
    (tmp_path / "answers.json").write_text(json.dumps(table))
    source = opened(tmp_path, variant="objectnet", labels="answers.json", border=0)
    assert source.images.labels == (objectnet_classes()[3].indices,)
    assert source.images[0].image == png((20, 14))
    (tmp_path / "answers.json").write_text(json.dumps({"a.png": 1}))
    with pytest.raises(DatasetError, match=r"lacks 1 of 2 images \(first b.png\)"):
        opened(tmp_path, variant="objectnet", labels="answers.json")
    (tmp_path / "answers.json").write_text(json.dumps({"a.png": 999}))
    with pytest.raises(DatasetError, match="class numbers in 0..312"):
        opened(tmp_path, variant="objectnet", labels="answers.json")


def test_the_frame_is_cut_off_wherever_the_images_come_from():
    """From a data set on the Hub as from a folder, and it is said."""
    listing = Listing("hub", ["a", "b"], [(1,), (2,)], [png((20, 14)), png((9, 9))].__getitem__, "", ("x",))
    cut = unframed(listing, 2, exif=False)
    assert [Image.open(io.BytesIO(cut.read(i))).size for i in (0, 1)] == [(16, 10), (5, 5)]
    assert cut.notes == ("x", "2 pixels are cut off at each side")
    assert unframed(listing, 0, exif=False) == listing


@given(border=st.integers(0, 12), width=st.integers(1, 30), height=st.integers(1, 30))
def test_a_border_is_cut_at_each_side(border, width, height):
    """The middle stays as it is, or the image is refused."""
    out = io.BytesIO()
    image = Image.fromarray(np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8))
    image.save(out, "PNG")
    if border and min(width, height) <= 2 * border:
        with pytest.raises(ImageError, match="nothing is left without"):
            without_border(out.getvalue(), border)
        return
    cut = np.asarray(Image.open(io.BytesIO(without_border(out.getvalue(), border))))
    np.testing.assert_array_equal(cut, np.asarray(image)[border : height - border, border : width - border])


def test_objectnet_turns_by_exif_before_the_frame_is_cut(tmp_path):
    """The PNG that is made has no orientation: what the recipe asks for must have been done by then."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    image, out = Image.fromarray(pixels), io.BytesIO()
    image.getexif()[0x0112] = 6  # to be turned by 90 degrees clockwise
    image.save(out, "PNG", exif=image.getexif())
    put(tmp_path / f"images/{objectnet_classes()[0].folder}/a.png", out.getvalue())
    spec = SourceSpec(variant="objectnet", path="images", border=3)
    for exif, expected in ((False, pixels), (True, np.rot90(pixels, -1))):
        source = open_source(spec, tmp_path, exif=exif)
        found = decode(source.images[0].image, exif=source.images.exif)
        np.testing.assert_array_equal(np.asarray(found), expected[3:-3, 3:-3])


def test_an_image_that_cannot_be_corrupted_is_its_own_failure(tmp_path, monkeypatch):
    """Whatever the package raises: the message names the image and the corruption."""
    import corrupt_tta

    def failing(pixels, **options):
        raise ValueError("no such kernel")

    validation(tmp_path, 1)
    source = opened(
        tmp_path, variant="imagenet-c", labels="val.txt", make=True, corruptions=["fog"], severities=[2]
    )
    monkeypatch.setattr(corrupt_tta, "corrupt", failing)
    with pytest.raises(
        ImageError, match="fog of severity 2 cannot be made of image '0/ILSVRC.*ValueError: no such kernel"
    ):
        _ = source.images[0]


def test_a_limit_takes_some_of_every_class_corruption_and_severity(tmp_path):
    """Four of 32 images show all four classes, both corruptions and both severities; and it is said."""
    for corruption in ("fog", "snow"):
        for severity in (1, 3):
            for c in (2, 30, 400, 900):
                for i in range(2):
                    put(tmp_path / f"images/{corruption}/{severity}/{wnids()[c]}/{i}.JPEG", jpeg(c + i))
    source = opened(tmp_path, variant="imagenet-c", limit=4)
    parts = [id.split("/")[1:3] for id in source.images.ids]
    assert sorted(parts) == [["fog", "1"], ["fog", "3"], ["snow", "1"], ["snow", "3"]]
    assert sorted(source.images.labels) == [(2,), (30,), (400,), (900,)]
    for id, data in zip(source.images.ids, source.images, strict=True):
        assert data.image == (tmp_path / "images" / id.removeprefix("imagenet-c/")).read_bytes()
    assert "4 of 32 images, spread over classes, corruptions and severities (limit)" in source.notes
    assert len(opened(tmp_path, variant="imagenet-c", limit=32).images) == 32
    half = opened(tmp_path, variant="imagenet-c", limit=16, corruptions=["snow"])
    assert len(half.images) == 16
    assert not any("(limit)" in note for note in half.notes)


def test_a_limit_takes_the_same_images_in_every_layout(tmp_path):
    """Flat or in folders, as the hash of a name decides and not its place."""
    validation(tmp_path / "flat", 12)
    validation(tmp_path / "tree", 12, flat=False)
    flat = opened(tmp_path / "flat", variant="imagenet", labels="val.txt", limit=5)
    tree = opened(tmp_path / "tree", variant="imagenet", limit=5)
    assert set(flat.images.ids) == set(tree.images.ids)
    assert [int(id[-2:]) for id in flat.images.ids] != [1, 2, 3, 4, 5]
    assert "5 of 12 images, spread over classes (limit)" in flat.notes


@given(rows=ROWS, limit=st.integers(1, 70), data=st.data())
def test_a_spread_is_even_and_depends_on_no_order(rows, limit, data):
    """As many as asked for, each once; parts level off; the same names from any order."""
    names = [f"{part}/{label}/{i}" for i, (label, part) in enumerate(rows)]
    classes, parts = [label for label, _ in rows], [part for _, part in rows]
    chosen = spread(names, classes, parts, limit)
    assert len(chosen) == len(set(chosen)) == min(limit, len(rows))
    assert chosen == sorted(chosen)
    taken, there = Counter(parts[row] for row in chosen), Counter(parts)
    most = max(taken.values(), default=0)
    assert all(taken[part] == there[part] or taken[part] >= most - 1 for part in there)
    order = data.draw(st.permutations(range(len(rows))))
    again = spread([names[i] for i in order], [classes[i] for i in order], [parts[i] for i in order], limit)
    assert {names[row] for row in chosen} == {names[order[row]] for row in again}


@given(
    classes=st.integers(1, 8),
    corruptions=st.integers(1, 5),
    images=st.integers(1, 4),
    limit=st.integers(1, 160),
)
@example(classes=5, corruptions=5, images=4, limit=65)  # a part has run out of the class that is behind
def test_whole_sets_are_spread_over_classes_too(classes, corruptions, images, limit):
    """Parts differ by one image at most; a class is further behind only where a part has no more of it."""
    rows = [
        (c, f"{k}", f"{k}/{c}/{i}") for k in range(corruptions) for c in range(classes) for i in range(images)
    ]
    chosen = spread([n for _, _, n in rows], [c for c, _, _ in rows], [p for _, p, _ in rows], limit)
    of_part, of_class = (Counter(rows[row][kind] for row in chosen) for kind in (1, 0))
    cells = Counter(rows[row][:2] for row in chosen)
    assert max(of_part.values()) - min(of_part[f"{k}"] for k in range(corruptions)) <= 1
    for c in range(classes):
        used_up = any(cells[c, f"{k}"] == images for k in range(corruptions))
        assert used_up or of_class[c] >= max(of_class.values()) - 1


def test_duplicates_are_found_by_content(tmp_path):
    """Within and across sources; those of -ReaL are expected."""
    validation(tmp_path, 3)
    (tmp_path / "real.json").write_text(json.dumps([[1], [2], [3]]))
    put(tmp_path / "v2/5/same.jpeg", jpeg(2))
    sources = [
        opened(tmp_path, variant="imagenet", labels="val.txt"),
        opened(tmp_path, variant="imagenet-real", labels="real.json"),
        opened(tmp_path, variant="imagenet-v2", path="v2"),
    ]
    known = {e.id: sha256(e.image) for s in sources for e in s.images}
    found = {str(d): d.expected for d in find_duplicates(sources, known)}
    one, two, three = (f"ILSVRC2012_val_0000000{i}" for i in (1, 2, 3))
    assert found == {
        f"imagenet/{one} = imagenet-real/{one}": True,
        f"imagenet/{two} = imagenet-real/{two} = imagenet-v2/5/same.jpeg": False,
        f"imagenet/{three} = imagenet-real/{three}": True,
    }
    assert [d.ids[2] for d in unwanted(sources, known, {})] == ["imagenet-v2/5/same.jpeg"]
    assert unwanted(sources, known, {"imagenet-v2/5/same.jpeg": "twice"}) == []


def test_near_copies_are_pictures_in_other_bytes(tmp_path):
    """Across sources, of the images asked for; neither equal bytes nor ImageNet-C's, which are by design."""
    validation(tmp_path, 3)
    (tmp_path / "real.json").write_text(json.dumps([[1], [2], [3]]))
    larger = io.BytesIO()
    Image.open(io.BytesIO(jpeg(2))).resize((120, 90)).save(larger, "PNG")
    put(tmp_path / "v2/5/near.png", larger.getvalue())
    put(tmp_path / "v2/5/other.jpeg", jpeg(50))
    put(tmp_path / "c/fog/3" / wnids()[7] / "ILSVRC2012_val_00000002.JPEG", larger.getvalue())
    sources = [
        opened(tmp_path, variant="imagenet", labels="val.txt"),
        opened(tmp_path, variant="imagenet-real", labels="real.json"),
        opened(tmp_path, variant="imagenet-v2", path="v2"),
        opened(tmp_path, variant="imagenet-c", path="c"),
    ]
    ids = [id for source in sources for id in source.images.ids]
    seen: list[int] = []
    (found,) = near_copies(sources, ids, seen.append)
    assert sum(seen) == 8
    assert found[:3] == ("imagenet/ILSVRC2012_val_00000002", "imagenet-v2/5/near.png", "near-copy")
    assert near_copies(sources, [id for id in ids if "near" not in id]) == ()
    words = "1 pair shows the same picture: imagenet/ILSVRC2012_val_00000002 = imagenet-v2/5/near.png ("
    assert explain_near_copies([found]).startswith(words)
    assert explain_near_copies([]) == ""


def test_hashes_are_those_of_what_can_be_read(tmp_path):
    """A file that is gone has none; images that are made on the fly are not made for it."""
    validation(tmp_path, 3)
    clean = opened(tmp_path, variant="imagenet", labels="val.txt")
    made = opened(
        tmp_path, variant="imagenet-c", labels="val.txt", make=True, corruptions=["fog"], severities=[1]
    )
    (tmp_path / "images/ILSVRC2012_val_00000002.JPEG").unlink()
    seen = []
    found = image_sha256s([clean, made], seen.append)
    assert found == {f"imagenet/ILSVRC2012_val_0000000{i}": sha256(jpeg(i)) for i in (1, 3)}
    assert sum(seen) == 3


def test_real_variants(shared, tmp_path):
    """All eight from real images, and the validation images in both layouts."""
    lay_out(shared, tmp_path, each=10)
    sources = {s.spec.id: s for s in open_sources(load_recipe("imagenet-hard-lite"), tmp_path)}
    sizes = {name: len(source.images) for name, source in sources.items()}
    assert sizes == {
        "imagenet": 867,
        "imagenet-real": 829,
        "imagenet-v2": 10,
        "imagenet-a": 10,
        "imagenet-r": 10,
        "imagenet-sketch": 36,
        "imagenet-c": 20,
        "objectnet": 5,
    }
    ids = [id for source in sources.values() for id in source.images.ids]
    assert len(ids) == len(set(ids))
    for name, source in sources.items():
        assert all(id.startswith(f"{name}/") for id in source.images.ids)
        example = source.images[0]
        assert example.origin == name
        if source.mask is not None:
            assert all(source.mask[list(labels)].all() for labels in source.images.labels)
    lay_out_by_wnid(shared, tmp_path / "by-wnid")
    tree = opened(tmp_path, variant="imagenet", path="by-wnid")
    flat = sources["imagenet"].images
    assert dict(zip(tree.images.ids, tree.images.labels, strict=True)) == dict(
        zip(flat.ids, flat.labels, strict=True)
    )
