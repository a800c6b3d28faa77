"""Settings and devices: wrong ones are refused where they are given."""

from __future__ import annotations

from importlib.machinery import ModuleSpec

import pytest
import torch

from imagenet_hard.base.errors import UsageError
from imagenet_hard.engine import settings
from imagenet_hard.engine.settings import RunSettings, resolve_device


def test_settings_say_what_they_expect():
    """Wrong values are refused where they are given."""
    with pytest.raises(UsageError, match="precision 'fp8': expected fp32, bf16, fp16"):
        RunSettings(precision="fp8")
    with pytest.raises(UsageError, match="batch_size is 0: expected 1 or more"):
        RunSettings(batch_size=0)


def test_devices():
    """A GPU that isn't there is named with a way out."""
    assert resolve_device("cpu").type == "cpu"
    with pytest.raises(UsageError, match="device 'tpu'"):
        resolve_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="'cuda:3' was asked for.*sees 0 CUDA devices.*--device cpu"):
            resolve_device("cuda:3")
        assert resolve_device("auto").type in ("cpu", "mps")


@pytest.mark.parametrize(
    ("driver", "hip", "platform", "asked"),
    [
        (False, "None", "linux", False),
        (True, "None", "linux", True),
        (False, "'6.2'", "linux", True),
        (False, "None", "darwin", True),
    ],
)
def test_torch_is_asked_where_there_may_be_an_accelerator(
    driver, hip, platform, asked, monkeypatch, tmp_path
):
    """Without a driver to open, NVIDIA's runtime finds no device: torch need not be imported to say so."""
    (tmp_path / "version.py").write_text(f"__version__ = '2'\nhip: Optional[str] = {hip}\n")
    spec = ModuleSpec("torch", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(settings, "find_spec", lambda name: spec)
    monkeypatch.setattr(settings.sys, "platform", platform)

    def opened(name):
        if not driver:
            raise OSError(name)

    monkeypatch.setattr(settings.ctypes, "CDLL", opened)
    monkeypatch.setattr(settings, "resolve_device", lambda name: torch.device("cuda"))
    assert settings.device_type("auto") == ("cuda" if asked else "cpu")
    assert settings.device_type("cpu") == "cpu"
    assert settings.device_type("cuda") == "cuda"


def test_the_device_type_is_torchs():
    assert settings.device_type("auto") == resolve_device("auto").type
