"""What is measured once on a machine and remembered there, so that a run that is resumed finds it again."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.runtime import cache_dir
from imagenet_hard.engine.settings import RunSettings, device_name, resolve_device

if TYPE_CHECKING:
    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.engine.engine import Engine

log = logging.getLogger(__name__)

Choice = TypeVar("Choice", bound=int | str)


def measured_once(
    what: str,
    choices: Collection[Choice],
    measure: Callable[[Classifier, RunSettings], Choice],
    classifier: Classifier,
    settings: RunSettings,
    engine: Engine,
    *facts: str,
) -> Choice:
    """What ``measure`` gives where the engine runs, one of ``choices``, for classifier, settings and device.

    ``what``: the folder of the cache that it is remembered in; ``facts``: what else it depends on. Anything
    that is no choice, as a file that was cut short may hold, is measured anew.

    Raises:
        ClassifierError: as ``measure``.
    """
    settings = replace(settings, device=engine.device_type(settings.device))
    if engine.workers is None:
        device = device_name(resolve_device(settings.device))
    else:
        device = min(engine.workers.devices)
    parts = [classifier.spec.model_dump(mode="json"), settings.key(), device, *facts]
    name = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    file = cache_dir() / what / f"{name}.json"
    try:
        known = json.loads(file.read_text())
    except (OSError, ValueError):
        known = None
    for choice in choices:
        if known == choice:
            return choice
    if engine.workers is None:
        found = measure(classifier, settings)
    else:
        classifier.module.cpu()  # to be sent
        found = engine.workers.call(partial(measure, classifier, settings))
    log.info("%s on %s: %s is the fastest of the %s", classifier.spec.name, device, found, what)
    try:
        write_atomically(file, json.dumps(found).encode())
    except ResultError as error:
        log.warning("the fastest of the %s cannot be remembered: %s", what, error)
    return found
