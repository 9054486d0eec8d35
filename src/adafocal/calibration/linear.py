# SPDX-License-Identifier: Apache-2.0
"""Confidence and correctness of a linear head over many classes, without ever holding all logits."""

import torch
from torch import Tensor

from adafocal._checks import INDEX_DTYPES, check_floating, check_integer, check_label_values, check_tensor
from adafocal._docs import documented
from adafocal._dtypes import at_least_float32
from adafocal._shapes import Features, Given, HeadBias, HeadWeight, Labels, PerSample
from adafocal._values import check_softmax
from adafocal.calibration.top_label import softmax_top_label
from adafocal.errors import InvalidTypeError, InvalidValueError

LOGITS_AT_A_TIME = 1 << 24


@documented
@torch.no_grad()
def top_label_from_features(
    features: Given[Features],
    weight: Given[HeadWeight],
    labels: Given[Labels],
    *,
    bias: Given[HeadBias] | None = None,
    chunk_size: int | None = None,
    ignore_index: int = -100,
) -> tuple[PerSample, PerSample]:
    """Compute ``top_label_from_logits(F.linear(features, weight, bias), labels)``, a chunk at a time.

    For validation at the size of a vocabulary: hand the result, without ignored samples, to
    :meth:`~adafocal.losses.AdaFocalLoss.observe_top_label` or to :func:`grid_stats`. Gives no gradient.

    Args:
        features: What the head reads, shape (…, D); it and ``bias`` take the dtype of ``weight``.
        weight: Weight of the head, shape (C, D).
        labels: Class indices in [0, C) of the leading shape of ``features``.
        bias: Bias of the head, shape (C,).
        chunk_size: Samples per chunk; by default as many as have 2^24 logits, 64 MiB in float32.
        ignore_index: Label of samples that do not count: never right, and their logits are not checked.

    Returns:
        ``confidence`` in [0, 1], in float32 or wider, and boolean ``correct``, both of the shape of ``labels``. The
        lowest class wins ties.

    Raises:
        TypeError: If ``features`` is not floating point or ``labels`` does not hold class indices.
        ValueError: If the shapes do not fit, a label is out of range, logits are not finite, or ``chunk_size`` is below
            1.

    Example:
        >>> top_label_from_features(torch.eye(2), torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1]))
        (tensor([0.8808, 0.5000]), tensor([ True, False]))
    """
    check_head(features, weight, labels, bias)
    check_label_values(labels, len(weight), ignore_index=ignore_index)
    rows, flat = as_samples(features, labels)
    size, bias = rows_at_a_time(weight, chunk_size), None if bias is None else bias.to(weight)
    parts = [
        softmax_top_label(at_least_float32(torch.nn.functional.linear(some.to(weight), weight, bias)), theirs, 1)
        for some, theirs in zip(torch.split(rows, size), torch.split(flat, size), strict=True)
    ]
    confidence, correct = (torch.cat(kind).view(labels.shape) for kind in zip(*parts, strict=True))
    check_softmax("logits", confidence, counted=labels != ignore_index)
    return confidence, correct


def check_head(features: Tensor, weight: Tensor, labels: Tensor, bias: Tensor | None) -> None:
    """Raise unless features, head and labels fit together."""
    for name, values in (("features", features), ("weight", weight), ("labels", labels)):
        check_tensor(name, values)
    check_floating("features", features)
    check_floating("weight", weight)
    if features.ndim == 0 or weight.ndim != 2 or weight.shape[1] != features.shape[-1]:
        raise InvalidValueError(
            "`weight` must have shape (C, D) for `features` of shape (…, D), "
            f"got {tuple(weight.shape)} for {tuple(features.shape)}."
        )
    if labels.dtype not in INDEX_DTYPES:
        raise InvalidTypeError(f"`labels` must be integer class indices, got dtype {labels.dtype}.")
    if labels.shape != features.shape[:-1]:
        raise InvalidValueError(
            f"`labels` must have the leading shape of `features`, {tuple(features.shape[:-1])}, "
            f"got {tuple(labels.shape)}."
        )
    if bias is not None:
        check_tensor("bias", bias)
    if bias is not None and bias.shape != weight.shape[:1]:
        raise InvalidValueError(f"`bias` must have shape ({weight.shape[0]},), one per class, got {tuple(bias.shape)}.")


def as_samples(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Lay out features as (N, D) and labels as (N,)."""
    return features.reshape(-1, features.shape[-1]), labels.reshape(-1).long()


def rows_at_a_time(weight: Tensor, chunk_size: int | None) -> int:
    """Samples per chunk: those asked for, or as many as have 2^24 logits."""
    if chunk_size is None:
        return max(1, LOGITS_AT_A_TIME // weight.shape[0])
    check_integer("chunk_size", chunk_size, minimum=1)
    return chunk_size
