# SPDX-License-Identifier: Apache-2.0
"""What the metrics share: checked batches of logits or probabilities, with ignored samples left out."""

import torch
from torch import Tensor

from adafocal._checks import check_choice, check_integer, check_label_values, check_labels_match
from adafocal._dtypes import at_least_float32
from adafocal._shapes import Labels, Logits
from adafocal.calibration.top_label import top_label_from_logits, top_label_from_probs
from adafocal.errors import InvalidTypeError

INPUTS = ("logits", "probs")


def check_settings(inputs: str, ignore_index: int) -> None:
    """Raise unless the settings that all metrics share make sense."""
    check_choice("inputs", inputs, INPUTS)
    check_integer("ignore_index", ignore_index, minimum=torch.iinfo(torch.int64).min)


def counted_top_label(values: Logits, labels: Labels, *, inputs: str, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Give confidence and correctness of the samples that count, both of shape (n,)."""
    counted = _counted(values, labels, inputs, ignore_index)
    top_label = top_label_from_logits if inputs == "logits" else top_label_from_probs
    confidence, correct = top_label(values, labels)
    if counted is None:
        return confidence.flatten(), correct.flatten()
    return confidence[counted], correct[counted]


def counted_samples(values: Logits, labels: Labels, *, inputs: str, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Give the values, shape (n, C) in float32 or wider, and the labels, shape (n,), of the samples that count."""
    counted = _counted(values, labels, inputs, ignore_index)
    rows = at_least_float32(values).movedim(min(1, values.ndim - 1), -1).reshape(labels.numel(), -1)
    if counted is None:
        return rows, labels.flatten().long()
    return rows[counted.flatten()], labels[counted].long()


def _counted(values: Tensor, labels: Tensor, inputs: str, ignore_index: int) -> Tensor | None:
    """Give which samples count, or None where all do; raise unless values and labels fit."""
    check_labels_match(values, labels, name=inputs)
    if labels.is_floating_point():
        raise InvalidTypeError("`labels` must be class indices, got class probabilities.")
    n_classes = values.shape[min(1, values.ndim - 1)]
    if not 0 <= ignore_index < n_classes and labels.numel() > 0:
        low, high = labels.aminmax()
        if int(low) >= 0 and int(high) < n_classes:
            return None
    check_label_values(labels, n_classes, ignore_index=ignore_index)
    return labels != ignore_index
