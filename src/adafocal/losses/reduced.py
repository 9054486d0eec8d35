# SPDX-License-Identifier: Apache-2.0
"""The reduced loss of a plain batch as one function of the logits, computed in parts that fit into the cache."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import torch
from torch import Tensor

from adafocal._checks import check_label_values, traced
from adafocal.losses.derived import Derived, Kept

WithSlope: TypeAlias = Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]
IN_CACHE = 1 << 18  # logits at a time, for each thread


class Reduced(Derived):
    """The sum of the losses of samples, or their mean, as a function of logits of shape (N, C) or (N, C, d1, …).

    Its graph is one node, and what it keeps is the derivative, of the size of the logits. That is found in the forward
    pass, and given away in backward: who asks twice waits for it to be computed again. Double backward takes the
    formula.

    Args:
        with_slope: Gives new tensors: the losses of samples, and their derivative by the logits times a factor. It is
            given logits of shape (n, C) or (n, C, m), class indices of shape (n, 1) or (n, 1, m), which the losses have
            as well, and the factor. An index that is no class raises.
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
        self.ignore_index, self.mean = ignore_index, mean
        self.found: Tensor | None = None

    def formula(self, x: Tensor) -> Tensor:
        """Compute it as a plain graph."""
        return self.plain(x)

    def value(self, x: Tensor) -> tuple[Tensor, Kept]:
        """Compute it, and find the derivative."""
        total, self.found = self._computed(x)
        return total, ()

    def slope(self, grad: Tensor, x: Tensor, *kept: Any) -> Tensor:
        """Multiply by the derivative."""
        slope, self.found = self.found, None
        if slope is None:  # a second pass through a graph that was kept
            slope = self._computed(x)[1]
        try:
            return slope if grad.item() == 1 else slope.mul_(grad)
        except RuntimeError:  # derivatives of many scales at once, which have no single number
            return slope * grad

    def _computed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        logits, place = (x, self.labels.unsqueeze(1)) if x.ndim == 2 else _flat(x, self.labels)
        found, n_classes = None, x.shape[1]
        if not 0 <= self.ignore_index < n_classes:
            try:
                found = self._of_all(logits, place, place.numel())
            except (IndexError, RuntimeError):  # of an index that is no class, as is one to ignore
                check_label_values(self.labels, n_classes, ignore_index=self.ignore_index)
        total, slope = found or self._of_counted(logits, place)
        return total, slope if slope.ndim == x.ndim else slope.view(x.shape)

    def _of_all(self, logits: Tensor, place: Tensor, n: int) -> tuple[Tensor, Tensor]:
        losses, slope = in_parts(self.with_slope, logits, place, 1 / max(n, 1) if self.mean else 1.0)
        total = losses.sum()
        return total.div_(constant(n, total.dtype)) if self.mean else total, slope

    def _of_counted(self, logits: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """Do the same where some labels are ignored: they get a loss and a derivative of 0."""
        if place.ndim == 2:
            counted = (place != self.ignore_index).nonzero()[:, 0]
            total, slope = self._of_all(logits[counted], place[counted], len(counted))
            return total, torch.zeros_like(logits).index_copy_(0, counted, slope)
        ignored = place == self.ignore_index
        n = ignored.numel() - int(ignored.count_nonzero()) if self.mean else 1
        losses, slope = in_parts(self.with_slope, logits, place.masked_fill(ignored, 0), 1 / max(n, 1))
        return losses.masked_fill_(ignored, 0.0).sum() / n, slope.masked_fill_(ignored, 0.0)


@lru_cache(maxsize=64)
def constant(value: float, dtype: torch.dtype) -> Tensor:
    """Give a number as a tensor, which is kept: making one of it for each product costs four products."""
    with torch.inference_mode(False):
        return torch.tensor(value, dtype=dtype)


def _flat(x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    return x.flatten(2), labels.flatten(1).unsqueeze(1)


def in_parts(with_slope: WithSlope, logits: Tensor, place: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    """Compute losses and derivative of logits (n, C) or (n, C, m), as many at a time as the cache holds."""
    most = IN_CACHE * torch.get_num_threads()
    if logits.numel() <= most:
        return with_slope(logits, place, factor)
    losses, slope = torch.empty(place.shape, dtype=logits.dtype), torch.empty(logits.shape, dtype=logits.dtype)
    size = logits[0].numel()
    rows, places = max(1, most // size), -(-place[0].numel() // -(-size // most))  # equal parts of an image
    parts = _split((logits, place, losses, slope), rows, 0)
    if size > most and place.ndim > 2:
        parts = [part for image in parts for part in _split(image, places, -1)]
    for part, of, loss, by_logits in parts:
        found = with_slope(part, of, factor)
        loss.copy_(found[0])
        by_logits.copy_(found[1])
    return losses, slope


def _split(tensors: tuple[Tensor, ...], size: int, axis: int) -> list[tuple[Tensor, ...]]:
    return list(zip(*(torch.split(values, size, axis) for values in tensors), strict=True))


def cross_entropy_with_slope(logits: Tensor, place: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Compute cross-entropies, p - 1 of the labels without cancellation, and the derivative by the logits, p - y."""
    log_p = torch.log_softmax(logits, 1)
    of_label = log_p.gather(1, place)
    ce, minus_q = of_label.neg(), of_label.expm1_()
    return ce, minus_q, log_p.exp_().scatter_(1, place, minus_q)


def is_plain(logits: object, labels: object) -> bool:
    """Whether these are rows, pixels or voxels with class indices, on the CPU: all that the checks ask for holds."""
    if not (isinstance(logits, Tensor) and isinstance(labels, Tensor) and labels.dtype is torch.int64):
        return False
    shape = logits.shape
    return (
        logits.is_cpu
        and labels.is_cpu
        and logits.is_floating_point()
        and len(shape) > 1
        and shape[1] > 1
        and labels.shape == (shape[:1] if len(shape) == 2 else shape[:1] + shape[2:])
        and not traced()
    )
