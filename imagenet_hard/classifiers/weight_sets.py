"""Sets of weights in a checkpoint: every place that has a module's keys, and which of them is meant."""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagenet_hard.base.errors import WeightsError

if TYPE_CHECKING:
    import torch

    State = Mapping[str, torch.Tensor]

log = logging.getLogger(__name__)

EMA_ENTRIES = ("state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema", "params_ema")
ENTRIES = (
    *EMA_ENTRIES,
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "module",
    "net",
    "network",
    "params",
    "weights",
)
"""Entries that hold a state dict, the preferred ones first: where its keys are not the module's own."""

PREFIXES = ("module.", "model.", "_orig_mod.", "backbone.", "net.", "network.", "timm_model.", "ema_model.")
"""What wrappers put before every key: DDP, Lightning, torch.compile, one's own classes."""

NOT_WEIGHTS = re.compile(r"(^|\.)(total_ops|total_params|n_averaged)$")
"""What thop and AveragedModel leave among the weights."""

# Old files lack the batch counters, which evaluation does not use; extra state is no tensor.
_OPTIONAL = re.compile(r"(^|\.)(num_batches_tracked|_extra_state)$")

# Momenta and gradients have the keys and shapes of weights.
_NO_ENTRY = re.compile(r"(lr_?)?sched\w*|optim(izers?)?(_\w+)?|(grad_?)?scaler\w*|grad(ient)?s?")

DEPTH = 4
"""Levels of a checkpoint that are looked through."""

TOP = "."
"""``FILE#.``: the keys that stand without an entry or a prefix."""


def join(entry: str, key: str) -> str:
    """The name of ``key`` in the whole file."""
    return f"{entry}.{key}" if entry else key


@dataclass(frozen=True)
class WeightSet:
    """Those tensors of the entry ``entry`` whose keys begin with ``prefix``, which ``state`` is without."""

    entry: str
    prefix: str
    state: State

    @property
    def label(self) -> str:
        """What stands behind ``FILE#`` for it."""
        return join(self.entry, self.prefix).strip(".") or TOP

    def holds(self, name: str) -> bool:
        """Whether a name in the whole file begins as its keys do."""
        return name.startswith(join(self.entry, self.prefix))


def entries_of(content: Any, label: str = "", depth: int = DEPTH) -> Iterator[tuple[str, State]]:
    """The mappings in a checkpoint that hold tensors under names: where each is, and the tensors."""
    import torch

    if not isinstance(content, Mapping) or not depth:
        return
    state = OrderedDict(
        (k.replace("_orig_mod.", ""), v)
        for k, v in content.items()
        if isinstance(k, str) and isinstance(v, torch.Tensor)
    )
    if hasattr(content, "_metadata"):  # the versions of modules, which torch.save keeps beside a state dict
        state._metadata = content._metadata  # type: ignore[attr-defined]
    if state:
        yield label, state
    for key, value in content.items():
        if isinstance(key, str) and not _NO_ENTRY.fullmatch(key):
            yield from entries_of(value, join(label, key), depth - 1)


def fitting(entries: Mapping[str, State], own: State) -> Iterator[WeightSet]:
    """Every place in the file that has all keys of the module, whatever stands before them."""
    needed = [key for key in own if not _OPTIONAL.search(key)]
    for entry, state in entries.items() if needed else ():
        for key in state:
            if key != needed[0] and not key.endswith(f".{needed[0]}"):
                continue
            prefix = key.removesuffix(needed[0])
            if all(prefix + each in state for each in needed):
                yield WeightSet(entry, prefix, _inside(state, prefix))


def called(sets: Sequence[WeightSet], wanted: str | None) -> list[WeightSet]:
    """Those that ``wanted`` means: by the whole label, or by a part of it."""
    if wanted is None:
        return list(sets)
    whole = [each for each in sets if each.label == wanted]
    return whole or [each for each in sets if f".{wanted}." in f".{each.label}."]


def by_name(entries: Mapping[str, State], own: State, wanted: str | None) -> list[WeightSet]:
    """Where no set has the module's keys: the entry that is called as weights are, and those like it."""
    if wanted is not None:
        return _under(entries, own, wanted)
    known = [entry for entry in entries if entry and set(entry.split(".")) <= set(ENTRIES)]
    known.sort(key=lambda entry: ENTRIES.index(entry.partition(".")[0]))
    if not known:
        largest = max((len(state) for state in entries.values()), default=0)
        known = [entry for entry, state in entries.items() if len(state) == largest]
    sets = [_stripped(entry, entries[entry], own) for entry in known]
    return [each for each in sets if each.state.keys() == sets[0].state.keys()]


def choose(sets: Sequence[WeightSet], own: State, file: Path) -> WeightSet:
    """The one whose shapes are the module's; of several that differ the EMA.

    Raises:
        WeightsError: where several differ, and it isn't clear which is meant.
    """
    distinct: list[WeightSet] = []
    for each in [s for s in sets if _shaped(s, own)] or sets:
        if not any(_equal(each.state, other.state) for other in distinct):
            distinct.append(each)
    if len(distinct) == 1:
        return distinct[0]
    averaged = [each for each in distinct if set(each.label.split(".")) & set(EMA_ENTRIES)]
    if len(averaged) == 1:
        other = next(each for each in distinct if each is not averaged[0])
        log.warning(
            "%s holds %s: the EMA weights %r are used (write FILE#%s for the other)",
            file.name, " and ".join(each.label for each in distinct), averaged[0].label, other.label,
        )  # fmt: skip
        return averaged[0]
    labels = [each.label for each in distinct]
    raise WeightsError(
        f"{file} holds {len(labels)} sets of weights that could be meant, and they differ: "
        f"{', '.join(labels)}. Name one of them, for instance {file.name}#{labels[0]}"
    )


def _under(entries: Mapping[str, State], own: State, wanted: str) -> list[WeightSet]:
    for entry, state in entries.items():
        if entry == wanted or entry.startswith(f"{wanted}."):
            return [_stripped(entry, state, own)]
        prefix = f"{wanted.removeprefix(f'{entry}.' if entry else '')}."
        if inside := _inside(state, prefix):
            return [WeightSet(entry, prefix, inside)]
    return []


def _stripped(entry: str, state: State, own: State) -> WeightSet:
    """Without what wrappers put before the keys, as long as it is not the module's own."""
    total = ""
    while not state.keys() & own.keys():
        weights = sum(not NOT_WEIGHTS.search(key) for key in state)
        for prefix in PREFIXES:
            inside = _inside(state, prefix)
            # A Lightning file may hold a loss or metrics beside the model; the model is the larger part.
            if inside and (2 * len(inside) > len(state) or len(inside) == weights):
                break
        else:
            break
        state, total = inside, total + prefix
    return WeightSet(entry, total, state)


def _inside(state: State, prefix: str) -> State:
    if not prefix:
        return state
    return {key.removeprefix(prefix): v for key, v in state.items() if key.startswith(prefix)}


def _shaped(each: WeightSet, own: State) -> bool:
    return all(each.state[key].shape == own[key].shape for key in own.keys() & each.state.keys())


def _equal(a: State, b: State) -> bool:
    import torch

    return all(a[key].dtype == b[key].dtype and torch.equal(a[key], b[key]) for key in a.keys() & b.keys())
