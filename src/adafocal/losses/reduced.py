# SPDX-License-Identifier: Apache-2.0
"""The reduced loss of a plain batch as one function of the logits, computed in parts that fit into the cache."""

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from adafocal._checks import can_read, check_label_values
from adafocal.losses.derived import Derived, Kept

WithSlope: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
IN_CACHE = 1 << 18  # logits at a time, for each thread


class Reduced(Derived):
    """The sum of the losses of samples, or their mean, as a function of logits of shape (N, C) or (N, C, d1, …).

    Its graph is one node, and it keeps one tensor of the size of the logits. Double backward takes the formula.

    Args:
        with_slope: Gives new tensors: the losses of samples, and their derivative by the logits. It is given logits of
            shape (n, C) or (n, C, m) and class indices of shape (n,) or (n, m). An index that is no class raises.
        formula: The reduced loss of all logits as a plain graph.
        labels: Class indices of shape (N,) or (N, d1, …), on the CPU.
        ignore_index: Class index that does not count.
        mean: Whether to divide by the number of samples that count.
    """

    def __init__(
        self,
        with_slope: WithSlope,
        formula: Callable[[Tensor], Tensor],
        labels: Tensor,
        *,
        ignore_index: int,
        mean: bool,
    ) -> None:
        self.with_slope, self.plain, self.labels = with_slope, formula, labels
        self.ignore_index, self.mean, self.divisor = ignore_index, mean, 1

    def formula(self, x: Tensor) -> Tensor:
        """Compute it as a plain graph."""
        return self.plain(x)

    def value(self, x: Tensor) -> tuple[Tensor, Kept]:
        """Compute it, and the derivative of the sum."""
        logits, labels = (x, self.labels) if x.ndim == 2 else (x.flatten(2), self.labels.flatten(1))
        n_classes = x.shape[1]
        if 0 <= self.ignore_index < n_classes:
            return self._of_counted(logits, labels)
        try:
            losses, slope = in_parts(self.with_slope, logits, labels)
        except (IndexError, RuntimeError):  # of an index that is no class, as is one to ignore
            check_label_values(self.labels, n_classes, ignore_index=self.ignore_index)
            return self._of_counted(logits, labels)
        self.divisor = losses.numel() if self.mean else 1
        return losses.mean() if self.mean else losses.sum(), (slope,)

    def slope(self, grad: Tensor, x: Tensor, *kept: Any) -> Tensor:
        """Multiply by the derivative."""
        slope: Tensor = torch.mul(kept[0], grad / self.divisor)
        return slope if slope.ndim == x.ndim else slope.view(x.shape)

    def _of_counted(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Kept]:
        """Do what :meth:`value` does where some labels are ignored: they get a loss and a derivative of 0."""
        ignored = labels == self.ignore_index
        losses, slope = in_parts(self.with_slope, logits, labels.masked_fill(ignored, 0))
        total = losses.view_as(ignored).masked_fill_(ignored, 0.0).sum()
        n = ignored.numel() - int(ignored.count_nonzero()) if self.mean else 1
        self.divisor = max(n, 1)
        return total / n, (slope.masked_fill_(ignored.unsqueeze(1), 0.0),)


def in_parts(with_slope: WithSlope, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Compute losses and derivative of logits (n, C) or (n, C, m), as many at a time as the cache holds."""
    most = IN_CACHE * torch.get_num_threads()
    if logits.numel() <= most:
        return with_slope(logits, labels)
    losses, slope = torch.empty(labels.shape, dtype=logits.dtype), torch.empty(logits.shape, dtype=logits.dtype)
    size = logits[0].numel()
    rows, places = max(1, most // size), -(-labels[0].numel() // -(-size // most))  # equal parts of an image
    parts = _split((logits, labels, losses, slope), rows, 0)
    if size > most and labels.ndim > 1:
        parts = [part for image in parts for part in _split(image, places, -1)]
    for part, of, loss, by_logits in parts:
        found = with_slope(part, of)
        loss.copy_(found[0])
        by_logits.copy_(found[1])
    return losses, slope


def _split(tensors: tuple[Tensor, ...], size: int, axis: int) -> list[tuple[Tensor, ...]]:
    return list(zip(*(torch.split(values, size, axis) for values in tensors), strict=True))


def cross_entropy_with_slope(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Compute cross-entropies, p - 1 of the labels without cancellation, and the derivative by the logits, p - y."""
    place = labels.unsqueeze(1)
    log_p = F.log_softmax(logits, dim=1)
    of_label = log_p.gather(1, place)
    ce, minus_q = of_label.neg().squeeze(1), of_label.expm1_()
    return ce, minus_q.squeeze(1), log_p.exp_().scatter_(1, place, minus_q)


def is_plain(logits: object, labels: object) -> bool:
    """Whether these are rows, pixels or voxels with class indices, on the CPU: all that the checks ask for holds."""
    return (
        isinstance(logits, Tensor)
        and isinstance(labels, Tensor)
        and labels.dtype is torch.int64
        and logits.is_floating_point()
        and logits.ndim > 1
        and logits.shape[1] > 1
        and labels.shape == logits.shape[:1] + logits.shape[2:]
        and can_read(labels)
        and logits.device == labels.device
    )
