"""The loopback Hub serves the official client."""

from __future__ import annotations

import pytest

from tests.hub.server import LoopbackHub


def test_a_pushed_file_is_downloaded_at_its_commit(minihub: LoopbackHub) -> None:
    """A regular file and an LFS file come back byte for byte; the tag names the commit."""
    commit = minihub.push(
        "model", "alice/tiny", {"config.json": b"{}", "model.safetensors": b"x" * 500}, tag="v1"
    )
    done = minihub.client(
        "from huggingface_hub import HfApi, hf_hub_download\n"
        "print(HfApi().model_info('alice/tiny', revision='v1').sha)\n"
        "print(len(open(hf_hub_download('alice/tiny', 'model.safetensors'), 'rb').read()))\n"
        "print(open(hf_hub_download('alice/tiny', 'config.json')).read())"
    )
    assert done.stdout.split() == [commit, "500", "{}"], done.stderr


def test_a_client_pushes_and_the_server_keeps_it(minihub: LoopbackHub) -> None:
    """The write path works with a token and is refused without one."""
    code = (
        "from huggingface_hub import HfApi\n"
        "api = HfApi(); api.create_repo('alice/new')\n"
        "api.upload_file(path_or_fileobj=b'z' * 900, path_in_repo='model.safetensors', repo_id='alice/new')"
    )
    assert "401" in minihub.client(code).stderr
    done = minihub.client(code, token="hf_alice")
    assert done.returncode == 0, done.stderr
    assert ("model", "alice/new") in minihub.repos


def test_xet_uploads_and_downloads(minihub_xet: LoopbackHub) -> None:
    """In xet mode the bytes travel by ``hf_xet`` and come back the same."""
    pytest.importorskip("huggingface_hub", minversion="1.0")  # before, the client uploads here without xet
    done = minihub_xet.client(
        "from huggingface_hub import HfApi, hf_hub_download\n"
        "api = HfApi(); api.create_repo('alice/new')\n"
        "api.upload_file(path_or_fileobj=b'z' * 90000, path_in_repo='a.safetensors', repo_id='alice/new')\n"
        "print(open(hf_hub_download('alice/new', 'a.safetensors'), 'rb').read() == b'z' * 90000)",
        token="hf_alice",
    )
    assert done.stdout.strip() == "True", done.stderr
    assert any("xet-write-token" in request["path"] for request in minihub_xet.requests)
