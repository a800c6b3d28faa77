"""``imagenet-hard leaderboard``: build, serve, table, publish, gold, as typed."""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading

import pytest
from PIL import Image

from imagenet_hard.base.errors import UsageError
from imagenet_hard.cli.leaderboard import command
from imagenet_hard.cli.main import run
from imagenet_hard.leaderboard.gold import read_gold
from imagenet_hard.leaderboard.site.build import MANIFEST, build_site, server_of
from tests.dataset.images import encoded, picture
from tests.hub.server import TOKENS, Fault
from tests.leaderboard.boards import Board
from tests.leaderboard.site.boards import made_up, site


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """Two entries, which no test here changes."""
    made = Board(tmp_path_factory.mktemp("board"), n=30)
    for seed in range(2):
        made.submit(name=f"Model {seed}", seed=seed)
    return made


def leaderboard(*args):
    """The exit code of ``imagenet-hard leaderboard ARGS``."""
    return run(command, [str(each) for each in args], "imagenet-hard leaderboard")


def test_build(board, tmp_path, capsys):
    """The path of the front page is the answer; the summary goes to stderr."""
    assert leaderboard("build", "--entries", board.entries, "--out", tmp_path / "site") == 0
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path / 'site' / 'index.html'}\n"
    assert captured.err.startswith("2 entries, 1 benchmark,")
    assert (tmp_path / "site" / "index.html").is_file()


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("build", "--entries", "nowhere"), 2, "there is no folder nowhere"),
        (("table", "--format", "html"), 2, "'html' is not one of"),
        (("table", "--format", "csv", "--check", "x"), 2, "need --format markdown"),
        (("table", "--format", "csv", "--published", "paper-final"), 2, "need --format markdown"),
        (("table", "--published", "paper-finale"), 2, "paper-final"),
        (("table", "--write", "x", "--check", "y"), 2, "exclude each other"),
        (("publish", "--repo", "../x"), 2, "'../x' is not a Hub id: expected OWNER/NAME"),
        (("serve", "--port", "99999"), 2, "99999 is not in the range"),
        (("gold", "--dataset", "nonsense"), 2, "unknown data set 'nonsense'"),
    ],
)
def test_wrong_usage(args, code, message, capsys):
    """Exit code 2 and what to do, without a traceback."""
    assert leaderboard(*args) == code
    assert message in capsys.readouterr().err


def test_table_in_a_readme(board, tmp_path, capsys):
    """--check fails on a stale table and names the command; after --write it holds."""
    readme = tmp_path / "README.md"
    readme.write_text("<!-- leaderboard:start -->\n<!-- leaderboard:end -->\n")
    common = ("table", "--entries", board.entries)
    assert leaderboard(*common, "--check", readme) == 1
    assert f"leaderboard table --write {readme}" in capsys.readouterr().err
    assert leaderboard(*common, "--write", readme) == 0
    assert leaderboard(*common, "--check", readme) == 0
    assert "| Model 1 |" in readme.read_text()
    capsys.readouterr()
    assert leaderboard(*common, "--format", "json") == 0
    assert capsys.readouterr().out.startswith("[\n  {")


def test_gold_of_a_data_set(tmp_path, capsys):
    """The 20 offline images: gold is written and read back with the same fingerprint."""
    pytest.importorskip("foolbox")
    assert leaderboard("gold", "--dataset", "sample", "--out", tmp_path, "--curator", "timm:x/y") == 0
    captured = capsys.readouterr()
    path = tmp_path / captured.out.strip().rsplit("/", 1)[-1]
    gold = read_gold(tmp_path, path.stem)
    assert gold.info.n == 20
    assert gold.info.curators == ("timm:x/y",)
    assert path.stem in captured.err


def test_gold_names_turned_images(tmp_path, capsys):
    """Those with an EXIF orientation, by id, with what they can move, and near-copies."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, more in (("a", {"exif": exif}), ("b", {})):
        (tmp_path / "images" / "n01440764").mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / "n01440764" / f"{name}.jpg").write_bytes(encoded(picture(), "JPEG", **more))
    assert leaderboard("gold", "--dataset", tmp_path / "images", "--out", tmp_path) == 0
    said = capsys.readouterr().err
    assert "1 image of 2 with an EXIF orientation: n01440764/a.jpg. Scored as stored" in said
    assert "up to 50.00 points" in said
    assert "1 pair shows the same picture: n01440764/a.jpg = n01440764/b.jpg (" in said


def test_preview_answers_on_this_machine_only(tmp_path):
    """Pages are served from 127.0.0.1, folders are not listed, nothing outside is reachable."""
    out = tmp_path / "site"
    build_site(site(made_up(m=2, n=20)), out)
    (tmp_path / "secret").write_text("x")
    with server_of(out, 0) as server:
        assert server.server_address[0] == "127.0.0.1"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            answers = {}
            for path in ("/index.html", "/data/", "/../secret", "/%2e%2e/secret"):
                connection = http.client.HTTPConnection(*server.server_address[:2], timeout=10)
                connection.request("GET", path)
                reply = connection.getresponse()
                reply.read()
                connection.close()
                answers[path] = reply.status
        finally:
            server.shutdown()
            thread.join()
        assert answers == {"/index.html": 200, "/data/": 404, "/../secret": 404, "/%2e%2e/secret": 404}
        with pytest.raises(UsageError, match="choose another --port"):
            server_of(out, server.server_address[1])


PUBLISH = """
from pathlib import Path
from imagenet_hard.base.errors import ImageNetHardError
from imagenet_hard.leaderboard.site.space import publish_space
try:
    print(publish_space(Path({folder!r}), {repo!r}, waits=(0, 0)))
except ImageNetHardError as error:
    print("refused:", error)
"""


@pytest.fixture
def built(tmp_path):
    """A small built site."""
    build_site(site(made_up(m=2, n=20)), tmp_path / "site")
    return tmp_path / "site"


def published(hub, built, repo="alice/board", token="alice"):
    done = hub.client(PUBLISH.format(folder=str(built), repo=repo), token=TOKENS.get(token, token))
    assert done.returncode == 0, done.stderr
    assert "hf_" not in done.stdout + done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_publish_as_a_static_space(minihub, built):
    """The Space is static, holds the site, and a second publication of a smaller site removes pages."""
    assert "/spaces/alice/board/commit/" in published(minihub, built)
    repo = minihub.repos["space", "alice/board"]
    assert repo.meta["sdk"] == "static"
    files = {row["path"] for row in repo.tree(repo.resolve("main"), "", True) if row["type"] == "file"}
    expected = {p.relative_to(built).as_posix() for p in built.rglob("*") if p.is_file()}
    assert files - {".gitattributes"} == expected
    assert {"index.html", "README.md", MANIFEST} <= files
    before = repo.resolve("main")
    published(minihub, built)
    assert repo.resolve("main") == before
    build_site(site(made_up(m=1, n=20)), built)
    published(minihub, built)
    files = {row["path"] for row in repo.tree(repo.resolve("main"), "", True)}
    assert "entries/lab0__model-0.html" in files
    assert "entries/lab1__model-1.html" not in files


@pytest.mark.parametrize(
    ("repo", "token", "message"),
    [
        ("alice/board", "hf_wrong", "the Hub refused the token (401)"),
        ("bob/board", "alice", "the token may not write to bob/board (403)"),
    ],
)
def test_publish_refused(minihub, built, repo, token, message):
    """What the Hub refuses is said without the token."""
    assert message in published(minihub, built, repo, token)


def test_publish_with_the_hub_down(minihub, built):
    """A broken commit is an error that says so; the next run succeeds, also where its reply is lost."""
    minihub.faults.append(Fault("POST", r"/api/spaces/.*/commit/", status=500, times=3))
    assert "the Hub failed (500) for alice/board" in published(minihub, built)
    minihub.faults.append(Fault("POST", r"/api/spaces/.*/commit/", drop="lost"))
    assert "/commit/" in published(minihub, built)
    repo = minihub.repos["space", "alice/board"]
    assert len(repo.git("log", "--format=%s", repo.resolve("main")).decode().splitlines()) == 2


def test_publish_needs_a_built_site(minihub, tmp_path):
    """A folder of something else is not published."""
    assert "is not a built site" in published(minihub, tmp_path)
    assert ("space", "alice/board") not in minihub.repos


def test_help_needs_no_framework():
    """Neither help nor the modules of the site import torch."""
    probe = (
        "import sys\nimport imagenet_hard.leaderboard.site.from_entries\n"
        "import imagenet_hard.leaderboard.site.build, imagenet_hard.leaderboard.site.from_results\n"
        "from imagenet_hard.cli.main import run\nfrom imagenet_hard.cli.leaderboard import command\n"
        "for args in (['--help'], ['build', '--help'], ['preview', '--help']):\n"
        "    assert run(command, args, 'x') == 0\n"
        "print('loaded:', 'torch' in sys.modules, 'datasets' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("loaded: False False")
