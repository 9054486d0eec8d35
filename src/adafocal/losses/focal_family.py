# SPDX-License-Identifier: Apache-2.0
"""What the focal losses share: a modulation of cross-entropy, reduced in one step where the batch is a plain one."""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from torch import Tensor

from adafocal._checks import check_floating, check_same_shape, check_tensor
from adafocal._dtypes import at_least_float32
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.losses.base import ClassificationLoss
from adafocal.losses.modulate import Gamma, at_least_zero, focal_with_slope, modulate
from adafocal.losses.reduced import cross_entropy_with_slope
from adafocal.losses.reduction import weight_of_labels

Modulation: TypeAlias = Callable[[Tensor], Tensor]


class FocalFamily(ClassificationLoss):
    """A loss that is a function of the cross-entropy of each sample; a subclass gives it by :meth:`modulation`.

    Where that is ``partial(modulate, gamma=…)``, or that of the dual loss, one function takes a plain batch to the
    reduced loss; gamma may be a rule that looks at each probability alone, as it is given some of them at a time.
    A subclass of such a loss may give ``per_sample`` instead, as one of any other loss does.
    """

    def modulation(self, logits: Logits, labels: Labels) -> Modulation:
        """Give the function of cross-entropies for this batch; it is asked for once in each pass."""
        raise NotImplementedError

    def modulation_of_values(self, ce: PerSample, labels: Labels) -> Modulation:
        """Give the function of cross-entropies where there are no logits; ``ce`` tells dtype and device."""
        return self.modulation(ce, labels)

    has_slope = True
    linear = True

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Compute the loss of each sample."""
        return self.modulated(self.modulation(logits, labels), logits, labels)

    def per_sample_from_cross_entropy(self, ce: PerSample, labels: Labels) -> PerSample:
        """Compute the loss of each sample from its cross-entropy, as :meth:`from_cross_entropy` does.

        Args:
            ce: As there.
            labels: As there.

        Returns:
            Weighted losses of the shape of ``ce``, in float32 or wider, 0 where ignored; not reduced.

        Raises:
            TypeError: As there.
            ValueError: As there.
        """
        check_floating("ce", ce)
        check_tensor("labels", labels)
        check_same_shape("labels", labels, "ce", ce)
        if labels.is_floating_point():
            raise InvalidTypeError("`labels` must be class indices for `from_cross_entropy`, got probabilities.")
        self.check_from_cross_entropy()
        counted = at_least_zero(at_least_float32(ce).masked_fill(labels == self.ignore_index, 0.0))
        losses = self.modulation_of_values(counted, labels)(counted)
        if self.weight is not None:
            losses = losses * weight_of_labels(labels, self.weight, self.ignore_index)
        return losses

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
                label smoothing, a sigmoid or the dual base, which need all probabilities.
        """
        return self.reduced(self.per_sample_from_cross_entropy(ce, labels), labels)

    def check_from_cross_entropy(self) -> None:
        """Raise if a setting needs more than the cross-entropy of each sample.

        Raises:
            ValueError: With label smoothing or a sigmoid.
        """
        if self.label_smoothing > 0.0 or self.sigmoid:
            raise InvalidValueError(
                "`from_cross_entropy` needs `label_smoothing` 0 and `sigmoid` False, "
                f"got {self.label_smoothing} and {self.sigmoid}."
            )

    def over_classes(self, logits: Logits, labels: Labels) -> Tensor:
        """Compute the reduced loss of logits of classes."""
        if not self.in_one_step(logits, labels):
            return super().over_classes(logits, labels)
        modulation = self.modulation(logits, labels)

        def formula(x: Logits, of: Labels) -> Tensor:
            return self.reduced(self.modulated(modulation, x, of), of)

        if not (isinstance(modulation, partial) and modulation.func in SLOPES):
            return formula(logits, labels)
        gamma = modulation.keywords["gamma"]
        if isinstance(gamma, Tensor) and gamma.ndim > 0:  # one per sample
            return formula(logits, labels)
        return self.one_step(partial(SLOPES[modulation.func], gamma=gamma), formula, logits, labels)


def _with_slope(logits: Tensor, place: Tensor, factor: float, *, gamma: Gamma) -> tuple[Tensor, Tensor]:
    """Compute focal losses and their derivative: that of :func:`modulate` times that of cross-entropy."""
    ce, minus_q, slope = cross_entropy_with_slope(logits, place)
    _, losses, (by_ce,) = focal_with_slope(ce, minus_q, gamma, factor=factor)
    return losses, slope.mul_(by_ce)


# Which function gives losses of this form with their derivative by the logits; others enter theirs.
SLOPES: dict[Callable[..., Tensor], Callable[..., tuple[Tensor, Tensor]]] = {modulate: _with_slope}
