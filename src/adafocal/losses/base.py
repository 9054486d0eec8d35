# SPDX-License-Identifier: Apache-2.0
"""What every classification loss shares: the four options of ``nn.CrossEntropyLoss``, carried and documented once."""

import inspect
from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn
from typing_extensions import TypedDict

from adafocal._docs import completed, described
from adafocal._dtypes import at_least_float32
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.losses.cross_entropy import modulated_cross_entropy, output_dtype, wide_cross_entropy
from adafocal.losses.options import check_options
from adafocal.losses.reduced import Reduced, WithSlope, is_plain
from adafocal.losses.reduction import reduce_losses, sample_weights

Function = TypeVar("Function", bound=Callable[..., Tensor])
INPUTS = {
    "logits": "Shape (C,), (N, C) or (N, C, d1, …).",
    "labels": "Class indices of shape (), (N,) or (N, d1, …), or class probabilities of the shape of ``logits``.",
}
OPTIONS = {
    "weight": "Weight per class, shape (C,).",
    "ignore_index": "Class index whose samples do not count, and have loss 0.",
    "reduction": "``none``, ``mean`` or ``sum``.",
    "label_smoothing": "Share of the target spread evenly over the classes, in [0, 1].",
}
COMPUTED = {"per_sample", "cross_entropy", "sample_weights", "modulated", "reduced", "options"}
OF_MODULES = {"Raises": "TypeError: If a setting is of the wrong type.\n    ValueError: If a setting is out of range."}
OF_FUNCTIONS = {
    "Returns": "Losses in nats of shape (), (N,) or (N, d1, …), at least 0; lower is better.",
    "Raises": "TypeError: If ``logits`` is not floating point or ``labels`` has a dtype that is neither.\n"
    "    ValueError: If shapes do not fit or an option is out of range.",
}


class SampleOptions(TypedDict, total=False):
    """What a function that gives the loss of each sample takes besides its own settings, for type checkers."""

    weight: Tensor | None
    ignore_index: int
    label_smoothing: float


class OtherOptions(TypedDict, total=False):
    """What the constructor of a loss takes besides ``weight`` and its own settings, for type checkers."""

    ignore_index: int
    reduction: str
    label_smoothing: float


class LossOptions(OtherOptions, total=False):
    """What the constructor of a loss takes besides its own settings, for type checkers."""

    weight: Tensor | None


class ClassificationLoss(nn.Module):
    """A loss that takes what ``nn.CrossEntropyLoss`` takes, and reduces as it does.

    ``weight`` comes first, as there; all else is given by name. A subclass gives ``per_sample(logits, labels)``, which
    returns weighted losses of the shape of the labels. One with settings of its own takes ``weight`` first, ends its
    constructor's arguments with ``**options: Unpack[OtherOptions]``, and hands both on.
    """

    weight: Tensor | None
    has_slope: ClassVar[bool] = False  # whether `with_slope` is that of what this class computes

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        check_options(weight=weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.reduction = reduction
        self.label_smoothing = label_smoothing

    def __init_subclass__(cls) -> None:
        """Let signature and documentation name the parent's arguments that ``**options`` stands for."""
        super().__init_subclass__()
        if not vars(cls).get("has_slope") and not COMPUTED.isdisjoint(vars(cls)):
            cls.has_slope = False
        if "__init__" in vars(cls):
            parent = super(cls, cls).__init__
            cls.__init__.__signature__ = _spelled_out(cls.__init__, of=parent)  # type: ignore[attr-defined]
        shared = reduce(or_, (described(parent.__doc__) for parent in reversed(cls.__mro__[1:])), OPTIONS)
        cls.__doc__ = completed(cls.__doc__, inspect.signature(cls).parameters, shared, OF_MODULES)

    @property
    def options(self) -> dict[str, Any]:
        """The options that a function of single samples takes."""
        return {"weight": self.weight, "ignore_index": self.ignore_index, "label_smoothing": self.label_smoothing}

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Compute the loss of each sample."""
        raise NotImplementedError

    def with_slope(self, logits: Tensor, place: Tensor, factor: float) -> tuple[Tensor, Tensor]:
        """Compute losses of samples and their derivative; see :class:`~adafocal.losses.reduced.Reduced`."""
        raise NotImplementedError

    def forward(self, logits: Logits, labels: Labels) -> Tensor:
        """Compute the loss, reduced as ``reduction`` says."""
        if self.in_one_step(logits, labels):
            return self.one_step(self.with_slope, self._formula, logits, labels)
        return self._formula(logits, labels)

    def _formula(self, logits: Logits, labels: Labels) -> Tensor:
        return self.reduced(self.per_sample(logits, labels), labels)

    def in_one_step(self, logits: Logits, labels: Labels) -> bool:
        """Whether this is a step of training that one function can take, from the logits to the reduced loss."""
        return (
            self.has_slope
            and torch.is_grad_enabled()
            and self._buffers["weight"] is None
            and self.reduction != "none"
            and not self.label_smoothing
            and is_plain(logits, labels)
            and logits.requires_grad
        )

    def one_step(
        self, with_slope: WithSlope, formula: Callable[[Logits, Labels], Tensor], logits: Logits, labels: Labels
    ) -> Tensor:
        """Compute the reduced loss by :class:`~adafocal.losses.reduced.Reduced`."""
        mean = self.reduction == "mean"
        step = Reduced(with_slope, lambda x: formula(x, labels), labels, ignore_index=self.ignore_index, mean=mean)
        loss, dtype = step(at_least_float32(logits)), output_dtype(logits)
        return loss if loss.dtype is dtype else loss.to(dtype)

    def cross_entropy(self, logits: Logits, labels: Labels) -> PerSample:
        """Compute the weighted cross-entropy of each sample, in float32 or wider."""
        return wide_cross_entropy(logits, labels, **self.options)

    def sample_weights(self, logits: Logits, labels: Labels) -> Tensor:
        """Say how much each sample counts: its class's weight, 0 where it is ignored."""
        return sample_weights(logits, labels, weight=self.weight, ignore_index=self.ignore_index)

    def modulated(self, modulate: Callable[[Tensor], Tensor], logits: Logits, labels: Labels) -> PerSample:
        """Apply ``modulate`` to the cross-entropy of each sample; see :func:`modulated_cross_entropy`."""
        return modulated_cross_entropy(modulate, logits, labels, **self.options)

    def reduced(self, losses: PerSample, labels: Labels) -> Tensor:
        """Reduce as ``reduction`` says; see :func:`reduce_losses`."""
        return reduce_losses(
            losses, labels, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction
        )

    def extra_repr(self) -> str:
        """Show the settings, as ``name=value`` pairs."""
        shown = {name: value for name, value in vars(self).items() if not name.startswith("_") and name != "training"}
        return ", ".join(f"{name}={value}" for name, value in shown.items())


def per_sample_loss(function: Function) -> Function:
    """Let signature and documentation of a function name what every function of single samples takes and gives."""
    signature = _spelled_out(function, "self", "reduction", of=ClassificationLoss.__init__)
    function.__signature__ = signature  # type: ignore[attr-defined]
    function.__doc__ = completed(function.__doc__, signature.parameters, INPUTS | OPTIONS, OF_FUNCTIONS)
    return function


def _spelled_out(function: Callable[..., Any], *without: str, of: Callable[..., Any]) -> inspect.Signature:
    """Put the parameters of the constructor ``of`` in the place of ``**options``.

    Python keeps names and defaults apart from ``**options``, yet ``help``, the documentation and
    :func:`~adafocal.losses.make_loss`, which refuses what is not in a signature, must see every name.
    """
    shared = inspect.signature(of).parameters.values()
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    if parameters[-1].kind is inspect.Parameter.VAR_KEYWORD:
        named = {*signature.parameters, *without}
        parameters[-1:] = [
            option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in shared if option.name not in named
        ]
    return signature.replace(parameters=parameters)
