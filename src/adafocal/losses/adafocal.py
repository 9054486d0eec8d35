# SPDX-License-Identifier: Apache-2.0
"""AdaFocal: a focal loss whose gammas follow the calibration of the model on validation data."""

from functools import partial

import torch
from torch import Tensor
from typing_extensions import Unpack

from adafocal._checks import (
    check_choice,
    check_flag,
    check_floating,
    check_integer,
    check_number,
    check_same_shape,
    check_tensor,
)
from adafocal._dtypes import at_least_float32
from adafocal._ranks import Group, check_group, check_same, from_first_rank
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.calibration.bins import BinStats
from adafocal.calibration.edges import equal_width_edges
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.losses.base import OtherOptions
from adafocal.losses.catalogue import add_loss
from adafocal.losses.dual_focal import dual_modulation
from adafocal.losses.focal_family import FocalFamily, Modulation
from adafocal.losses.forecast import Forecast
from adafocal.losses.loop import SHARED, LoopWatch, Watched
from adafocal.losses.modulate import Gamma, at_least_zero, gamma_by_bin, modulate
from adafocal.losses.reduction import weight_of_labels
from adafocal.losses.update_rule import check_pooled_rate, check_rule, moved_gammas, pooled_gap_of
from adafocal.losses.validation_statistics import ValidationStatistics, checked_top_label, counted_top_label

__all__ = ["AdaFocalLoss"]

PREDICTIVE = "predictive"


class AdaFocalLoss(Watched, FocalFamily):
    """Focal loss with one gamma per confidence bin, adapted after each validation pass.

    Train with it in place of ``nn.CrossEntropyLoss``. In each validation pass hand every batch to :meth:`observe`, then
    call :meth:`adapt` once. What it learns, ``gamma`` and ``edges``, are buffers: they travel with ``state_dict``, and
    stay in float32 when the module is cast to half precision.

    A training sample takes the gamma of the bin that holds its p_true, the softmax probability of its label. For soft
    targets each class takes the gamma of the bin that holds its own probability.

    Args:
        n_bins: Number of confidence bins.
        rate: Step size lambda of the update, >= 0.
        pooled_rate: Step size for the gap that all bins share, mean confidence minus accuracy of all validation
            samples, >= 0: the log of a bin's gamma moves by ``pooled_rate pooled + rate (gap - pooled)``. None is
            ``rate``, the paper's rule. ``predictive`` chooses the pooled step itself, by a forecast of the pooled gap
            that it fits on the way (recursive least squares of drift and sensitivity): the step to the zero that it
            predicts, at most 1; for trainings of about 20 epochs (docs/losses.md says when to take which).
        gamma_init: Gamma of every bin at the start, in [gamma_min, gamma_max].
        gamma_min: Lower bound of gamma; negative values are inverse focal.
        gamma_max: Upper bound of gamma.
        switch_point: Size of gamma below which focal and inverse focal change places.
        base: ``focal``, or ``dual`` for the dual focal loss: its weight and its bin follow p_true minus the next lower
            probability instead of p_true; validation is binned by confidence as ever.
        streaming: Keep what is observed as sums over a fine fixed grid, in memory that does not grow, for validation
            sets of pixels or tokens. The edges then miss equal mass by at most one cell of the grid, and the gaps are
            exact for these edges. By default every confidence is kept, at five bytes per sample.
        ignore_predicted: Class whose predictions stay out of the statistics, such as a background that would fill
            every bin. It goes by the prediction, because leaving samples out by their label makes a calibrated model
            look over-confident. A pass without any other prediction changes nothing.

    Attributes:
        gamma: Gamma per bin, float32, shape (n_bins,).
        edges: Inner bin edges, float32, shape (n_bins - 1,); evenly spaced before the first :meth:`adapt`.
        forecast: With ``pooled_rate="predictive"`` the state of its forecast, float64, shape (8,).

    Example:
        >>> criterion = AdaFocalLoss(n_bins=2)
        >>> criterion.observe(torch.tensor([[4.0, 0.0], [4.0, 0.0]]), torch.tensor([0, 1]))
        >>> criterion.adapt().gap
        tensor([0.4820, 0.0000], dtype=torch.float64)
        >>> criterion.gamma
        tensor([1.6193, 1.0000])

    Reference:
        Ghosh, Schaaf and Gormley, "AdaFocal: calibration-aware adaptive focal loss", NeurIPS 2022,
        https://arxiv.org/abs/2211.11838, section 4 and algorithm 1; defaults from the authors' code. The dual base:
        Tao, Dong and Xu, "Dual focal loss for calibration", ICML 2023, https://arxiv.org/abs/2305.13665.

    Differs from the paper: the authors sum the loss over the batch, here ``reduction`` defaults to ``mean`` as in
    PyTorch. Their bins interpolate edges between samples and leave the smallest confidence out; here equal confidences
    share a bin and every sample counts. ``pooled_rate`` is ours, and so is what the dual base does below gamma 0.
    """

    gamma: Tensor
    edges: Tensor
    forecast: Tensor
    shared: tuple[str, ...] = SHARED
    pooled_rate: float | str | None = None  # of losses that were pickled before there was one

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        n_bins: int = 15,
        rate: float = 1.0,
        pooled_rate: float | str | None = None,
        gamma_init: float = 1.0,
        gamma_min: float = -2.0,
        gamma_max: float = 20.0,
        switch_point: float = 0.2,
        base: str = "focal",
        streaming: bool = False,
        ignore_predicted: int | None = None,
        **options: Unpack[OtherOptions],
    ) -> None:
        super().__init__(weight, **options)
        check_rule(rate=rate, switch_point=switch_point, gamma_min=gamma_min, gamma_max=gamma_max)
        check_pooled_rate(pooled_rate, names=(PREDICTIVE,))
        self.n_bins = check_integer("n_bins", n_bins, minimum=1)
        self.rate = rate
        self.pooled_rate = pooled_rate
        self.gamma_init = check_number("gamma_init", gamma_init, low=gamma_min, high=gamma_max)
        self.gamma_min = gamma_min
        self.gamma_max = gamma_max
        self.switch_point = switch_point
        self.base = check_choice("base", base, ("focal", "dual"))
        self.streaming = check_flag("streaming", streaming)
        self.ignore_predicted = check_integer("ignore_predicted", ignore_predicted, minimum=0, optional=True)
        self.register_buffer("gamma", torch.full((n_bins,), gamma_init, dtype=torch.float32))
        self.register_buffer("edges", equal_width_edges(n_bins, dtype=torch.float32))
        if pooled_rate == PREDICTIVE:
            self.register_buffer("forecast", Forecast().numbers())
        self._observed = ValidationStatistics.empty()
        self._watch = LoopWatch()

    def modulation(self, logits: Logits, labels: Labels) -> Modulation:
        """Give the function of cross-entropies for this batch; it counts the step."""
        self._watch.stepped(logits, self.training)
        rule = self._rule(labels)
        return dual_modulation(logits, labels, rule) if self.base == "dual" else partial(modulate, gamma=rule)

    def from_cross_entropy(self, ce: PerSample, labels: Labels) -> Tensor:
        """Modulate cross-entropies that a kernel of its own computed, without ever holding all logits.

        Such kernels: :func:`~adafocal.losses.linear_cross_entropy`, and fused ones that give every sample's value.

        Args:
            ce: Cross-entropy ``-log p_true`` of each sample, nats, without class weights, any shape.
            labels: Class indices of the shape of ``ce``; where they equal ``ignore_index``, ``ce`` is not read.

        Returns:
            The loss with the class weights and the reduction of this module.

        Raises:
            TypeError: If ``ce`` is not floating point or ``labels`` does not hold class indices.
            ValueError: If the shapes differ, a cross-entropy is negative (on accelerators its loss is NaN), or with
                label smoothing or the dual base, which need all probabilities.
        """
        check_floating("ce", ce)
        check_tensor("labels", labels)
        check_same_shape("labels", labels, "ce", ce)
        if labels.is_floating_point():
            raise InvalidTypeError("`labels` must be class indices for `from_cross_entropy`, got probabilities.")
        if self.base != "focal" or self.label_smoothing > 0.0:
            raise InvalidValueError(
                "`from_cross_entropy` needs `base` 'focal' and `label_smoothing` 0, "
                f"got {self.base!r} and {self.label_smoothing}."
            )
        self._watch.stepped(ce, self.training)
        counted = at_least_float32(ce).masked_fill(labels == self.ignore_index, 0.0)
        losses = modulate(at_least_zero(counted), self._rule(labels))
        if self.weight is not None:
            losses = losses * weight_of_labels(labels, self.weight, self.ignore_index)
        return self.reduced(losses, labels)

    def gamma_of(self, p: Tensor) -> Tensor:
        """Look up the gamma of the bin that holds each probability, of the shape of ``p``."""
        return torch.as_tensor(gamma_by_bin(p, gamma=self.gamma, edges=self.edges))

    def _rule(self, labels: Labels) -> Gamma:
        """Give the rule by which the probabilities of samples of these labels find their gammas."""
        return partial(gamma_by_bin, gamma=self.gamma, edges=self.edges)

    @torch.no_grad()
    def observe(self, logits: Logits, labels: Labels) -> None:
        """Note the confidence and correctness of a validation batch for the next :meth:`adapt`.

        Args:
            logits: Shape (C,), (N, C) or (N, C, d1, …), with at least one sample.
            labels: Class indices of shape (), (N,) or (N, d1, …); those equal to ``ignore_index`` are left out.

        Raises:
            TypeError: If ``logits`` is not floating point or ``labels`` does not hold class indices.
            ValueError: If the batch is empty, shapes do not fit, a label is out of range, or a sample's logits are not
                finite (-inf for a masked class is allowed). Nothing of the batch is kept then.
        """
        ignore, predicted = self.ignore_index, self.ignore_predicted
        self.observe_top_label(*counted_top_label(logits, labels, ignore_index=ignore, ignore_predicted=predicted))

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
        confidence, correct = checked_top_label(confidence, correct)
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
        for gamma, gap in self._gaps(stats, process_group):
            gamma.copy_(from_first_rank(moved_gammas(gamma, gap, extra=extra, **rule), process_group))
        self.edges.copy_(from_first_rank(stats.edges, process_group))
        self.reset()
        self._watch.moved()
        return stats

    def _gaps(self, stats: BinStats, group: Group) -> list[tuple[Tensor, Tensor]]:
        """Say which gammas move by which gaps."""
        return [(self.gamma, stats.gap)]

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
        """What :meth:`adapt` has learned, by name: the buffers but for the class weights."""
        return {name: values for name, values in self.named_buffers() if name != "weight"}

    def reset(self) -> None:
        """Forget what was observed since the last :meth:`adapt`; ``gamma`` and ``edges`` stay."""
        self._observed = ValidationStatistics.empty()


add_loss(
    name="adafocal",
    title="AdaFocal",
    cls=AdaFocalLoss,
    formula="-(1 - p)^γ log p or -(1 + p)^|γ| log p, γ per bin, adapted on validation data",
    paper="Ghosh et al., NeurIPS 2022, arXiv:2211.11838",
    year=2022,
    use="When there is validation data to steer by: calibration is held during training.",
)
add_loss(
    name="ada_dual_focal",
    title="AdaFocal on dual focal",
    cls=AdaFocalLoss,
    formula="-(1 ∓ (p - q))^|γ| log p, γ per bin of p - q, adapted on validation data",
    paper="Tao et al., ICML 2023, arXiv:2305.13665; Ghosh et al., NeurIPS 2022, arXiv:2211.11838",
    year=2023,
    use="AdaFocal where the runner-up matters; experimental in its authors' code.",
    defaults={"base": "dual"},
)
