# SPDX-License-Identifier: Apache-2.0
"""Gammas that move after each validation pass: one table for all samples, and maybe one per group, class or label."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from adafocal._checks import check_number
from adafocal._ranks import Group, check_group, check_same, from_first_rank, over_ranks
from adafocal._shapes import ClassIndex, Confidence, Correct, PerSample
from adafocal.calibration.bins import BinStats
from adafocal.calibration.edges import find_bins
from adafocal.errors import InvalidValueError
from adafocal.losses.forecast import Forecast
from adafocal.losses.loop import SHARED, Watched
from adafocal.losses.modulate import Gamma
from adafocal.losses.reduction import look_up
from adafocal.losses.update_rule import moved_gammas, pooled_gap_of
from adafocal.losses.validation_statistics import ValidationStatistics, checked_top_label

PREDICTIVE = "predictive"


class AdaptiveGammas(Watched):
    """What AdaFocal learns, and how: statistics of a validation pass are noted, then gammas and edges move once.

    Gammas per group stand in a buffer of shape (groups, n_bins) that grows. The gap of a group in a bin is drawn to
    that of all: ``(m own + shrinkage gap) / (m + shrinkage)``, with ``m`` the number of its samples there, or, where
    outcomes are noted, that of its rarer outcome if it is smaller.
    """

    gamma: Tensor
    edges: Tensor
    forecast: Tensor
    n_bins: int
    rate: float
    streaming: bool
    ignore_predicted: int | None
    pooled_rate: float | str | None = None  # of losses that were pickled before there was one
    per_label: bool = False
    shrinkage: float | None = None
    groups: str | None = None  # the name of the buffer of groups; None where there are none
    shared: tuple[str, ...] = SHARED
    _observed: ValidationStatistics

    @torch.no_grad()
    def observe_top_label(self, confidence: PerSample, correct: PerSample) -> None:
        """Note what :meth:`observe` notes where there are no logits to give, such as at the size of a vocabulary.

        Samples that do not count, ignored ones or those that ``ignore_predicted`` names, are the caller's to leave out.

        Args:
            confidence: Largest probability of each sample, in [0, 1], any shape; nothing is a batch as well.
            correct: Whether its class is the label, boolean, of the shape of ``confidence``.

        Raises:
            TypeError: If ``confidence`` is not floating point or ``correct`` not boolean.
            ValueError: If the shapes differ, or a confidence is not in [0, 1]. Nothing of the batch is kept then.
        """
        if self.per_label:
            raise InvalidValueError("`observe` must be given the logits of a loss with gammas per label, got none.")
        self._note(*checked_top_label(confidence, correct))

    def _note(self, confidence: Confidence, correct: Correct) -> None:
        """Note a batch that has been checked."""
        batch = (confidence.to(self.edges), correct.to(self.edges.device))
        self._watch.observed()
        self._observed = self._observed.merge(ValidationStatistics.of_batch(*batch, streaming=self.streaming))

    @torch.no_grad()
    def adapt(self, process_group: Group = None) -> BinStats:
        """Update ``gamma`` and ``edges`` from what was observed since the last call, and forget it.

        In a distributed run every rank must call this; ranks may have observed different numbers of samples, also none.
        All ranks end with bit-identical buffers.

        Args:
            process_group: The ranks whose validation data belong together, this one among them; None is all.

        Returns:
            The statistics of the validation pass in its own equal-mass bins, over all ranks of the group.

        Raises:
            TypeError: If ``process_group`` is no group.
            ValueError: If nothing was observed on any rank, or, on every rank, if the ranks differ in a setting or in
                what they have learned; ``gamma`` and ``edges`` keep their values.
        """
        check_group(process_group)
        self._share_groups(process_group)
        held = {name: getattr(self, name) for name in self.shared} | {k: v.tolist() for k, v in self.learned.items()}
        check_same(held, process_group, like=self.edges)
        stats = self._observed.compute(self.n_bins, streaming=self.streaming, like=self.edges, group=process_group)
        if stats is None and self.ignore_predicted is not None:
            return BinStats.empty(self.edges.clone())
        if stats is None:
            raise InvalidValueError(
                "`adapt` needs at least one observed validation sample, got 0: call `observe` first."
            )
        rule = {name: getattr(self, name) for name in ("rate", "switch_point", "gamma_min", "gamma_max")}
        extra = self._pooled_step(stats, process_group)
        moved = [(self.gamma, stats.gap)]
        if self.groups is not None:
            moved.append((self._group_gamma.view(-1), self._group_gaps(stats, process_group)))
        for gamma, gap in moved:
            gamma.copy_(from_first_rank(moved_gammas(gamma, gap, extra=extra, **rule), process_group))
        self.edges.copy_(from_first_rank(stats.edges, process_group))
        self.reset()
        self._watch.moved()
        return stats

    def _pooled_step(self, stats: BinStats, group: Group) -> float:
        """Compute by how much the pooled gap moves every bin beyond what ``rate`` does."""
        if self.pooled_rate is None:
            return 0.0
        pooled = pooled_gap_of(stats)
        if not isinstance(self.pooled_rate, str):
            return (self.pooled_rate - self.rate) * pooled
        after = Forecast.of(self.forecast).after(pooled).numbers(like=self.forecast)
        self.forecast.copy_(from_first_rank(after, group))
        return float(self.forecast[2]) - self.rate * pooled

    @property
    def learned(self) -> dict[str, Tensor]:
        """What :meth:`adapt` has learned, by name: the buffers but for weights."""
        return {name: values for name, values in self.named_buffers() if name not in ("weight", "pos_weight")}

    def reset(self) -> None:
        """Forget what was observed since the last :meth:`adapt`; ``gamma`` and ``edges`` stay."""
        self._observed = ValidationStatistics.empty()
        self._forget_groups()

    def _group_by(self, name: str, shrinkage: float) -> None:
        """Keep gammas per group in a buffer of this name."""
        self.groups = name
        self.shrinkage = check_number("shrinkage", shrinkage, low=0.0)
        self.register_buffer(name, self.gamma.new_empty(0, self.n_bins))
        self._forget_groups()

    @property
    def _group_gamma(self) -> Tensor:
        """Gammas per group and bin, shape (groups, n_bins)."""
        assert self.groups is not None
        table: Tensor = getattr(self, self.groups)
        return table

    def _keep_groups(self, n_groups: int) -> None:
        """Keep gammas for at least so many groups; new ones start from those of all."""
        added = n_groups - len(self._group_gamma)
        if added > 0 and self.groups is not None:
            setattr(self, self.groups, torch.cat([self._group_gamma, self.gamma.expand(added, -1)]))

    def _group_rule(self, group_of: Callable[[Tensor], Tensor]) -> Gamma:
        """Give the rule by which probabilities find their gammas, from one that finds their groups."""
        table = torch.cat([self._group_gamma, self.gamma[None]])  # of a group without gammas those of all
        return partial(_gamma_by_group_and_bin, group_of=group_of, table=table, edges=self.edges)

    def _note_groups(
        self, confidence: Confidence, correct: Correct, groups: ClassIndex, happened: Correct | None = None
    ) -> None:
        """Note a batch of validation, and the outcomes that m counts where they are given."""
        order = groups.argsort(stable=True)  # one sort, not a look at all samples for each of many groups
        numbers, counts = torch.unique_consecutive(groups[order], return_counts=True)
        sizes = counts.tolist()
        columns = [confidence.to(self.edges), correct.to(self.edges.device)] + ([] if happened is None else [happened])
        parts = zip(*(torch.split(column[order.to(column.device)], sizes) for column in columns), strict=True)
        for number, (of_group, right, *outcome) in zip(numbers.tolist(), parts, strict=True):
            self._keep_groups(number + 1)
            added = ValidationStatistics.of_batch(of_group, right, streaming=self.streaming)
            self._by_group[number] = self._by_group.get(number, ValidationStatistics.empty()).merge(added)
            if outcome:
                yes, before = int(outcome[0].count_nonzero()), self._outcomes.get(number, (0, 0))
                self._outcomes[number] = (before[0] + yes, before[1] + len(outcome[0]) - yes)

    def _forget_groups(self) -> None:
        """Forget what was noted."""
        self._by_group: dict[int, ValidationStatistics] = {}
        self._outcomes: dict[int, tuple[int, int]] = {}

    def _share_groups(self, process_group: Group) -> None:
        """Keep as many groups as any rank does, which may have observed nothing."""
        if self.groups is not None:
            n_groups = torch.tensor([len(self._group_gamma)], device=self.edges.device)
            self._keep_groups(int(over_ranks(n_groups, process_group).max()))

    def _group_gaps(self, stats: BinStats, process_group: Group) -> Tensor:
        """Compute the gap of each group in each bin, shrunk to that of all, shape (groups n_bins,)."""
        n_groups, shrinkage = len(self._group_gamma), float(self.shrinkage or 0.0)
        none = (0, 0)
        noted = torch.tensor([self._outcomes.get(number, none) for number in range(n_groups)], dtype=torch.int64)
        outcomes = over_ranks(noted.flatten().to(self.edges.device), process_group).view(-1, n_groups, 2).sum(dim=0)
        rarer = outcomes.amin(dim=1) if bool(outcomes.any()) else None
        gaps = []
        for number in range(n_groups):
            held = self._by_group.get(number, ValidationStatistics.empty())
            own = held.between(stats.edges, streaming=self.streaming, group=process_group)
            m = own.count if rarer is None else own.count.clamp(max=rarer[number])
            weight = m / (m + shrinkage) if shrinkage > 0 else (own.count > 0).to(stats.gap)
            gaps.append(torch.where(own.count > 0, weight * own.gap + (1 - weight) * stats.gap, stats.gap))
        return torch.cat(gaps)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        held = state_dict.get(f"{prefix}{self.groups}")
        if self.groups is not None and isinstance(held, Tensor) and held.shape[1:] == self._group_gamma.shape[1:]:
            setattr(self, self.groups, self._group_gamma.new_empty(held.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)


def _gamma_by_group_and_bin(p: Tensor, *, group_of: Callable[[Tensor], Tensor], table: Tensor, edges: Tensor) -> Tensor:
    """Look up gammas of the shape of ``p``: the last row of the table is for groups that have none."""
    groups = group_of(p).clamp(0, len(table) - 1)
    return look_up(table.flatten(), find_bins(p, edges.to(p.dtype)) + table.shape[1] * groups)
