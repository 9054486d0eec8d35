# SPDX-License-Identifier: Apache-2.0
"""From logits or probabilities and labels to the event that is calibrated: the top label was right."""

import numpy as np
import torch
from torch import Tensor

from adafocal._checks import check_labels_match
from adafocal._dtypes import at_least_float32
from adafocal._piece import class_after_class
from adafocal._shapes import Labels, Logits, PerSample

# Below so many classes, a row is too short for its own search to pay.
FEW = 16


def top_label_from_probs(probs: Logits, labels: Labels) -> tuple[PerSample, PerSample]:
    """Give the largest probability of each sample and whether its class is the label.

    Args:
        probs: Class probabilities of shape (C,), (N, C) or (N, C, d1, …); values are not checked.
        labels: Class indices of shape (), (N,) or (N, d1, …).

    Returns:
        ``confidence`` in [0, 1] and boolean ``correct``, both of the shape of ``labels``. The lowest class wins ties.

    Raises:
        TypeError: If ``probs`` is not floating point.
        ValueError: If the shapes do not fit.

    Example:
        >>> top_label_from_probs(torch.tensor([[0.7, 0.2, 0.1]]), torch.tensor([1]))
        (tensor([0.7000]), tensor([False]))
    """
    check_labels_match(probs, labels, name="probs")
    return _largest(at_least_float32(probs), labels, min(1, probs.ndim - 1))


def top_label_from_logits(logits: Logits, labels: Labels) -> tuple[PerSample, PerSample]:
    """Give the largest softmax probability of each sample and whether its class is the label.

    Without a softmax matrix: the confidence is exp(max - logsumexp), in float32 or wider.

    Args:
        logits: Shape (C,), (N, C) or (N, C, d1, …); values are not checked.
        labels: Class indices of shape (), (N,) or (N, d1, …).

    Returns:
        ``confidence`` in [0, 1] and boolean ``correct``, both of the shape of ``labels``. The lowest class wins ties.

    Raises:
        TypeError: If ``logits`` is not floating point.
        ValueError: If the shapes do not fit.

    Example:
        >>> top_label_from_logits(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        (tensor([0.8808]), tensor([True]))
    """
    check_labels_match(logits, labels)
    wide, axis = at_least_float32(logits), min(1, logits.ndim - 1)
    largest, correct = _largest(wide, labels, axis)
    return (largest - wide.logsumexp(dim=axis)).exp().clamp(max=1.0), correct


def _largest(values: Tensor, labels: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Give the largest value, and whether the label is the lowest class that has it."""
    if (
        values.device.type != "cpu"
        or values.requires_grad
        or torch.compiler.is_compiling()
        or labels.is_floating_point()
    ):
        largest, predicted = values.max(dim=axis)
        return largest, predicted == labels
    n_classes = values.shape[axis]
    if values.stride(axis) == 1 and n_classes >= FEW:
        # NumPy searches long rows with vector instructions, PyTorch on the CPU does not.
        predicted = torch.from_numpy(np.asarray(values.numpy().argmax(axis)))
        return values.gather(axis, predicted.unsqueeze(axis)).squeeze(axis), predicted == labels
    if values.ndim == 2:
        values = torch.from_numpy(class_after_class(values.numpy()))
    largest = torch.from_numpy(np.asarray(values.numpy().max(axis)))
    # Equal values are rare, and only they (and NaN, which equals nothing) need a search for the class.
    if np.count_nonzero(values.numpy() == largest.unsqueeze(axis).numpy()) != labels.numel():
        return largest, values.argmax(dim=axis) == labels
    known = labels.clamp(0, n_classes - 1).long()
    return largest, (values.gather(axis, known.unsqueeze(axis)).squeeze(axis) == largest) & (known == labels)
