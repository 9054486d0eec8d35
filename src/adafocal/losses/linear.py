# SPDX-License-Identifier: Apache-2.0
"""Cross-entropy of a linear head over many classes, such as a vocabulary, without ever holding all logits."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from adafocal._checks import can_read, check_floating, check_label_values, check_tensor
from adafocal._dtypes import HALF, at_least_float32
from adafocal._shapes import Features, HeadBias, HeadWeight, Labels, PerSample
from adafocal.calibration.linear import as_samples, check_head, rows_at_a_time
from adafocal.errors import InvalidValueError
from adafocal.losses.options import check_ignore_index

__all__ = ["linear_cross_entropy"]


def linear_cross_entropy(
    features: Features,
    weight: HeadWeight,
    labels: Labels,
    *,
    bias: HeadBias | None = None,
    ignore_index: int = -100,
    chunk_size: int | None = None,
) -> PerSample:
    """Compute the cross-entropy of each sample, ``F.cross_entropy(F.linear(features, weight, bias), labels)``.

    Hand the result to :meth:`~adafocal.losses.AdaFocalLoss.from_cross_entropy`. Logits exist a chunk of samples at a
    time, in forward and in backward, which computes them anew: one more multiplication with the head, and memory that
    does not grow with samples times classes. It pays from some thousand classes on; below, keep the logits.

    Runs on ``F.linear_cross_entropy`` where torch has it (2.13), else, and in half precision or under autocast, on
    recomputation by ``torch.utils.checkpoint``.

    Args:
        features: What the head reads, shape (…, D).
        weight: Weight of the head, shape (C, D).
        labels: Class indices of the leading shape of ``features``.
        bias: Bias of the head, shape (C,).
        ignore_index: Class index whose samples get 0 and no gradient.
        chunk_size: Samples per chunk; by default as many as have 2^24 logits, 64 MiB in float32.

    Returns:
        Cross-entropies of the shape of ``labels``, nats, in float32 or wider.

    Raises:
        TypeError: If ``features`` is not floating point or ``labels`` does not hold class indices.
        ValueError: If the shapes do not fit, there are fewer than 2 classes, a label is out of range, or ``chunk_size``
            is below 1.

    Example:
        >>> features, weight = torch.eye(2), torch.tensor([[2.0, 0.0], [0.0, 2.0]])
        >>> linear_cross_entropy(features, weight, torch.tensor([0, 1]))
        tensor([0.1269, 0.1269])
    """
    check_floating("weight", weight)
    check_tensor("labels", labels)
    check_head(features, weight, labels, bias)
    if weight.shape[0] < 2:
        raise InvalidValueError(f"`weight` must have at least 2 classes, got shape {tuple(weight.shape)}.")
    check_ignore_index(ignore_index)
    if can_read(labels):
        check_label_values(labels, weight.shape[0], ignore_index=ignore_index)
    rows, flat = as_samples(features, labels)
    size = rows_at_a_time(weight, chunk_size)
    # Torch's kernel rounds its result to half precision, and knows nothing of autocast.
    narrow = features.dtype in HALF or torch.is_autocast_enabled(features.device.type)
    if hasattr(nn, "LinearCrossEntropyOptions") and not narrow:
        options = nn.LinearCrossEntropyOptions(chunking_method=None, batch_chunk_size=size)
        ce: Tensor = F.linear_cross_entropy(
            rows, weight, flat, linear_bias=bias, reduction="none", ignore_index=ignore_index, options=options
        )
    else:
        ce = recomputed_cross_entropy(rows, weight, flat, bias, ignore_index, size)
    return ce.view(labels.shape)


def recomputed_cross_entropy(
    rows: Tensor, weight: Tensor, labels: Tensor, bias: Tensor | None, ignore_index: int, size: int
) -> Tensor:
    """Do what ``F.linear_cross_entropy`` does, for a torch that lacks it; ``size`` samples at a time."""

    def of_chunk(rows: Tensor, labels: Tensor) -> Tensor:
        logits = at_least_float32(F.linear(rows, weight, bias))
        return F.cross_entropy(logits, labels, ignore_index=ignore_index, reduction="none")

    chunks = zip(torch.split(rows, size), torch.split(labels, size), strict=True)
    # Nothing in a chunk is random; the reentrant form takes no torch.autograd.grad.
    parts = [checkpoint(of_chunk, *chunk, use_reentrant=False, preserve_rng_state=False) for chunk in chunks]
    return torch.cat(parts)
