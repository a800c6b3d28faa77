"""How to run: device, precision, batch size, workers, parsed once and passed whole."""

from __future__ import annotations

import ctypes
import re
import sys
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypedDict, get_args

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.options import Option
from imagenet_hard.base.runtime import available_cores
from imagenet_hard.base.types import Precision

if TYPE_CHECKING:
    import torch

RuntimeName = Literal["torch", "openvino", "auto"]

AUTO_BATCH = {"cpu": 16, "cuda": 256, "mps": 64}
"""First batch size of ``auto``: on a CPU, activations of larger batches fall out of the caches."""


def _batch_size(text: str) -> int | str | None:
    if text in ("auto", "fastest"):
        return None if text == "auto" else text
    if not text.isdigit() or int(text) < 1:
        raise ValueError("expected a number of images of 1 or more, 'auto' or 'fastest'")
    return int(text)


class RunOptions(TypedDict, total=False):
    """How models are run, as it is asked for; ``RunSettings`` has the same by name.

    ``batch_size`` None: fixed for the kind of device, and halved where memory runs out; "fastest": measured.
    """

    device: Annotated[str, Option("auto", "auto, cpu, cuda, cuda:N or mps.", recorded="runtime.device")]
    precision: Annotated[
        Precision, Option("fp32", "Arithmetic of the forward pass.", recorded="protocol.precision")
    ]
    batch_size: Annotated[
        int | Literal["fastest"] | None,
        Option(
            None,
            "Images in a forward pass: auto is fixed for the kind of device and halved where memory runs "
            "out, fastest is measured [default: auto].",
            flags=("--batch-size", "-b"),
            metavar="N|auto|fastest",
            parse=_batch_size,
            recorded="protocol.batch_size",
        ),
    ]
    workers: Annotated[
        int | None,
        Option(
            None,
            "Decoding threads [default: one for each core].",
            flags=("--workers", "-j"),
            metavar="N",
            least=1,
            recorded="runtime.workers",
        ),
    ]
    fold: Annotated[
        bool,
        Option(
            True,
            "Do not fold batch norms into convolutions on the CPU.",
            recorded="protocol.optimizations",
        ),
    ]
    compile: Annotated[bool, Option(False, recorded="protocol.optimizations")]
    runtime: Annotated[RuntimeName, Option("torch", recorded="protocol.optimizations")]


@dataclass(frozen=True)
class RunSettings:
    """``batch_size`` None means auto; ``workers`` None means one decode thread a core, 16 at most.

    ``fold`` lets batch norms be folded into convolutions, ``compile`` runs ``torch.compile`` first (same
    predictions but for near-ties; both are checked on the first images). ``runtime``: "openvino" in place of
    torch on a CPU, under the same check; "auto" takes it where it is installed and faster.
    """

    device: str = "auto"
    precision: Precision = "fp32"
    batch_size: int | None = None
    workers: int | None = None
    fold: bool = True
    compile: bool = False
    runtime: RuntimeName = "torch"

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            raise UsageError(f"precision {self.precision!r}: expected {', '.join(get_args(Precision))}")
        for name in ("batch_size", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} is {value}: expected 1 or more")
        if self.runtime not in get_args(RuntimeName):
            raise UsageError(f"runtime {self.runtime!r}: expected {', '.join(get_args(RuntimeName))}")
        if self.compile and self.runtime == "openvino":
            raise UsageError(
                "compile belongs to torch, and the runtime openvino cannot use it: give one of the two"
            )

    def key(self) -> dict[str, object]:
        """All of them but a runtime of torch, so that keys from before there was another stay theirs."""
        return {name: value for name, value in asdict(self).items() if (name, value) != ("runtime", "torch")}

    def first_batch_size(self, device_type: str) -> int:
        return self.batch_size or AUTO_BATCH.get(device_type, 64)

    def decode_workers(self) -> int:
        return self.workers or min(16, available_cores())


def device_type(name: str) -> str:
    """The type of ``resolve_device``, without torch where that cannot find another.

    Raises:
        UsageError: as ``resolve_device``.
    """
    return "cpu" if name == "cpu" or (name == "auto" and _no_accelerator()) else resolve_device(name).type


def _no_accelerator() -> bool:
    """Whether there is no torch, or its CUDA runtime would find no driver to open: then it sees no device.
    Linux only, where it opens one by this name."""
    torch = find_spec("torch")
    if torch is None:  # models in words need none; all others will say so
        return True
    if sys.platform != "linux" or torch.origin is None:
        return False
    version = Path(torch.origin).with_name("version.py")
    if not version.is_file() or not re.search(r"^hip\b[^=\n]*= None$", version.read_text(), re.MULTILINE):
        return False  # AMD's has another driver
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return True
    return False


def resolve_device(name: str) -> torch.device:
    """``auto`` is the first CUDA device, else Apple's MPS, else the CPU.

    Raises:
        UsageError: for a device that torch doesn't know or that isn't there.
    """
    import torch

    if name == "auto":
        has_mps = torch.backends.mps.is_available()
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"device {name!r}: expected auto, cpu, cuda, cuda:N or mps") from error
    if device.type == "cuda":
        n = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= n:
            raise UsageError(
                f"device {name!r} was asked for and torch {torch.__version__} sees {n} CUDA devices here: "
                "use --device cpu, or install a CUDA build of torch and check nvidia-smi"
            )
    elif device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("device 'mps' was asked for and isn't available here: use --device cpu")
    elif device.type not in ("cpu", "cuda", "mps"):
        raise UsageError(f"device {name!r}: expected auto, cpu, cuda, cuda:N or mps")
    return device


def device_name(device: torch.device) -> str:
    """What the record says of a device: its type, and which it is."""
    import platform

    import torch

    if device.type == "cuda":
        return f"{device.type} ({torch.cuda.get_device_name(device)})"
    return f"{device.type} ({platform.machine()}, {torch.get_num_threads()} threads)"
