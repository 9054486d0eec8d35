# SPDX-License-Identifier: Apache-2.0
"""What the metrics share: checked batches of logits or probabilities, with ignored samples left out."""

from torch import Tensor

from adafocal._dtypes import at_least_float32
from adafocal._shapes import Labels, Logits
from adafocal._values import check_class_indices, check_distributions, check_softmax
from adafocal.calibration.top_label import top_label_from_logits, top_label_from_probs


def counted_top_label(values: Logits, labels: Labels, *, inputs: str, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Give confidence and correctness of the samples that count, both of shape (n,)."""
    top_label = top_label_from_logits if inputs == "logits" else top_label_from_probs
    confidence, correct = top_label(values, labels, ignore_index=ignore_index)
    counted = labels != ignore_index
    if counted.all():
        return confidence.flatten(), correct.flatten()
    return confidence[counted], correct[counted]


def counted_samples(values: Logits, labels: Labels, *, inputs: str, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Give the values, shape (n, C) in float32 or wider, and the labels, shape (n,), of the samples that count."""
    counted = check_class_indices(values, labels, name=inputs, ignore_index=ignore_index)
    axis = min(1, values.ndim - 1)
    rows = at_least_float32(values).movedim(axis, -1).reshape(labels.numel(), values.shape[axis])
    labels = labels.flatten().long()
    if counted is not None:
        rows, labels = rows[counted.flatten()], labels[counted.flatten()]
    if inputs == "logits":
        check_softmax(inputs, rows.amax(dim=1) - rows.logsumexp(dim=1))
    else:
        check_distributions(inputs, rows, axis=1, dtype=values.dtype)
    return rows, labels
