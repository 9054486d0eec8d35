# SPDX-License-Identifier: Apache-2.0
"""What a batch of a record tells of the calibrated event, before it is summed."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from adafocal._dtypes import at_least_float32, wide_dtype
from adafocal.calibration.classwise import check_positive_class
from adafocal.calibration.edges import assign_equal_width_bins
from adafocal.outcomes import Outcomes
from adafocal.predictions import Predictions

# Numbers worked on at a time: with all that is computed from them, what a processor core keeps near, and nearly so.
IN_CACHE, PIECE = 1 << 16, 1 << 18


class Event(NamedTuple):
    """What a batch tells of its event; the square and the gaps of the classes are summed."""

    confidence: Tensor
    happened: Tensor
    right: Tensor
    nll: Tensor
    square: Tensor
    class_gaps: Tensor


def outcome_event(outcomes: Outcomes) -> Event:
    """The event that an answer is right."""
    confidence, correct = outcomes.confidence, outcomes.correct
    wide = wide_dtype(outcomes.device)
    nll = -torch.where(correct, confidence, 1 - confidence).to(wide).log()
    square = _event_square(confidence, correct, outcomes.weight)
    return Event(confidence, correct, correct, nll, square, square.new_zeros(0, 1))


def label_event(predictions: Predictions, n_bins: int, positive_class: int | None) -> Event:
    """The event that the top label is right, or that the label is this class."""
    n, rows = predictions.n, max(1, PIECE // predictions.n_classes)
    if n <= rows or predictions.device.type != "cpu":
        return _piece_event(predictions, n_bins, positive_class)
    starts = range(0, n, rows)
    events = [_piece_event(predictions[slice(first, first + rows)], n_bins, positive_class) for first in starts]
    confidence, happened, right, nll = (torch.cat(parts) for parts in list(zip(*events, strict=True))[:4])
    square, gaps = (torch.stack(parts).sum(dim=0) for parts in zip(*(one[4:] for one in events), strict=True))
    return Event(confidence, happened, right, nll, square, gaps)


def _piece_event(predictions: Predictions, n_bins: int, positive_class: int | None) -> Event:
    labels = predictions.labels
    # One row per class: sums and comparisons then run along memory, several times faster for few classes.
    probs = predictions.probs.t().contiguous()
    top, of_label = probs.amax(dim=0), probs.gather(0, labels[None])[0]
    if positive_class is None:
        # Equal probabilities are rare, and only they need to know which class comes first.
        tied = int(torch.count_nonzero(probs == top)) > len(top)
        right = predictions.correct if tied else of_label == top
        confidence, happened = top, right
    else:
        check_positive_class(positive_class, len(probs))
        confidence, happened = probs[positive_class], labels == positive_class
        right = (confidence > 0.5) == happened
    logits, weight = predictions.logits, predictions.weight
    if positive_class is not None:
        nll = event_nll(predictions.log_probs, positive_class, happened)
    elif logits is None:
        nll = -of_label.log()
    else:
        nll = F.cross_entropy(at_least_float32(logits), labels, reduction="none")
    above = bool(top.max() > 1)
    if weight is None:
        gaps, square = _class_sums(probs, of_label, labels, n_bins, above=above)
    else:
        gaps, square = _weighted_class_sums(probs.clamp(max=1.0) if above else probs, labels, n_bins, weight)
    if positive_class is not None:
        square = _event_square(confidence, happened, weight)
    if predictions.ragged:  # the first choice of one row has nothing to do with that of another
        gaps = gaps.new_zeros(0, 1)
    return Event(confidence, happened, right, nll, square, gaps)


def event_nll(log_probs: Tensor, index: int, happened: Tensor) -> Tensor:
    """The negative log-likelihood of one class against all others, whose share is summed without cancellation."""
    others = torch.cat([log_probs[:, :index], log_probs[:, index + 1 :]], dim=1).logsumexp(dim=1)
    return -torch.where(happened, log_probs[:, index], others)


def _event_square(confidence: Tensor, happened: Tensor, weight: Tensor | None) -> Tensor:
    wide = wide_dtype(confidence.device)
    squares = (confidence.to(wide) - happened.to(wide)).square()
    return squares.sum() if weight is None else squares @ weight.to(wide)


def _weighted_class_sums(probs: Tensor, labels: Tensor, n_bins: int, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Do what :func:`_class_sums` does with a weight per sample."""
    heavy = weight.to(wide_dtype(probs.device))
    gaps, square = [], heavy.new_zeros(())
    for index, of_class in enumerate(probs):
        gap = of_class.to(heavy) - (labels == index).to(heavy)
        square += heavy @ gap.square()
        gaps.append(torch.bincount(assign_equal_width_bins(of_class, n_bins).long(), heavy * gap, n_bins))
    return torch.stack(gaps), square


def _class_sums(probs: Tensor, of_label: Tensor, labels: Tensor, n_bins: int, *, above: bool) -> tuple[Tensor, Tensor]:
    """Sum the gaps per class and bin, and the squared distance to the one-hot label, of probabilities (C, N)."""
    (n_classes, n), device, dtype = probs.shape, probs.device, wide_dtype(probs.device)
    happened = torch.bincount(assign_equal_width_bins(of_label, n_bins) + n_bins * labels, minlength=n_bins * n_classes)
    # Neighbours mostly share a bin, and adding to one place again has to wait: four places take turns.
    turn = (torch.arange(n, dtype=torch.int32, device=device) & 3) * n_bins
    expected, squares = [], (1 - 2 * of_label.to(dtype)).sum()
    for classes in torch.split(probs, max(1, IN_CACHE // n)):
        wide = classes.to(dtype).view(-1)
        squares += wide.dot(wide)
        first = 4 * n_bins * torch.arange(len(classes), dtype=torch.int32, device=device)
        place = assign_equal_width_bins(classes, n_bins).int().add_(turn).add_(first[:, None])
        shares = wide.clamp(max=1.0) if above else wide
        expected.append(torch.bincount(place.view(-1), shares, 4 * n_bins * len(classes)))
    gaps = torch.cat(expected).view(n_classes, 4, n_bins).sum(dim=1) - happened.view(n_classes, n_bins)
    return gaps, squares
