# SPDX-License-Identifier: Apache-2.0
"""AdaFocal: a focal loss whose gammas follow the calibration of the model on validation data."""

from functools import partial

import torch
from torch import Tensor
from typing_extensions import Unpack

from adafocal._checks import (
    check_choice,
    check_flag,
    check_integer,
    check_number,
)
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.calibration.edges import equal_width_edges
from adafocal.errors import InvalidValueError
from adafocal.losses.adaptive import PREDICTIVE, AdaptiveGammas
from adafocal.losses.base import OtherOptions
from adafocal.losses.catalogue import add_loss
from adafocal.losses.dual_focal import dual_modulation
from adafocal.losses.entries import certain_entries, label_count, label_numbers, label_of
from adafocal.losses.focal_family import FocalFamily, Modulation
from adafocal.losses.forecast import Forecast
from adafocal.losses.loop import LoopWatch
from adafocal.losses.modulate import Gamma, gamma_by_bin, modulate
from adafocal.losses.update_rule import check_pooled_rate, check_rule
from adafocal.losses.validation_statistics import ValidationStatistics, counted_top_label

__all__ = ["AdaFocalLoss"]


class AdaFocalLoss(AdaptiveGammas, FocalFamily):
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
        per_label: With ``sigmoid``, keep gammas for each label besides those of all entries: an entry takes those of
            its label, which follow the label's own calibration, ``gap_lb = (m own_lb + shrinkage gap_b) / (m +
            shrinkage)``. There m is the number of the label's entries in bin b, at most that of its rarer outcome in
            the whole pass: a label with few positives keeps the gap of all entries, which is ``gap_b``.
        shrinkage: With ``per_label``, how many outcomes the gap of all is worth beside those of the label, >= 0; None
            is 100.

    Attributes:
        gamma: Gamma per bin, float32, shape (n_bins,); with ``per_label`` those of all entries.
        label_gamma: With ``per_label``, gamma per label and bin, float32, shape (L, n_bins); (0, n_bins) before the
            first :meth:`observe`.
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
    share a bin and every sample counts. ``pooled_rate`` is ours, and so are ``per_label`` and what the dual base does
    below gamma 0. Of a sigmoid, which they do not treat, every entry is a sample of two classes.
    """

    label_gamma: Tensor

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
        per_label: bool = False,
        shrinkage: float | None = None,
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
        self.per_label = check_flag("per_label", per_label)
        self._check_per_label(shrinkage)
        if per_label:
            self._group_by("label_gamma", 100.0 if shrinkage is None else shrinkage)

    def modulation(self, logits: Logits, labels: Labels) -> Modulation:
        """Give the function of cross-entropies for this batch; it counts the step."""
        if self.per_label:
            self._check_labels(logits)
        self._watch.stepped(logits, self.training)
        rule = self._rule(labels)
        return dual_modulation(logits, labels, rule) if self.base == "dual" else partial(modulate, gamma=rule)

    def modulation_of_values(self, ce: PerSample, labels: Labels) -> Modulation:
        """Give the function of cross-entropies where there are no logits; it counts the step."""
        self._watch.stepped(ce, self.training)
        return partial(modulate, gamma=self._rule(labels))

    def check_from_cross_entropy(self) -> None:
        """Raise for the dual base, label smoothing and a sigmoid, which need all probabilities."""
        if self.base != "focal" or self.label_smoothing > 0.0 or self.sigmoid:
            raise InvalidValueError(
                "`from_cross_entropy` needs `base` 'focal', `label_smoothing` 0 and `sigmoid` False, "
                f"got {self.base!r}, {self.label_smoothing} and {self.sigmoid}."
            )

    def gamma_of(self, p: Tensor) -> Tensor:
        """Look up the gamma of the bin that holds each probability, of the shape of ``p``."""
        return torch.as_tensor(gamma_by_bin(p, gamma=self.gamma, edges=self.edges))

    def _rule(self, labels: Labels) -> Gamma:
        """Give the rule by which the probabilities of samples of these labels find their gammas."""
        if self.per_label:
            return self._group_rule(partial(label_of, labels=labels))
        return partial(gamma_by_bin, gamma=self.gamma, edges=self.edges)

    @torch.no_grad()
    def observe(self, logits: Logits, labels: Labels) -> None:
        """Note the confidence and correctness of a validation batch for the next :meth:`adapt`.

        Args:
            logits: Shape (C,), (N, C) or (N, C, d1, …), with at least one sample.
            labels: Class indices of shape (), (N,) or (N, d1, …); those equal to ``ignore_index`` are left out. With
                ``sigmoid`` 0 or 1 for each logit, as any kind of number.

        Raises:
            TypeError: If ``logits`` is not floating point or ``labels`` does not hold class indices.
            ValueError: If the batch is empty, shapes do not fit, a label is out of range, or a sample's logits are not
                finite (-inf for a masked class is allowed). Nothing of the batch is kept then.
        """
        beside = None
        if self.sigmoid:
            logits, labels = certain_entries(logits, labels, ignore_index=self.ignore_index)
            beside = 2 * label_numbers(labels) + labels if self.per_label else None
        ignore, ignored = self.ignore_index, self.ignore_predicted
        found = counted_top_label(logits, labels, ignore_index=ignore, ignore_predicted=ignored, beside=beside)
        confidence, correct, *answers = found
        if self.per_label:
            self._check_labels(logits)
            self._keep_groups(label_count(labels))
            self._note_groups(confidence, correct, answers[0] // 2, answers[0] % 2 == 1)
        self._note(confidence, correct)

    def in_one_step(self, logits: Logits, labels: Labels) -> bool:
        """Whether one function can take this batch: gammas per label need its places."""
        return not self.per_label and super().in_one_step(logits, labels)

    def _check_per_label(self, shrinkage: float | None) -> None:
        if self.per_label and not self.sigmoid:
            raise InvalidValueError("`per_label` must be False without `sigmoid`, got True.")
        if shrinkage is not None and not self.per_label:
            raise InvalidValueError(f"`shrinkage` must be None without `per_label`, got {shrinkage}.")

    def _check_labels(self, entries: Tensor) -> None:
        n_labels, known = label_count(entries[:, 0]), len(self._group_gamma)
        if known not in (0, n_labels):
            raise InvalidValueError(f"`logits` must have the {known} labels that gammas are kept for, got {n_labels}.")


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
