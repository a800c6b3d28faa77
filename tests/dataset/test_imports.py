"""Importing the room, and loading a folder, brings in nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.dataset.images import class_tree

HEAVY = ("torch", "torchvision", "timm", "open_clip", "datasets", "huggingface_hub", "pyarrow", "foolbox")


def loaded(code: str) -> set[str]:
    """Which of the heavy modules ``code`` imports in a fresh interpreter."""
    code += f"\nimport sys; print(*[m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


MODULES = ("", ".load", ".benchmark", ".decode", ".fingerprint", ".folder", ".hub", ".built")


def test_importing_is_light() -> None:
    """Every module of the room: what one of them imports would be there after all."""
    assert loaded("\n".join(f"import imagenet_hard.dataset{module}" for module in MODULES)) == set()


def test_a_folder_of_images_needs_no_datasets(tmp_path: Path) -> None:
    """Plain files are read plainly."""
    folder = class_tree(tmp_path)
    assert (
        loaded(f"from imagenet_hard.dataset import load_dataset; load_dataset({str(folder)!r}).fingerprint()")
        == set()
    )


def test_this_test_can_fail() -> None:
    """A heavy import is seen."""
    assert "huggingface_hub" in loaded("import huggingface_hub")
