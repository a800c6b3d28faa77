"""A build goes to the Hub: what is sent, tagged, removed, refused, and loaded again."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from tests.curation.build.builds import built, rewrite_manifest
from tests.curation.build.test_run import Parts
from tests.curation.publishing import REPO, SHARD, asked, call, holds, local, log, publishes, stored
from tests.curation.small import sha256
from tests.hub.server import TOKENS, Fault, LoopbackHub

pytest.importorskip("datasets")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return built(tmp_path / "small")


def test_a_build_is_published_once_and_loads_with_its_fingerprint(minihub: LoopbackHub, folder: Path) -> None:
    """A new repository, one commit, its tag; a second run writes nothing; all three fingerprints agree."""
    published_here(minihub, folder)
    assert len(asked(minihub, "PUT", "/_lfs/")) == 2


def test_what_curation_builds_is_published(minihub: LoopbackHub, tmp_path: Path) -> None:
    """A build of the real step, card and picture and all, loads from the Hub with its fingerprint and ids."""
    report = Parts(tmp_path / "in").build(tmp_path / "imagenet-hard")
    (published,) = publishes(minihub, call(tmp_path / "imagenet-hard"))
    told = "names the task imagenet-hard, results on lab/hard will name hard"
    assert any(told in text for text in published["said"])
    assert {c["path"]: c["action"] for c in published["changes"]} == {
        ".gitattributes": "left alone",
        **dict.fromkeys([*report.manifest.files, "manifest.json"], "add"),
    }
    done = minihub.client(
        "import json; from imagenet_hard import load_dataset\n"
        f"b = load_dataset({REPO!r})\n"
        "print(json.dumps([b.fingerprint(), b.ids]))"
    )
    fingerprint, ids = json.loads(done.stdout)
    assert fingerprint == report.manifest.fingerprint == published["fingerprint"]
    assert ids == [row.id for row in report.selection.rows]


def test_xet_publishes_the_same(minihub_xet: LoopbackHub, folder: Path) -> None:
    """In xet mode too."""
    published_here(minihub_xet, folder)
    assert asked(minihub_xet, "GET", "xet-write-token")
    assert not asked(minihub_xet, "PUT", "/_lfs/")


def large(folder: Path, changed: int = 0) -> Parts:
    """A build to be of 120 images with 30 to 90 KB each; ``changed`` of them, spread, are others."""
    parts = Parts(folder, n=120)
    output = parts.recipe.output.model_copy(update={"shard_bytes": 2**30})
    parts.recipe = parts.recipe.model_copy(update={"output": output})
    for row in range(120):
        other = changed and row % (120 // changed) == 5
        data = Random(row + 1000 * bool(other)).randbytes(30_000 + 500 * row)
        parts.made.data[row] = data
        parts.survivors[row] = replace(parts.survivors[row], image_sha256=sha256(data))
    return parts


def test_xet_sends_what_changed(
    minihub_xet: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten other images of 120: they go to the Hub, and little else, though the files have new names."""
    store, fresh = minihub_xet.xet, minihub_xet.xet.new_dir

    def with_what_is_there(read: bool) -> Path:
        made = Path(fresh(read))
        return made if read else Path(shutil.copytree(store.store, made, dirs_exist_ok=True))

    monkeypatch.setattr(store, "new_dir", with_what_is_there)
    folder, known, sent = tmp_path / "small", set[str](), list[int]()
    for changed in (0, 10):
        made = large(tmp_path / f"in-{changed}", changed).build(folder)
        (done,) = publishes(minihub_xet, call(folder, tag=False))
        assert "error" not in done, done["message"]
        assert holds(minihub_xet, folder)
        xorbs = {path.name: path for path in store.cas.glob("write-*/xet/xorbs/**/*") if path.is_file()}
        sent.append(sum(xorbs[name].stat().st_size for name in xorbs.keys() - known if "mdb" not in name))
        known |= {path.name for path in store.cas.rglob("*")}
    images = sum(file.size for name, file in made.manifest.files.items() if name.endswith(".parquet"))
    assert sent[0] > images
    assert sent[1] < images / 3, sent


def published_here(hub: LoopbackHub, folder: Path) -> None:
    """Publish twice, then load: what each of the two transports has to do."""
    (first,) = publishes(hub, call(folder))
    assert (first["new_repo"], first["private"], first["done"], first["new_tag"]) == (True, False, True, True)
    assert {c["action"] for c in first["changes"]} == {"add", "left alone"}
    assert log(hub)[1:] == ["initial commit"]
    assert holds(hub, folder)
    git = hub.repos["dataset", REPO]
    assert git.resolve("v1.0.0") == git.resolve("main") == first["commit"]
    assert first["url"] == f"{hub.url}/datasets/{REPO}/commit/{first['commit']}"

    since = len(hub.requests)
    (second,) = publishes(hub, call(folder))
    assert {r["method"] for r in hub.requests[since:]} == {"GET"}
    assert (second["commit"], second["new_tag"], second["done"]) == (first["commit"], False, True)
    assert second["said"] == [f"nothing to do: {first['url']} is as it should be"]

    code = (
        "from imagenet_hard import load_dataset\nb = load_dataset({!r}{})\nprint(b.fingerprint(), b.revision)"
    )
    tagged = hub.client(code.format(REPO, ", revision='v1.0.0'")).stdout.split()
    here = hub.client(code.format(str(folder), "")).stdout.split()
    assert tagged == [first["fingerprint"], first["commit"]]
    assert here == [first["fingerprint"], "None"]
    assert first["fingerprint"] == json.loads((folder / "manifest.json").read_text())["fingerprint"]


def test_a_new_version_replaces_the_shards(minihub: LoopbackHub, tmp_path: Path, folder: Path) -> None:
    """Changed files only are sent, old shards go in the same commit, what is not ours stays and is named."""
    foreign = {"LICENSE": b"theirs", "extra/data.parquet": b"p" * 200, "data/old.parquet": b"o" * 200}
    minihub.push("dataset", REPO, foreign)
    publishes(minihub, call(folder))
    since = len(minihub.requests)
    new = built(tmp_path / "new", 6, version="1.1.0", plot_svg=b"<svg/>")
    (new / SHARD.format(0)).write_bytes((folder / SHARD.format(0)).read_bytes())
    rewrite_manifest(new)
    (report,) = publishes(minihub, call(new))
    assert {c["path"]: c["action"] for c in report["changes"]} == {
        ".gitattributes": "left alone",
        "LICENSE": "left alone",
        "README.md": "unchanged",
        SHARD.format(0): "unchanged",
        SHARD.format(1): "replace",
        "extra/data.parquet": "left alone",
        "manifest.json": "replace",
        "plot.svg": "add",
    }
    assert len(asked(minihub, "PUT", "/_lfs/", since)) == 1
    assert holds(minihub, new)
    assert stored(minihub)["extra/data.parquet"] == foreign["extra/data.parquet"]
    assert "data/old.parquet" not in stored(minihub)
    assert [line.split(" (")[0] for line in log(minihub)[:2]] == [
        "Publish small 1.1.0",
        "Publish small 1.0.0",
    ]
    one = built(tmp_path / "one", 6, shards=1, version="1.2.0")
    (report,) = publishes(minihub, call(one))
    removed = [c["path"] for c in report["changes"] if c["action"] == "remove"]
    assert removed == [SHARD.format(0), SHARD.format(1)]
    assert holds(minihub, one)


def test_a_dry_run_only_reads(minihub: LoopbackHub, tmp_path: Path, folder: Path) -> None:
    """Nothing is made or sent, with a token and without, new or existing, commit or pull request."""
    (new, without) = (
        *publishes(minihub, call(folder, dry_run=True)),
        *publishes(minihub, call(folder, dry_run=True, private=True), token=None),
    )
    assert minihub.repos == {}
    assert (new["new_repo"], new["done"], new["commit"], new["new_tag"]) == (True, False, None, True)
    assert {c["path"]: (c["action"], c["size"]) for c in new["changes"]} == {
        path: ("add", len(data)) for path, data in local(folder).items()
    }
    assert without["private"] is True
    publishes(minihub, call(folder))
    since, before = len(minihub.requests), log(minihub)
    changed = built(tmp_path / "changed", 6, version="2.0.0")
    there, request = publishes(
        minihub, call(changed, dry_run=True), call(changed, dry_run=True, pull_request=True)
    )
    assert {
        r["method"] for r in minihub.requests if r["path"].startswith("/api/datasets/lab/hard/commit")
    } == {"POST"}
    assert {r["method"] for r in minihub.requests[since:]} == {"GET"}
    assert (there["tag"], there["new_tag"], request["tag"], request["new_tag"]) == (
        "v2.0.0",
        True,
        None,
        False,
    )
    assert log(minihub) == before


def test_a_merged_pull_request_is_tagged_by_publishing(minihub: LoopbackHub, folder: Path) -> None:
    """After the merge there is nothing to send; the tag is still missing, and only that is made."""
    minihub.push("dataset", REPO, {"data/old.parquet": b"o" * 200})
    publishes(minihub, call(folder, pull_request=True), token=TOKENS["bob"])
    merge = (
        "from huggingface_hub import HfApi\nHfApi().merge_pull_request('lab/hard', 1, repo_type='dataset')"
    )
    assert minihub.client(merge, token=TOKENS["alice"]).returncode == 0
    request, report = publishes(minihub, call(folder, pull_request=True), call(folder))
    git = minihub.repos["dataset", REPO]
    assert len(git.meta["discussions"]) == 1
    assert request["done"] is True
    assert (request["pull_request"], request["commit"]) == (None, git.resolve("main"))
    assert (report["commit"], report["new_tag"]) == (git.resolve("main"), True)
    assert git.resolve("v1.0.0") == git.resolve("main")
    assert len(asked(minihub, "POST", "/commit/")) == 1


def test_a_tag_stands_for_one_content(minihub: LoopbackHub, tmp_path: Path, folder: Path) -> None:
    """Other content under the same version is refused before anything is sent; --no-tag leaves it out."""
    publishes(minihub, call(folder))
    changed = built(tmp_path / "changed", 6)
    since = len(minihub.requests)
    refused, planned, request = publishes(
        minihub, call(changed), call(changed, dry_run=True), call(changed, pull_request=True)
    )
    for result in (refused, planned, request):
        assert result["error"] == "DatasetError"
        assert f"has the tag v1.0.0 with other content ({SHARD.format(0)}" in result["message"]
        assert "raise the version in the recipe and build again" in result["message"]
    assert {r["method"] for r in minihub.requests[since:]} == {"GET"}
    (untagged,) = publishes(minihub, call(changed, tag=False))
    assert (untagged["tag"], untagged["new_tag"], untagged["done"]) == (None, False, True)
    assert holds(minihub, changed)
    assert holds(minihub, folder, revision="v1.0.0")
    (back,) = publishes(minihub, call(folder))
    assert "has published this as v1.0.0 already, and main has changed since" in back["message"]
    assert holds(minihub, changed)


def test_a_branch_of_its_own(minihub: LoopbackHub, folder: Path) -> None:
    """The commit goes to the branch and is tagged there; main stays."""
    minihub.push("dataset", REPO, {"LICENSE": b"x"})
    branch = (
        "from huggingface_hub import HfApi\n"
        "HfApi().create_branch('lab/hard', branch='next/1', repo_type='dataset')"
    )
    assert minihub.client(branch, token=TOKENS["alice"]).returncode == 0
    report, missing, new = publishes(
        minihub,
        call(folder, revision="next/1"),
        call(folder, revision="nxet"),
        call(folder, "lab/new", revision="next"),
    )
    git = minihub.repos["dataset", REPO]
    assert report["commit"] == git.resolve("refs/heads/next/1") == git.resolve("v1.0.0")
    assert log(minihub) == ["push", "initial commit"]
    assert missing["message"] == "lab/hard has no branch 'nxet': expected one of main, next/1"
    assert "lab/new does not exist yet: publish to main first, not to 'next'" in new["message"]


def test_private_and_public(minihub: LoopbackHub, folder: Path) -> None:
    """A new one is as asked; a private one stays so; a public one is not taken for a private one."""
    secret, again, public, refused = publishes(
        minihub,
        call(folder, "lab/secret", private=True),
        call(folder, "lab/secret"),
        call(folder, "lab/open"),
        call(folder, "lab/open", private=True),
    )
    assert (secret["private"], again["private"], public["private"]) == (True, True, False)
    assert minihub.repos["dataset", "lab/secret"].meta["private"] is True
    assert minihub.repos["dataset", "lab/open"].meta["private"] is False
    assert again["done"] is True
    assert refused["error"] == "UsageError"
    assert "lab/open is public already" in refused["message"]


def test_wrong_calls(minihub: LoopbackHub, tmp_path: Path, folder: Path) -> None:
    """Bad ids, options that exclude each other, and folders that are no build."""
    (tmp_path / "empty").mkdir()
    name, deep, dots, both, absent, empty = publishes(
        minihub,
        call(folder, "hard"),
        call(folder, "a/b/c"),
        call(folder, "lab/a..b"),
        call(folder, pull_request=True, revision="next"),
        call(folder, "lab/none", pull_request=True),
        call(tmp_path / "empty"),
    )
    assert "'hard' is not a Hub id: expected OWNER/NAME, as in my-organisation/hard" in name["message"]
    assert "'a/b/c' is not a Hub id: expected OWNER/NAME" in deep["message"]
    assert "'lab/a..b' is not a Hub id" in dots["message"]
    assert "a pull request goes to main: got the branch 'next' with it" in both["message"]
    assert "lab/none does not exist, or the token has no access: a pull request needs" in absent["message"]
    assert "is not a built data set: it has no manifest.json" in empty["message"]
    assert [e["exit"] for e in (name, deep, dots, both, absent, empty)] == [2, 2, 2, 2, 1, 1]
    assert minihub.repos == {}


def test_a_changed_file_is_not_published(minihub: LoopbackHub, folder: Path) -> None:
    """Against the manifest, before the Hub is asked anything."""
    (folder / "README.md").write_text("changed")
    (result,) = publishes(minihub, call(folder))
    assert "README.md has " in result["message"]
    assert minihub.requests == []


def test_a_file_that_the_hub_leaves_out_is_noticed(minihub: LoopbackHub, folder: Path) -> None:
    """Where the repository's .gitignore would drop a file in silence, the result is not called published."""
    minihub.push("dataset", REPO, {"LICENSE": b"x"})
    ignored = {
        "files": [
            {"path": p, "uploadMode": "regular", "shouldIgnore": p == "README.md"} for p in local(folder)
        ]
    }
    minihub.faults.append(Fault("POST", "/preupload/", status=200, body=ignored))
    (result,) = publishes(minihub, call(folder))
    assert "does not hold what is here: README.md differ" in result["message"]
    assert ".gitignore" in result["message"]
    assert "v1.0.0" not in minihub.repos["dataset", REPO].git("tag").decode()


def test_a_pull_request_that_was_changed_is_not_taken_for_ours(minihub: LoopbackHub, folder: Path) -> None:
    """Its title names this build, its files do not: no second one is opened, the user is told."""
    minihub.push("dataset", REPO, {"LICENSE": b"x"})
    (first,) = publishes(minihub, call(folder, pull_request=True))
    change = (
        "from huggingface_hub import HfApi\n"
        "HfApi().upload_file(path_or_fileobj=b'x', path_in_repo='README.md', repo_id='lab/hard',"
        " repo_type='dataset', revision='refs/pr/1')"
    )
    assert minihub.client(change, token=TOKENS["alice"]).returncode == 0
    (second,) = publishes(minihub, call(folder, pull_request=True))
    assert (
        f"the pull request {first['url']} does not hold what is here: README.md differ" in second["message"]
    )
    assert len(minihub.repos["dataset", REPO].meta["discussions"]) == 1


def test_bad_front_matter_is_refused_by_name(minihub: LoopbackHub, folder: Path) -> None:
    """The Hub checks the card's YAML before anything is sent."""
    (folder / "README.md").write_text("---\na: [\n---\n")
    rewrite_manifest(folder)
    (result,) = publishes(minihub, call(folder))
    assert "the upload to lab/hard was stopped: Invalid metadata in README.md." in result["message"]
    assert log(minihub) == ["initial commit"]
