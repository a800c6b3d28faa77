"""One classifier made ready on one device: pixels in, float32 logits out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.base.text import reason
from imagenet_hard.base.types import N_CLASSES, Precision
from imagenet_hard.classifiers.base import in_eval_mode
from imagenet_hard.classifiers.module_state import undisturbed
from imagenet_hard.classifiers.transform import apart
from imagenet_hard.engine.openvino import (
    NotConvertible,
    OpenVinoModule,
    converted,
    faster,
    may_convert,
    openvino_version,
)
from imagenet_hard.engine.optimize import TRIED, compiled, difference, fold_batch_norms, layout_of

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.engine.settings import RunSettings, RuntimeName

log = logging.getLogger(__name__)

REWRITE_TOLERANCE = {"fp32": 1e-4, "bf16": 0.05, "fp16": 0.01}
"""Largest difference of a logit, relative to the largest logit, at which a rewritten model is used.

In half precision a few units of its last place, through all layers: enough to tell a wrong model from another
order of rounding.
"""


class Predictor(Protocol):
    """An image to logits: ``prepare`` runs in decode threads, ``launch`` on the device, in one thread."""

    name: str
    precision: Precision
    device: torch.device
    optimizations: list[str]

    @property
    def batch_size(self) -> int:
        """Views in one pass through the model."""

    @property
    def images(self) -> int:
        """Images that one call of ``launch`` takes at most."""

    @property
    def ahead(self) -> int | None:
        """Images that may be prepared ahead, where each takes much memory; None: the engine's own number."""

    def prepare(self, image: Image.Image, digest: str) -> Any:
        """A decoded image and the sha256 of its file -> what ``launch`` takes."""

    def launch(self, prepared: Sequence[Any], ids: Sequence[str]) -> torch.Tensor:
        """Logits, or log probabilities, of at most ``images`` images: float32 (n, 1000) on the device.

        An accelerator need not have computed them yet, and they may hold what is not finite.
        """

    def shrink(self) -> bool:
        """Take less memory after it ran out; False where that can't help."""


class Forward:
    """Forward passes of ``classifier`` under ``settings``, all of one batch size.

    The last batch is filled up with copies of its last image: every pass then runs the same
    kernels, and a resumed run gives the numbers of an uninterrupted one. No memory is handed to the model
    twice: it may write into its input, or give one and the same tensor each time.
    """

    def __init__(self, classifier: Classifier, settings: RunSettings, device: torch.device) -> None:
        self.classifier, self.device, self.precision = classifier, device, settings.precision
        self.name = classifier.spec.name
        self.batch_size = settings.first_batch_size(device.type)
        self._may_shrink = settings.batch_size is None
        self._may_fold = settings.fold and device.type == "cpu"
        self._compiles = self._may_compile = settings.compile
        self._freeze = self._may_fold
        self._may_convert, self._must_be_faster = (
            may_convert(settings, device.type),
            settings.runtime == "auto",
        )
        self.optimizations: list[str] = []
        self._module = in_eval_mode(classifier.module).to(device)
        self._layout, self._transform = layout_of(classifier), apart(classifier.transform)

    @property
    def runtime(self) -> RuntimeName:
        """What runs the model."""
        return "openvino" if isinstance(self._module, OpenVinoModule) else "torch"

    @property
    def images(self) -> int:
        """Images that one call takes: one view of each, one batch."""
        return self.batch_size

    @property
    def ahead(self) -> int | None:
        """No limit of its own on the images that are prepared ahead."""
        return None

    def prepare(self, image: Image.Image, digest: str) -> Any:
        """The pixels of an image's standard view; whatever the image's ``digest``."""
        return self._transform.pixels(image)

    def launch(self, pixels: Sequence[Any], ids: Sequence[str]) -> torch.Tensor:
        """Begin the pass over the pixels of ``n <= batch_size`` images; an accelerator goes on by itself.

        Returns float32 (n, 1000) on the device, which may hold what is not finite.

        Raises:
            ClassifierError: the model fails, or gives something else than logits.
        """
        full = [*pixels, *[pixels[-1]] * (self.batch_size - len(pixels))]
        batch = self._batch(full, ids)
        with self._no_gradients(), exact_float32(), self._autocast():
            if not self._layout.settled:
                self._layout.settle(batch, self._run, REWRITE_TOLERANCE[self.precision])
            batch = self._layout.of(batch)
            if self._may_convert and (logits := self._converted(batch)) is not None:
                return logits[: len(pixels)]
            if isinstance(self._module, OpenVinoModule) and self._module.shape != batch.shape:
                self._back_to_torch(batch)
            if self._may_fold and self.runtime == "torch":  # a graph's compiler folds by itself
                self._fold(batch)
            if self._may_compile:
                self._compile(batch)
            return self._run(batch)[: len(pixels)]

    def logits(self, pixels: Sequence[Any], ids: Sequence[str]) -> torch.Tensor:
        """Pixels of ``n <= batch_size`` images -> float32 (n, 1000) on the device, some of which may be -inf.

        That is a class which is never predicted, as the log of a probability of 0 says: it ranks last.

        Raises:
            ClassifierError: as ``launch``, and for NaN, +inf or nothing but -inf, naming the image.
        """
        import torch

        logits = self.launch(pixels, ids)
        if bad := (~torch.isfinite(logits.amax(dim=1))).nonzero().flatten().tolist():
            raise not_finite(self, [ids[i] for i in bad])
        return logits

    def _batch(self, pixels: Sequence[Any], ids: Sequence[str]) -> torch.Tensor:
        import torch

        sizes: dict[tuple[int, ...], str] = {}
        for each, id in zip(pixels, ids, strict=False):  # what fills the batch up repeats the last
            sizes.setdefault(tuple(getattr(each, "shape", ())), id)
        if len(sizes) > 1:
            (one, first), (other, second) = list(sizes.items())[:2]
            raise ClassifierError(
                f"the transform of {self.name} gives several sizes: {one} for image {first!r}, {other} for "
                f"{second!r}. A batch needs one: end with a crop, as CenterCrop(224), or give --batch-size 1"
            )
        try:
            return self._transform.batch(pixels, self.device)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # anything may go wrong in a transform of one's own
            raise ClassifierError(
                f"the transform of {self.name} failed on {len(pixels)} images, the first {ids[0]!r}: "
                f"{reason(error)}"
            ) from error

    def _run(self, batch: torch.Tensor) -> torch.Tensor:
        """float32 logits in memory of their own; ``batch`` belongs to the model from here on."""
        import torch

        name = self.classifier.spec.name
        try:
            output = self._module(batch)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # anything may go wrong in a model, of one's own above all
            raise ClassifierError(
                f"{name} failed on a batch of shape {tuple(batch.shape)} in {self.precision} on "
                f"{self.device}: {reason(error)}"
            ) from error
        if not isinstance(output, torch.Tensor) or output.shape != (len(batch), N_CLASSES):
            shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
            raise ClassifierError(
                f"{name} gave {shape} for {len(batch)} images: expected logits of shape "
                f"({len(batch)}, {N_CLASSES}), one for each ImageNet class"
            )
        return output.detach().to(torch.float32, copy=True)

    def shrink(self) -> bool:
        """Halve an automatic batch size after memory ran out; False where that can't help."""
        if not self._may_shrink or self.batch_size == 1:
            return False
        self.batch_size //= 2
        log.warning("out of memory on %s: batch size halved to %d", self.device, self.batch_size)
        return True

    def _no_gradients(self) -> AbstractContextManager[Any]:
        import torch

        # Under inference mode neither compiler nor exporter would take the weights as constants.
        return torch.no_grad() if self._compiles or self._may_convert else torch.inference_mode()

    def _autocast(self) -> AbstractContextManager[Any]:
        import torch

        if self.precision == "fp32":
            return nullcontext()
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float16
        return torch.autocast(self.device.type, dtype)

    def _fold(self, batch: torch.Tensor) -> None:
        """Fold on the first real batch, and keep the folded model only if it agrees there."""
        import torch

        self._may_fold = False
        batch = batch[:TRIED]
        with torch.autocast(self.device.type, enabled=False):
            try:
                folded, n = fold_batch_norms(self._module, batch)
                if n == 0:
                    return
                folded = self._layout.apply(folded)
                with undisturbed(folded), undisturbed(self._module):
                    found = difference(folded(batch.clone()), self._module(batch.clone()))
            except Exception as error:  # a model that can't be copied or run twice is run as it is
                log.debug("batch norms are not folded: %s", error)
                return
        if found > REWRITE_TOLERANCE["fp32"]:
            log.info("batch norms are not folded: logits differ by %.1e", found)
            return
        self._module = folded
        self.optimizations.append(f"{n} batch norms folded")

    def _compile(self, batch: torch.Tensor) -> None:
        """Compile on the first real batch, which is of the size of all others, under the same rule."""
        name = self.classifier.spec.name
        log.info("%s: torch.compile, which takes a minute or so", name)
        with undisturbed(self._module):
            expected = self._run(batch.clone())
            module, got = compiled(self._module, batch.clone(), freeze=self._freeze, name=name)
        self._may_compile = False  # not before: memory may run out, and a smaller batch come next
        if (found := difference(got, expected)) > REWRITE_TOLERANCE[self.precision]:
            log.warning("%s is run without torch.compile: its logits differ by %.1e", name, found)
            return
        self._module = module
        self.optimizations.append("torch.compile")

    def _converted(self, batch: torch.Tensor) -> torch.Tensor | None:
        """The logits of the first batch by OpenVINO, which runs the others then as well, under the same rule.

        None where torch is to run them; it is recorded what came of it. A kept graph that has agreed with
        torch on a whole batch before is compared on a part of this one.
        """
        name = self.classifier.spec.name
        log.info("%s: OpenVINO, which takes some seconds to begin", name)
        with undisturbed(self._module):
            try:
                module = converted(self.classifier, self._module, batch, self.precision)
                logits: torch.Tensor = module(batch).clone()
                some = batch[:TRIED] if module.has_agreed else batch
                expected = self._run(some.clone())
                if (found := difference(logits[: len(some)], expected)) > REWRITE_TOLERANCE[self.precision]:
                    module.forget()
                    raise NotConvertible(f"its logits differ by {found:.1e}")
                module.agrees()
                if self._must_be_faster and not self._is_faster(module, batch):
                    raise NotConvertible("it is not faster here")
            except NotConvertible as error:
                level = logging.INFO if self._must_be_faster else logging.WARNING
                log.log(level, "%s is run by torch, not by OpenVINO: %s", name, error)
                self.optimizations.append(f"not OpenVINO: {error}")
                self._may_convert = False
                return None
        self._may_convert = False  # not before: as above
        self._torch_module, self._module = self._module, module
        self.optimizations.append(f"OpenVINO {openvino_version()}")
        return logits

    def _is_faster(self, module: OpenVinoModule, batch: torch.Tensor) -> bool:
        """Than torch at its best."""
        if self._may_fold:
            self._fold(batch)
        return faster(module, self._module, batch)

    def _back_to_torch(self, batch: torch.Tensor) -> None:
        """A graph is for batches of one shape: those of one image may differ, and ``shrink`` makes others."""
        log.warning("%s is run by torch from now on: a batch is %s", self.name, tuple(batch.shape))
        self._module = self._torch_module
        self.optimizations[-1] += ", and torch from the first batch of another shape on"


def not_finite(predictor: Predictor, ids: Sequence[str]) -> ClassifierError:
    """That ``predictor`` gave NaN or infinity for the images ``ids``."""
    return ClassifierError(
        f"{predictor.name} gave NaN or infinite logits in {predictor.precision} for image {ids[0]!r} (and "
        f"{len(ids) - 1} more in its batch): try --precision fp32, and check the weights. (-inf may mask "
        "classes, all but five or more; of probabilities each row has to sum to 1.)"
    )


class exact_float32:  # lower case, as it is used like a function
    """float32 means float32: no TF32 and no autotuned kernels inside the block."""

    def __enter__(self) -> None:
        import torch

        self._saved = (
            torch.get_float32_matmul_precision(),
            torch.backends.cudnn.allow_tf32,
            torch.backends.cudnn.benchmark,
        )
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = False

    def __exit__(self, *exc: object) -> None:
        import torch

        precision, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = self._saved
        torch.set_float32_matmul_precision(precision)
