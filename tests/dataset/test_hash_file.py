"""Files of hashes: read back as written, gone on with, and refused where they are none, damaged or half."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from imagenet_hard.base.errors import ResultError
from imagenet_hard.dataset import hash_file
from imagenet_hard.dataset.benchmark import Benchmark
from imagenet_hard.dataset.hash_file import MAX_LINE_BYTES, read_hashes, write_hashes
from imagenet_hard.dataset.load import load_images
from imagenet_hard.dataset.perceptual import hash_images
from tests.dataset.images import jpeg


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven files without labels; one is broken, two have equal bytes, and one has an odd name."""
    made = tmp_path / "images"
    (made / "deep").mkdir(parents=True)
    for i in range(5):
        (made / f"{i}.jpg").write_bytes(jpeg(i))
    (made / "broken.jpg").write_bytes(b"no image")
    (made / "deep" / 'é "1".jpg').write_bytes(jpeg(0))
    return made


@pytest.fixture
def images(folder: Path) -> Benchmark:
    return load_images(folder)


def test_what_is_written_is_read_back(images, tmp_path):
    seen: list[int] = []
    path = tmp_path / "new" / "x.hashes"
    assert write_hashes(path, images, seen.append) == 1
    assert sum(seen) == 7
    assert read_hashes(path) == list(hash_images(images, range(7)))
    head = json.loads(path.read_bytes().splitlines()[0])
    assert head == {
        "format": "imagenet-hard copies",
        "version": 1,
        "hash": "phash",
        "bits": 256,
        "views": 12,
        "name": "images",
        "images": 7,
    }


def test_a_whole_file_is_left_as_it_is(images, tmp_path):
    path = tmp_path / "x.hashes"
    write_hashes(path, images)
    before = path.read_bytes()
    assert write_hashes(path, images) == 1
    assert path.read_bytes() == before


def test_an_interrupted_file_is_gone_on_with_wherever_it_was_cut(images, tmp_path, monkeypatch):
    """The same bytes come out, and no image is hashed again but the one whose line was cut."""
    path = tmp_path / "x.hashes"
    write_hashes(path, images)
    whole = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    hashed: list[int] = []
    real = hash_images

    def counting(images: Benchmark, which: range):
        hashed.append(len(which))
        return real(images, which)

    monkeypatch.setattr(hash_file, "hash_images", counting)
    for cut in (ends[0], ends[0] + 1, ends[2] - 1, ends[3], ends[6] + 200, len(whole)):
        path.write_bytes(whole[:cut])
        if cut < len(whole):
            with pytest.raises(ResultError, match=r"of 7 images: writing it was interrupted"):
                read_hashes(path)
        write_hashes(path, images)
        assert path.read_bytes() == whole
        assert hashed.pop() == 7 - (sum(end <= cut for end in ends) - 1)


def test_a_run_that_stops_in_the_middle_keeps_what_it_has(images, tmp_path):
    path = tmp_path / "x.hashes"

    def stop(n: int, seen: list[int] = []) -> None:  # noqa: B006
        seen.append(n)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_hashes(path, images, stop)
    assert len(path.read_bytes().splitlines()) == 1 + 3
    write_hashes(path, images)
    assert read_hashes(path) == list(hash_images(images, range(7)))


def test_an_image_that_changed_is_seen(folder, images, tmp_path):
    path = tmp_path / "x.hashes"
    write_hashes(path, images)
    (folder / "1.jpg").write_bytes(jpeg(99))
    with pytest.raises(ResultError, match=r"the image '1.jpg' has changed since: give another --write"):
        write_hashes(path, load_images(folder))


def test_other_images_are_refused(folder, images, tmp_path):
    path = tmp_path / "x.hashes"
    write_hashes(path, images)
    before = path.read_bytes()
    (folder / "2.jpg").rename(folder / "9.jpg")
    with pytest.raises(ResultError, match="has the hashes of other images than images has now"):
        write_hashes(path, load_images(folder))
    (folder / "more.jpg").write_bytes(jpeg(50))
    with pytest.raises(ResultError, match="has the hashes of other images than images has now"):
        write_hashes(path, load_images(folder))
    assert path.read_bytes() == before


def changed(**values: object) -> Callable[[dict[str, object]], bytes]:
    return lambda row: json.dumps({**row, **values}).encode()


@pytest.mark.parametrize(
    ("line", "change", "message"),
    [
        (0, lambda row: b"", r":1: expected a file that `imagenet-hard copies --write` wrote"),
        (0, lambda row: b"\xff\xd8\xff\xe0 a JPEG", r":1: expected a file"),
        (0, changed(version=2), r":1: .*version"),
        (0, changed(images=10**12), r":1: .*images"),
        (0, changed(images=0), r":1: .*images"),
        (0, changed(images=6), r":8: got more images than the 6 announced"),
        (0, changed(images=8), r"has 7 of 8 images"),
        (0, changed(bits=64), r":1: .*bits"),
        (0, changed(more=1), r":1: .*more"),
        (2, changed(sha256="0" * 63), r":3: .*sha256"),
        (2, changed(views="AAAA"), r":3: .*views"),
        (2, changed(views="A" * 511 + "="), r":3: .*views"),
        (2, changed(id=7), r":3: .*id"),
        (2, changed(id="0.jpg"), r"has an id twice"),
        (2, lambda row: b"[" * 5000, r":3: expected a file"),
        (2, lambda row: b"x" * (MAX_LINE_BYTES + 5), r":3: the line has 65,536 bytes or more"),
    ],
)
def test_bad_files(images, tmp_path, line, change, message):
    path = tmp_path / "x.hashes"
    write_hashes(path, images)
    lines = path.read_bytes().splitlines()
    lines[line] = change(json.loads(lines[line]))
    path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(ResultError, match=message):
        read_hashes(path)


def test_what_is_no_file(tmp_path):
    with pytest.raises(ResultError, match="cannot read"):
        read_hashes(tmp_path)
    with pytest.raises(ResultError, match="cannot read"):
        read_hashes(tmp_path / "missing")


def test_a_file_of_something_else_is_never_written_over(images, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("my notes\n")
    with pytest.raises(ResultError, match=r"notes.txt:1: expected a file"):
        write_hashes(path, images)
    assert path.read_text() == "my notes\n"


def test_the_hashes_hold_no_picture(images, tmp_path):
    """A line is an id, a sha256 and 12 hashes of 32 bytes: nothing in it is a pixel."""
    path = tmp_path / "x.hashes"
    write_hashes(path, images)
    for line in path.read_bytes().splitlines()[1:]:
        row = json.loads(line)
        assert set(row) == {"id", "sha256", "views"}
        assert len(base64.b64decode(row["views"])) in (0, 12 * 32)
