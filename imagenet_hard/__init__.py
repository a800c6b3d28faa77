"""ImageNet-Hard: the images that stay misclassified however you zoom, and how a model does on them.

    import imagenet_hard
    result = imagenet_hard.evaluate("vit_b_32", dataset="imagenet-hard")
    print(result.metrics.top1)

Names are loaded on first use, so that ``import imagenet_hard`` imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from imagenet_hard.base.runtime import __version__

_PUBLIC = {
    "Classifier": "classifiers.base",
    "Example": "base.types",
    "ImageNetHardError": "base.errors",
    "Result": "evaluation.result",
    "compare": "evaluation.compare",
    "evaluate": "evaluation.run",
    "evaluate_all": "evaluation.run",
    "list_models": "classifiers.listing",
    "load_classifier": "classifiers.registry",
    "load_dataset": "dataset.load",
    "open_engine": "engine.engine",
    "read_result": "evaluation.result",
}

__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__
