"""A person's own images beside the answers: found by id, checked against the results, served locally."""

from __future__ import annotations

import http.client
import io
import json
import threading
from dataclasses import replace

import pytest
from PIL import Image

from imagenet_hard.base.errors import DatasetError, UsageError
from imagenet_hard.dataset.benchmark import Benchmark, Source
from imagenet_hard.imagenet.classes import distinct_names
from imagenet_hard.leaderboard.site.build import build_explorer, server_of
from imagenet_hard.leaderboard.site.data import SiteData
from imagenet_hard.leaderboard.site.own_copy import OwnCopy, own_copies, picture_at, write_fiftyone
from tests.dataset.images import encoded
from tests.leaderboard.site.boards import made_up


def own(board, labels=None, ids=None):
    """A data set of the board's images, the last first; all are one red picture of 300 x 200."""
    data = encoded(Image.new("RGB", (300, 200), (200, 10, 10)), "PNG")
    ids = list(board.image_ids[::-1]) if ids is None else ids
    labels = list(board.labels[::-1]) if labels is None else labels
    return Benchmark(Source("mine", "folder"), ids, labels, [""] * len(ids), lambda i: data)


@pytest.fixture(scope="module")
def board():
    return made_up(m=3, n=30)


@pytest.fixture(scope="module")
def results(board):
    """The same without labels, as results have it."""
    return replace(board, labels=((),) * board.n, submitted=False)


def test_results_get_their_labels(board, results):
    assert OwnCopy(results, own(board)).board.labels == board.labels


def test_labels_that_contradict_the_results(board, results):
    """Of another data set under the same ids."""
    wrong = [tuple((c + 40) % 1000 for c in each) for each in board.labels[::-1]]
    with pytest.raises(
        DatasetError, match="by the labels of mine, Model 2 is wrong on 'img-0.*which its result denies"
    ):
        OwnCopy(results, own(board, wrong))


def test_labels_of_the_board_stay(board, caplog):
    """Gold may have been corrected since; that is said."""
    labels = [(7,), *board.labels[::-1][1:]]
    assert OwnCopy(board, own(board, labels)).board is board
    assert "mine has other labels for 1 image of 30" in caplog.text


def test_images_that_are_missing(board, caplog):
    """A board is left without pictures where another has them; else the data set is the wrong one."""
    other = replace(board, slug="other", title="Other", image_ids=tuple(f"x{i}" for i in range(30)))
    assert set(own_copies([board, other], own(board))) == {"made-up"}
    assert "mine does not hold all images of Other" in caplog.text
    with pytest.raises(UsageError, match="mine lacks 30 images of Other, such as 'x0': give the --dataset"):
        own_copies([other], own(board))


def test_pictures_by_their_numbers(board):
    """Whole or small; nothing else is there."""
    copies = {"made-up": OwnCopy(board, own(board))}
    for path, size in (
        ("/pictures/made-up/29.jpg", (300, 200)),
        ("/pictures/made-up/0-small.jpg", (144, 96)),
    ):
        shown = Image.open(io.BytesIO(picture_at(copies, path)))
        assert (shown.format, shown.size) == ("JPEG", size)
    for path in (
        "/pictures/made-up/30.jpg",
        "/pictures/else/0.jpg",
        "/pictures/made-up/../0.jpg",
        "/index.html",
    ):
        assert picture_at(copies, path) is None


def test_an_image_that_cannot_be_read_has_no_picture(board):
    benchmark = own(board)
    benchmark._read = lambda i: b"no image"
    assert picture_at({"made-up": OwnCopy(board, benchmark)}, "/pictures/made-up/0.jpg") is None


def test_the_form_of_fiftyone(board, tmp_path):
    """Each label with the image's figures, each image beside it; a folder in use is refused."""
    path = write_fiftyone(tmp_path / "out", OwnCopy(board, own(board)), [4, 2])
    labels = json.loads(path.read_text())["labels"]
    assert list(labels) == ["000004", "000002"]
    assert {p.name for p in (tmp_path / "out/data").iterdir()} == {"000002.jpg", "000004.jpg"}
    assert [each["label"] for each in labels["000004"]] == [distinct_names()[c] for c in board.labels[4]]
    figures = labels["000004"][0]["attributes"]
    assert figures["image_id"] == board.image_ids[4]
    assert figures["right"] == board.solved_by[4] / 3
    with pytest.raises(UsageError, match="expected an empty or new folder"):
        write_fiftyone(tmp_path / "out", OwnCopy(board, own(board)), [1])


def test_the_explorer_alone_is_served_to_this_machine(board, tmp_path):
    """Pages and pictures; a name that only points here gets nothing."""
    copies = {"made-up": OwnCopy(board, own(board))}
    names = build_explorer(SiteData((board,)), tmp_path / "site", pictures=copies)
    assert {
        "index.html",
        "explore/made-up.html",
        "data/made-up/explorer/0.js",
        "data/made-up/images.js",
    } <= set(names)
    assert not [name for name in names if name.startswith("entries/")]
    with server_of(tmp_path / "site", 0, lambda path: picture_at(copies, path)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.server_address[1]
        found = {}
        try:
            for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"evil.example:{port}"):
                for path in ("/pictures/made-up/3.jpg", "/index.html"):
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                    connection.request("GET", path, headers={"Host": host})
                    reply = connection.getresponse()
                    found[host.partition(":")[0], path] = (reply.status, reply.getheader("Content-Type"))
                    reply.read()
                    connection.close()
        finally:
            server.shutdown()
            thread.join()
    assert found["127.0.0.1", "/pictures/made-up/3.jpg"] == (200, "image/jpeg")
    assert found["localhost", "/index.html"] == (200, "text/html")
    assert found["evil.example", "/pictures/made-up/3.jpg"][0] == 421
    assert found["evil.example", "/index.html"][0] == 421
