"""Screening in bfloat16: skip in float32 what bfloat16 shows to be far from right.

A crop whose bfloat16 deficit lies above a tolerance is taken as wrong; all others are decided in
float32. The tolerance is SAFETY times the largest difference between the two that was ever seen,
and every crop that runs in both is one more comparison. When a larger difference turns up, the
crops that the smaller tolerance let pass are decided in float32 after all. So a survivor could differ from
float32's only if bfloat16 erred SAFETY times worse on it than on every crop compared.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from imagenet_hard.base.errors import ResultError
from imagenet_hard.curation.store import CurationStore, ImageRecord

SAFETY = 1.5
CALIBRATION = 256
"""Crops compared before the first one is skipped."""

AUDIT = 64
"""One in so many skipped crops is run in float32 too, to go on comparing."""

WORTH = 0.4
"""Zooms that solve more often than this go to float32 at once: most would have to be confirmed."""


@dataclass
class Tolerance:
    """Of one classifier: how far bfloat16 deficits lie from float32's, in logits."""

    compared: int = 0
    largest: float = 0.0
    skipped: int = 0

    @property
    def value(self) -> float:
        """Deficits above this are not confirmed; infinite until enough has been compared."""
        return SAFETY * self.largest if self.compared >= CALIBRATION else float("inf")

    def compare(self, screened: float, exact: float) -> None:
        """Note one crop that ran in both."""
        self.compared += 1
        self.largest = max(self.largest, abs(screened - exact))

    def add(self, after: Tolerance, *, since: Tolerance) -> None:
        """Note what another process has compared and skipped between two states of its own."""
        self.compared += after.compared - since.compared
        self.skipped += after.skipped - since.skipped
        self.largest = max(self.largest, after.largest)

    def needs_exact(self, screened: float) -> bool:
        """Whether a crop of this bfloat16 deficit has to run in float32."""
        if screened <= self.value:
            return True
        self.skipped += 1
        return self.skipped % AUDIT == 0

    def dump(self) -> str:
        return json.dumps([self.compared, self.largest, self.skipped])

    @staticmethod
    def load(text: str | None) -> Tolerance:
        """What ``dump`` wrote; a fresh one for None."""
        if text is None:
            return Tolerance()
        try:
            compared, largest, skipped = json.loads(text)
            return Tolerance(int(compared), float(largest), int(skipped))
        except (ValueError, TypeError) as error:
            raise ResultError(f"the store's screening tolerance is damaged: got {text[:80]!r}") from error


def tolerances_of(
    store: CurationStore, classifiers: Iterable[str], screened: Collection[str]
) -> dict[str, Tolerance]:
    """Of the classifiers that are ``screened`` now, or were in an earlier part of the run.

    Whether screening is worth it is measured anew each time; what was skipped once stays to be checked.
    """
    facts = {name: store.fact(f"tolerance:{name}") for name in classifiers}
    return {
        name: Tolerance.load(text) for name, text in facts.items() if name in screened or text is not None
    }


def reopen(store: CurationStore, tolerances: Mapping[str, Tolerance]) -> list[ImageRecord]:
    """Hard images with a skipped crop that the present tolerance would not skip: undecided again.

    ``tolerances``: by classifier, as they are after all that has been compared. Those crops, and no
    others, are forgotten.
    """
    found = []
    for record in list(store.images(state="hard")) if tolerances else ():
        record.views = store.views(record.id)
        near = {
            name: v.screened & (v.deficit <= tolerances[name].value)
            for name, v in record.views.items()
            if name in tolerances
        }
        if any(mask.any() for mask in near.values()):
            for name, mask in near.items():
                record.views[name].deficit[mask] = np.nan
                record.views[name].screened[mask] = False
            record.state = "open"
            found.append(record)
    store.write(found)
    return found
