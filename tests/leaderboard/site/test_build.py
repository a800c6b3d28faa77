"""The built folder: deterministic, safe to build over, complete, and made of known libraries."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import PurePosixPath

import numpy as np
import pytest

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.evaluation.metrics import Rate
from imagenet_hard.leaderboard.site.build import MANIFEST, build_site, site_files
from imagenet_hard.leaderboard.site.data import SiteData
from tests.leaderboard.site.boards import made_up, published, site


@pytest.fixture(scope="module")
def built():
    """Every file of a small site, in memory."""
    return dict(site_files(site(made_up(m=5, n=80))))


class Links(HTMLParser):
    """Collects what a page refers to, and what the policy forbids."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.refers, self.inline, self.stack = list[str](), list[str](), list[str]()
        self.feed(page.decode())

    def handle_starttag(self, tag, attrs):
        self.stack.append(tag)
        for name, value in attrs:
            if name in ("href", "src"):
                self.refers.append(value)
            if name == "style" or name.startswith("on"):
                self.inline.append(f"<{tag} {name}={value}>")

    def handle_data(self, data):
        if self.stack and self.stack[-1] in ("script", "style") and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag):
        while self.stack and self.stack.pop() != tag:
            pass


def test_same_data_same_bytes(tmp_path):
    """Two builds are equal byte for byte, and a second build writes nothing."""
    a, b = tmp_path / "a", tmp_path / "b"
    names = build_site(site(made_up(m=3, n=40)), a)
    assert build_site(site(made_up(m=3, n=40)), b) == names
    for name in names:
        assert (a / name).read_bytes() == (b / name).read_bytes()
    before = {name: (a / name).stat().st_mtime_ns for name in names if name != MANIFEST}
    build_site(site(made_up(m=3, n=40)), a)
    assert before == {name: (a / name).stat().st_mtime_ns for name in before}


def test_every_link_leads_somewhere_and_none_out(built):
    """Local references are files of the site; the rest is https; nothing is inline."""
    pages = {name: Links(data) for name, data in built.items() if name.endswith(".html")}
    assert len(pages) == 1 + 5 + 3 + 1 + 4
    for name, page in pages.items():
        assert page.inline == []
        for ref in page.refers:
            if ref.startswith("https://") or ref.startswith("#"):
                continue
            target = PurePosixPath(name).parent
            for part in ref.partition("#")[0].split("/"):
                target = target.parent if part == ".." else target / part
            assert str(target) in built, f"{name} refers to {ref}"


def test_policy_and_language_on_every_page(built):
    """Each page has the strict policy before anything that loads, a language, a title and one h1."""
    for name, data in built.items():
        if name.endswith(".html"):
            text = data.decode()
            policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
            assert policy
            assert "unsafe" not in policy[1]
            assert "default-src &#39;none&#39;" in policy[1]
            assert policy.start() < text.index("<script")
            assert '<html lang="en">' in text
            assert text.count("<h1") == 1


def test_a_later_build_removes_what_it_made_and_nothing_else(tmp_path):
    """Pages of an entry that is gone go with it; other files stay."""
    build_site(site(made_up(m=4, n=40)), tmp_path)
    (tmp_path / "CNAME").write_text("example.org")
    assert (tmp_path / "entries/lab3__model-3.html").exists()
    build_site(site(made_up(m=3, n=40)), tmp_path)
    assert not (tmp_path / "entries/lab3__model-3.html").exists()
    assert (tmp_path / "CNAME").read_text() == "example.org"


def test_refuses_a_folder_that_is_something_else(tmp_path):
    """A home folder named by mistake stays as it is."""
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="holds files but no site built by this command"):
        build_site(site(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(UsageError, match="is a file: expected a folder"):
        build_site(site(), tmp_path / "thesis.tex")


def test_a_manifest_cannot_reach_outside(tmp_path):
    """A planted manifest deletes nothing beside the site."""
    (tmp_path / "kept").write_text("x")
    out = tmp_path / "site"
    out.mkdir()
    (out / MANIFEST).write_text(json.dumps({"files": {"../kept": ""}}))
    with pytest.raises(UsageError, match="lists files outside the site"):
        build_site(site(), out)
    assert (tmp_path / "kept").exists()


def test_an_interrupted_build_can_be_built_over(tmp_path, monkeypatch):
    """What a killed build left does not stop the next one."""
    import imagenet_hard.leaderboard.site.build as module

    real = module.site_files

    def broken(data):
        for k, each in enumerate(real(data)):
            if k == 9:
                raise KeyboardInterrupt
            yield each

    monkeypatch.setattr(module, "site_files", broken)
    with pytest.raises(KeyboardInterrupt):
        build_site(site(made_up(m=2, n=20)), tmp_path)
    monkeypatch.setattr(module, "site_files", real)
    assert "index.html" in build_site(site(made_up(m=2, n=20)), tmp_path)


def test_two_entries_of_one_id_are_refused(tmp_path):
    """One page would overwrite the other, on some disks also where only the case differs."""
    board = made_up(m=2, n=20)
    other = replace(
        board,
        slug="other",
        entries=tuple(replace(e, id=e.id.upper()) for e in board.entries),
    )
    with pytest.raises(ResultError, match="two files of the site would be called entries/LAB1__MODEL-1.html"):
        build_site(SiteData((board, other)), tmp_path)


def test_without_entries_the_published_tables_are_the_page():
    """An empty board still has a front page, with reported figures marked as such."""
    files_ = dict(site_files(SiteData((), published())))
    text = files_["index.html"].decode()
    assert "There is no re-scored entry yet" in text
    assert "reported, not re-scored" in text
    assert "39.00" in text
    assert "<b>1</b>" not in text  # no rank


@pytest.mark.parametrize("m", [1, 2])
def test_smallest_boards(m):
    """One entry, or two, make a whole site."""
    files_ = dict(site_files(site(made_up(m=m, n=12))))
    assert files_["index.html"].decode().count("data-i=") == m


@pytest.mark.slow
def test_a_thousand_entries_stay_small(tmp_path):
    """1,000 entries x 11,000 images: built in minutes, the front page in MB, an entry's data in kB."""
    board = _big(np.random.default_rng(0))
    start = time.perf_counter()
    names = build_site(site(board), tmp_path)
    assert time.perf_counter() - start < 600
    assert len(names) > 4000
    assert (tmp_path / "index.html").stat().st_size < 4e6
    assert (tmp_path / "data/big/board.js").stat().st_size < 1.5e6
    assert max(p.stat().st_size for p in (tmp_path / "data/big/entries").iterdir()) < 1e5
    explorer = {p.stem: p.stat().st_size for p in (tmp_path / "data/big/explorer").iterdir()}
    assert explorer["head"] + (tmp_path / "data/big/images.js").stat().st_size < 1e6  # of the first view
    assert max(size for name, size in explorer.items() if name.isdigit()) < 2e5
    assert explorer["confusions"] < 5e5


def _big(rng):
    """1,000 entries whose ranks are not computed: only the size matters here."""
    small = made_up(m=4, n=50)
    m, n = 1000, 11_000
    correct = rng.random((m, n)) < np.linspace(0.9, 0.1, m)[:, None]
    entries = []

    for i in range(m):
        e = small.entries[i % 4]
        top1 = Rate.of(int(correct[i].sum()), n)
        entries.append(replace(e, id=f"lab__m{i}", name=f"m{i}", top1=top1))
    return type(small)(
        slug="big",
        title="Big",
        source="a test",
        fingerprint="ef" * 32,
        entries=tuple(entries),
        image_ids=tuple(f"img-{i}" for i in range(n)),
        labels=tuple((i % 1000,) for i in range(n)),
        image_origins=tuple(("a", "b")[i % 2] for i in range(n)),
        correct=correct,
        predicted=np.where(correct, np.arange(n) % 1000, 999).astype(np.int16),
        kappa=np.zeros((m, m)),
        tied=np.zeros((m, m), dtype=bool),
        similar=tuple(range(m)),
        neighbours_apart=0,
        oracle=Rate.of(n, n),
    )
