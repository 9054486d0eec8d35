# SPDX-License-Identifier: Apache-2.0
"""Samples ranked by confidence, and their losses summed where confidences are equal."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from adafocal._checks import check_same_shape, check_tensor
from adafocal._dtypes import wide_dtype
from adafocal._shapes import Confidence, Correct, SampleWeight
from adafocal._values import check_vector, checked_sample_weight, counted_samples
from adafocal.calibration.ascending import ascending_events, ascending_places, run_ends, run_lengths, run_sums
from adafocal.errors import InvalidTypeError, InvalidValueError

WHOLE = 1e-9
PIECE = 1 << 17  # ranks worked on at a time: with all that is computed from them, what a processor core keeps near


@dataclass(frozen=True, eq=False)
class LossGroups:
    """Losses summed over samples of one confidence, in ascending confidence.

    Attributes:
        confidence: Distinct confidences, ascending, shape (k,).
        count: Samples per confidence, shape (k,), whole numbers as float64.
        loss_sum: Summed loss per confidence, shape (k,).
    """

    confidence: Tensor
    count: Tensor
    loss_sum: Tensor


@dataclass(frozen=True, eq=False)
class Ranking:
    """Checked samples in ascending confidence.

    Attributes:
        confidence: Shape (N,).
        losses: Booleans where all losses are 0 or 1, else float64 where the device has it, shape (N,).
        weight: Whole weights are repeated samples; others sum to N. None: each sample counts once.
        places: Where each sample was before, shape (N,); None where nobody asked.
    """

    confidence: Tensor
    losses: Tensor
    weight: Tensor | None = None
    places: Tensor | None = None

    def __len__(self) -> int:
        return len(self.confidence)

    def groups(self, first: int = 0, end: int | None = None) -> LossGroups:
        """Sum the samples of some ranks, from 0, per confidence; by default all."""
        part = slice(first, end)
        confidence, losses = self.confidence[part], self.losses[part]
        ends = run_ends(confidence)
        if self.weight is None:
            loss_sum, count = run_sums(losses, ends), run_lengths(ends).to(wide_dtype(ends.device))
        else:
            weight = self.weight[part]
            loss_sum, count = run_sums(weight * losses, ends), run_sums(weight, ends)
        return LossGroups(confidence.index_select(0, ends - 1), count, loss_sum)

    def pieces(self) -> Iterator[tuple[int, int, LossGroups]]:
        """Give the groups of all samples some at a time: first rank, from 0, the rank after the last, groups."""
        end = 0
        while end < len(self):
            first, last = end, min(end + PIECE, len(self)) - 1
            end = int(torch.searchsorted(self.confidence, self.confidence[last], right=True))
            yield first, end, self.groups(first, end)

    def index(self) -> Tensor:
        """The group of each sample, in the order that the samples had."""
        assert self.places is not None
        ends = run_ends(self.confidence)
        each = torch.arange(len(ends), device=ends.device).repeat_interleave(run_lengths(ends))
        return torch.empty_like(each).scatter_(0, self.places, each)


def ranked(
    confidence: Confidence, losses: Correct, sample_weight: SampleWeight | None = None, *, places: bool = False
) -> Ranking:
    """Check confidences and losses and sort them; ``places`` also keeps where each sample was."""
    check_vector("confidence", confidence)
    check_tensor("losses", losses)
    if losses.is_complex():
        raise InvalidTypeError(f"`losses` must hold booleans or real numbers, got dtype {losses.dtype}.")
    check_same_shape("losses", losses, "confidence", confidence)
    confidence = confidence.detach()
    for name, values, bad in (
        ("`confidence` must not be NaN", confidence, torch.isnan),
        ("`losses` must be finite", losses, lambda values: ~values.isfinite()),
    ):
        # Any number that is not finite makes the largest or the smallest one so, too.
        if values.dtype != torch.bool and bool(bad(torch.stack(values.detach().aminmax())).any()):
            place = int(bad(values).nonzero()[0])
            raise InvalidValueError(f"{name}, got {values[place]:g} at position {place}.")
    return _sorted(*counted_samples(confidence, losses, checked_sample_weight(sample_weight, confidence)), places)


def _sorted(confidence: Tensor, losses: Tensor, weight: Tensor | None, keep_places: bool) -> Ranking:
    plain = losses if losses.requires_grad else _as_errors(losses)
    if plain.dtype == torch.bool and weight is None and not keep_places:
        return Ranking(*ascending_events(confidence, plain))
    ascending, places = ascending_places(confidence)
    wide = wide_dtype(confidence.device)
    plain = plain if plain.dtype == torch.bool else plain.to(wide)
    heavy = None if weight is None else _repeats(weight.to(wide))[places]
    return Ranking(ascending, plain[places], heavy, places if keep_places else None)


def _as_errors(losses: Tensor) -> Tensor:
    """Turn losses that are all 0 or 1 into booleans."""
    if losses.dtype == torch.bool:
        return losses
    errors = losses != 0
    return errors if bool((losses[errors] == 1).all()) else losses


def _repeats(weight: Tensor) -> Tensor:
    """Whole weights are repeated samples; others are multiplied so that they sum to the number of samples."""
    if bool((weight == weight.round()).all()):
        return weight
    weight = weight * (len(weight) / weight.sum())
    # As equal weights are, but for rounding.
    return weight.round() if bool(((weight - weight.round()).abs() < WHOLE).all()) else weight


def weighted_mean_of_groups(groups: LossGroups, weights: Tensor) -> Tensor:
    """Average weight of rank · loss, of whole counts; tied samples share the mean of their ranks' weights.

    That is the expectation over random orders within ties, so the result does not depend on the order of the samples.

    Args:
        groups: Samples by confidence.
        weights: Weight of each rank, ascending, shape (N,), with N the sum of the counts.
    """
    weights = weights.to(groups.count)
    prefix = torch.cat([weights.new_zeros(1), weights.cumsum(0)])
    last = groups.count.cumsum(0).long()
    share = prefix.index_select(0, last).diff(prepend=prefix[:1])
    return (groups.loss_sum * share / groups.count).sum() / len(weights)
