# SPDX-License-Identifier: Apache-2.0
"""From logits or probabilities and labels to the event that is calibrated: the top label was right."""

import numpy as np
import torch
from torch import Tensor

from adafocal._checks import check_labels_match
from adafocal._shapes import Labels, Logits, PerSample


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
    confidence, predicted = _largest(at_least_float32(probs), min(1, probs.ndim - 1))
    return confidence, predicted == labels


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
    largest, predicted = _largest(wide, axis)
    confidence = (largest - wide.logsumexp(dim=axis)).exp().clamp(max=1.0)
    return confidence, predicted == labels


def _largest(values: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Give the largest value and the lowest class that has it."""
    if values.device.type != "cpu" or values.requires_grad or torch.compiler.is_compiling() or axis != values.ndim - 1:
        return values.max(dim=axis)
    # NumPy searches rows with vector instructions, PyTorch on the CPU does not: ten times slower for many classes.
    predicted = torch.from_numpy(np.asarray(values.numpy().argmax(axis)))
    return values.gather(axis, predicted.unsqueeze(axis)).squeeze(axis), predicted


def at_least_float32(values: Tensor) -> Tensor:
    """Widen half precision to float32; leave float32 and float64 as they are."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
