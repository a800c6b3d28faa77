"""Weights as people have them: found in their wrapping, one set of several chosen, nothing lost unsaid.

A training script saves ``{"model": ...}`` or ``{"state_dict": ...}``, with ``module.`` before each
key, with an EMA copy beside it, with its normalisation as a layer before the network. Where a file
holds an EMA copy it is taken, as timm's ``load_checkpoint`` does, since it is what such a run
evaluates; of other sets that differ none is guessed. ``FILE#ENTRY`` takes the one that it names.
"""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagenet_hard.base.errors import WeightsError
from imagenet_hard.classifiers.normalisation import Normalisation, find_normalisation, role, triple
from imagenet_hard.classifiers.weights_file import Array, find, read

if TYPE_CHECKING:
    import torch

    State = Mapping[str, torch.Tensor]

log = logging.getLogger(__name__)

SETTINGS_DEPTH = 8
"""Levels of a script's settings that are looked through: ``hyper_parameters.data.transforms.val.mean``."""

# Beside a network these change none of its outputs.
_HARMLESS = re.compile(
    r"(^|[._])(criterion|loss(es)?|metrics?|acc(uracy)?|(train|val|test)_\w+|decay|num_updates)([._]|$)"
)


@dataclass(frozen=True)
class Checkpoint:
    """``state``: key -> tensor on the CPU, without wrapping; ``normalisation``: what stood beside it.

    ``held``: what is in the file, in words.
    """

    state: dict[str, torch.Tensor]
    normalisation: Normalisation | None
    held: str


def load_checkpoint(path: str | Path, own: Mapping[str, torch.Tensor]) -> Checkpoint:
    """The weights in a file for a module whose state dict is ``own``, and the file's normalisation.

    ``path`` may end in ``#ENTRY`` to name the entry to take. Where nothing in the file has the module's
    keys, the state is that of the entry that is called as weights are: of older names, or another model.

    Raises:
        WeightsError: for a file that is missing, empty, no checkpoint, without weights, or whose pickle would
            run code; where sets of weights fit that differ, or something stands beside them that may change
            what the model sees; as ``find_normalisation``.
    """
    file, wanted = find(path)
    content = read(file)
    entries = dict(entries_of(content))
    fits = list(fitting(entries, own))
    candidates = called(fits, wanted) or by_name(entries, own, wanted)
    if not candidates:
        raise WeightsError(_nothing(file, wanted, content))
    chosen = choose(candidates, own, file)
    if chosen.label != TOP:
        log.info("%s: took %s", file.name, chosen.label)
    known = [*fits, chosen]
    named = {join(label, key): value for label, state in entries.items() for key, value in state.items()}
    of_a_set = {join(each.entry, each.prefix + key) for each in known for key in own}
    settings = _settings(content)
    _check_settings({name: v for name, v in settings.items() if name not in of_a_set}, file)
    beside = {name: v for name, v in (named | settings).items() if name not in of_a_set}
    normalisation = find_normalisation(beside, file.name)
    used = set(normalisation.names) if normalisation else set()
    if chosen.label != wanted:  # else exactly this was asked for
        inside = {join(chosen.entry, key) for key in entries[chosen.entry]}
        left = {n: v for n, v in named.items() if n in inside or (role(n) and n in beside)}
        left = {n: v for n, v in left.items() if n not in used and not any(each.holds(n) for each in known)}
        _check_left(left, chosen, file)
    return Checkpoint(_alone(chosen, known, used), normalisation, _held(content))


def _settings(content: Any, label: str = "", depth: int = SETTINGS_DEPTH) -> dict[str, Any]:
    """What is called mean or std among a script's settings: name -> what stands there, an array as numpy's.

    Also in a list of steps, as of a pipeline of transforms.
    """
    inside = content if isinstance(content, Mapping) else getattr(content, "__dict__", None)
    if isinstance(content, list | tuple):
        inside = {str(n): each for n, each in enumerate(content) if isinstance(each, Mapping)}
    found: dict[str, Any] = {}
    for key, value in inside.items() if isinstance(inside, Mapping) and depth else ():
        if not isinstance(key, str):
            continue
        name = join(label, key)
        deeper = _settings(value, name, depth - 1)
        plain = isinstance(value, list | tuple | Array | int | float | str | Mapping)
        if role(key) and plain and not isinstance(value, bool) and not deeper:
            found[name] = value.values if isinstance(value, Array) else value
        found |= deeper
    return found


def _check_settings(settings: Mapping[str, Any], file: Path) -> None:
    """Say which settings are called as a normalisation and are not read as one."""
    if unread := [n for n, v in settings.items() if triple(v) is None and not _HARMLESS.search(n)]:
        log.warning(
            "%s: %s among its settings is not read as mean or std, being no list of three numbers: if the "
            "model was trained under it, its numbers are others",
            file.name, _few(unread),
        )  # fmt: skip


def _check_left(left: State, chosen: WeightSet, file: Path) -> None:
    """Say what stands beside the weights and is not taken; refuse what may work on the images.

    Raises:
        WeightsError: naming it.
    """
    odd = [n for n, v in left.items() if not _HARMLESS.search(n) and (role(n) or (v.numel() == 3 and v.ndim))]
    if odd:
        raise WeightsError(
            f"{file} holds {_few(odd)} beside the weights {chosen.label}, a mean or a value for each colour: "
            "it may change the images, and it isn't known how. Load the whole model in a function of your "
            f"own, FILE.py:function; to take the weights without it write {file.name}#{chosen.label}"
        )
    unknown = [n for n in left if not _HARMLESS.search(n) and not NOT_WEIGHTS.search(n)]
    if unknown:
        log.warning(
            "%s: %d tensors beside %s are left out (%s): if they take part in the model's outputs, its "
            "numbers are others",
            file.name, len(unknown), chosen.label, _few(unknown),
        )  # fmt: skip
    elif left:
        log.info("%s: %d tensors beside %s are left out", file.name, len(left), chosen.label)


def _alone(chosen: WeightSet, known: Sequence[WeightSet], used: set[str]) -> dict[str, torch.Tensor]:
    """The state without a normalisation or another set among its keys; with the versions of its modules."""
    prefixes = {each.prefix for each in known if each.entry == chosen.entry} - {chosen.prefix}
    inner = tuple(p.removeprefix(chosen.prefix) for p in prefixes if p.startswith(chosen.prefix))
    state = OrderedDict(
        (key, value)
        for key, value in chosen.state.items()
        if not key.startswith(inner) and join(chosen.entry, chosen.prefix + key) not in used
    )
    if hasattr(chosen.state, "_metadata"):
        state._metadata = chosen.state._metadata  # type: ignore[attr-defined]
    return state


def _nothing(file: Path, wanted: str | None, content: Any) -> str:
    if wanted is not None:
        return f"{file} has no entry {wanted!r}: it has {_held(content)}"
    return (
        f"{file} holds no weights: expected a state dict (key -> tensor), alone or under a name such as "
        f"state_dict or model; got {_held(content)}"
    )


def _held(content: Any) -> str:
    """What a file holds, as ``FILE#ENTRY`` names it."""
    import torch

    if not isinstance(content, Mapping):
        return type(content).__name__
    told = []
    for label, state in entries_of(content):
        # "model" and "ema_model" of a Lightning file, or the layers of a bare network.
        first = _few(list(dict.fromkeys(key.partition(".")[0] for key in state)))
        told.append(f"{label} ({len(state)} tensors: {first})".lstrip())
    rest = [str(key) for key, v in content.items() if not told or not isinstance(v, Mapping | torch.Tensor)]
    return _few([*told, *rest], 10) or "nothing"


def _few(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


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
