# SPDX-License-Identifier: Apache-2.0
"""The options of ``nn.CrossEntropyLoss``, which all losses share, and what they may be."""

from torch import Tensor

from adafocal._checks import check_choice, check_floating, check_number
from adafocal._text import shown
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.losses.targets import class_axis

REDUCTIONS = ("none", "mean", "sum")


def check_options(
    *,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> None:
    """Raise unless the options make sense; reads the values of ``weight``, so only where a loss is made."""
    check_choice("reduction", reduction, REDUCTIONS)
    check_number("label_smoothing", label_smoothing, low=0.0, high=1.0)
    check_ignore_index(ignore_index)
    if weight is not None:
        _check_class_weights(weight)


def _check_class_weights(weight: Tensor) -> None:
    if isinstance(weight, (bool, int, float, str)):
        raise InvalidTypeError(
            f"`weight` must be a floating-point tensor, got {shown(weight)}: other settings are given by name."
        )
    check_floating("weight", weight)
    if weight.ndim != 1:
        raise InvalidValueError(f"`weight` must have shape (C,), one per class, got {tuple(weight.shape)}.")
    wrong = ~((weight >= 0) & weight.isfinite())
    if weight.device.type != "meta" and wrong.any():
        place = int(wrong.nonzero()[0])
        raise InvalidValueError(f"`weight` must be finite and >= 0, got {float(weight[place])} for class {place}.")


def check_ignore_index(ignore_index: int) -> None:
    """Raise unless ``ignore_index`` is an integer."""
    if isinstance(ignore_index, bool) or not isinstance(ignore_index, int):
        raise InvalidTypeError(f"`ignore_index` must be an integer, got {shown(ignore_index)}.")
    if abs(ignore_index) >= 2**63:
        raise InvalidValueError(f"`ignore_index` must fit into 64 bits, got {shown(ignore_index)}.")


def check_weight(weight: Tensor, logits: Tensor) -> None:
    """Raise unless ``weight`` holds one number per class."""
    check_floating("weight", weight)
    n_classes = logits.shape[class_axis(logits)]
    if weight.shape != (n_classes,):
        raise InvalidValueError(f"`weight` must have shape ({n_classes},), one per class, got {tuple(weight.shape)}.")
