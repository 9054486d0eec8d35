# SPDX-License-Identifier: Apache-2.0
"""What the focal losses share: a modulation of cross-entropy, reduced in one step where the batch is a plain one."""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from torch import Tensor

from adafocal._shapes import Labels, Logits, PerSample
from adafocal.losses.base import ClassificationLoss
from adafocal.losses.modulate import Gamma, focal_with_slope, modulate
from adafocal.losses.reduced import cross_entropy_with_slope

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

    has_slope = True
    linear = True

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Compute the loss of each sample."""
        return self.modulated(self.modulation(logits, labels), logits, labels)

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
