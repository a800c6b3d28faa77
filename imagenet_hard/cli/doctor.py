"""``imagenet-hard doctor``: what to look at when a number differs from another machine's."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

import click

from imagenet_hard.base.runtime import PACKAGES, available_cores, package_versions
from imagenet_hard.base.text import reason
from imagenet_hard.cli.console import at_work

LOW_DISK_BYTES = 5 << 30
HUB_TIMEOUT_SECONDS = 5


@dataclass(frozen=True)
class Finding:
    """One line of the report; only "failed" makes the exit code 1."""

    name: str
    status: Literal["ok", "warning", "failed"]
    detail: str


@click.command("doctor")
@click.option("--offline", is_flag=True, help="Do not try to reach the Hub.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(offline: bool, as_json: bool) -> int:
    """Check versions, devices, decode and transform hashes, access to the Hub, and disk space.

    Two machines with the same hashes see the same pixels. Exits with 1 if a check does not hold.
    """
    with at_work():
        report = examine(offline=offline)
    if as_json:
        click.echo(json.dumps([asdict(c) for c in report], indent=2))
    else:
        for check in report:
            mark = {"ok": "ok  ", "warning": "warn", "failed": "FAIL"}[check.status]
            click.echo(f"{mark}  {check.name:<26} {check.detail}")
    return 1 if any(check.status == "failed" for check in report) else 0


def examine(offline: bool = False) -> list[Finding]:
    """All checks, in the order in which they are read. A check that raises has failed and says why."""
    installed = package_versions()
    checks = [_version(name, installed) for name in PACKAGES]
    for name, check in (
        ("devices", _devices),
        ("decode hash", _decode_hash),
        ("transform hash", _transform_hash),
        ("forward pass", _forward),
        ("disk space of the caches", _disk),
    ):
        checks.append(_guarded(name, check))
    if not offline:
        checks.append(_guarded("Hub", _hub))
    return checks


def _guarded(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:  # a doctor reports, whatever it meets
        return Finding(name, "failed", reason(error))


def _version(name: str, installed: Mapping[str, str]) -> Finding:
    if name in installed:
        return Finding(name, "ok", installed[name])
    if name == "transformers":
        return Finding(name, "ok", "not installed: models and text towers of Hugging Face need it")
    return Finding(name, "failed", f"not installed: pip install {name}")


def _devices() -> Finding:
    import torch

    cuda = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    found = [*cuda, *(["Apple MPS"] if torch.backends.mps.is_available() else [])]
    return Finding("devices", "ok", f"{available_cores()} CPU cores; {', '.join(found) or 'no accelerator'}")


def _decode_hash() -> Finding:
    """Of the pixels that this machine's JPEG decoder makes of a fixed file."""
    from PIL import features

    from imagenet_hard.classifiers.transform import to_rgb
    from imagenet_hard.dataset.decode import decode

    fixed = (files("imagenet_hard.cli") / "data" / "fixed.jpg").read_bytes()
    pixels = to_rgb(decode(fixed, id="fixed JPEG")).tobytes()
    digest = hashlib.sha256(pixels).hexdigest()
    turbo = features.version_feature("libjpeg_turbo")
    codec = f"libjpeg-turbo {turbo}" if turbo else "libjpeg"
    return Finding("decode hash", "ok", f"{digest[:16]} ({codec})")


def _transform_hash() -> Finding:
    from imagenet_hard.classifiers.transform import IMAGENET_MEAN, IMAGENET_STD, Transform, paper_transform

    native = Transform(256, (224, 224), "bicubic").sha256()
    paper = paper_transform(IMAGENET_MEAN, IMAGENET_STD).sha256()
    return Finding("transform hash", "ok", f"bicubic 256/224 {native[:16]}, paper {paper[:16]}")


def _forward() -> Finding:
    """A convolution in float32 must be what float64 gives, or the numbers of this machine mislead."""
    import torch

    generator = torch.Generator().manual_seed(0)
    x, w = (torch.randn(s, generator=generator) for s in ((2, 8, 32, 32), (16, 8, 3, 3)))
    exact = torch.nn.functional.conv2d(x.double(), w.double())
    error = float((torch.nn.functional.conv2d(x, w) - exact).abs().max() / exact.abs().max())
    return Finding(
        "forward pass", "ok" if error < 1e-5 else "failed", f"float32 convolution is off by {error:.1e}"
    )


def _disk() -> Finding:
    folders = {
        "Hugging Face": os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface",
        "torch": os.environ.get("TORCH_HOME") or Path.home() / ".cache" / "torch",
        "results": Path.cwd(),
    }
    free = {name: shutil.disk_usage(_existing(Path(folder))).free for name, folder in folders.items()}
    detail = ", ".join(f"{name} {n / 2**30:.0f} GiB free" for name, n in free.items())
    return Finding(
        "disk space of the caches", "ok" if min(free.values()) >= LOW_DISK_BYTES else "warning", detail
    )


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _hub() -> Finding:
    from imagenet_hard.base.errors import DatasetError
    from imagenet_hard.hub.checks import secret_of
    from imagenet_hard.hub.read import commit_at, offline

    if offline():
        return Finding(
            "Hub", "warning", "offline mode (HF_HUB_OFFLINE): only cached data sets and weights load"
        )
    token = "with a token" if secret_of(None) else "no token (public repositories only)"
    try:
        commit = commit_at("taesiri/imagenet-hard", None, timeout=HUB_TIMEOUT_SECONDS)
    except DatasetError as error:
        return Finding("Hub", "warning", f"not reached, {token}: {error}")
    return Finding("Hub", "ok", f"imagenet-hard is at commit {commit[:12]}, {token}")
