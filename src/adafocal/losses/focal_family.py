# SPDX-License-Identifier: Apache-2.0
"""What the focal losses share: a modulation of cross-entropy, reduced in one step where the batch is a plain one."""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from adafocal._checks import can_read
from adafocal._dtypes import at_least_float32
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.losses.base import ClassificationLoss
from adafocal.losses.cross_entropy import cross_entropy_of_labels, output_dtype
from adafocal.losses.modulate import Focal, modulate

Modulation: TypeAlias = Callable[[Tensor], Tensor]


class FocalFamily(ClassificationLoss):
    """A loss that is a function of the cross-entropy of each sample; a subclass gives it by :meth:`modulation`.

    Where that is ``partial(modulate, gamma=…)`` and the batch a plain one, one function takes it to the reduced loss.
    A subclass of such a loss may give ``per_sample`` instead, as one of any other loss does.
    """

    def modulation(self, logits: Logits, labels: Labels) -> Modulation:
        """Give the function of cross-entropies for this batch; it is asked for once in each pass."""
        raise NotImplementedError

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Compute the loss of each sample."""
        return self.modulated(self.modulation(logits, labels), logits, labels)

    def forward(self, logits: Logits, labels: Labels) -> Tensor:
        """Compute the loss, reduced as ``reduction`` says."""
        own = type(self).per_sample is not FocalFamily.per_sample
        if own or self.reduction == "none" or self.weight is not None or self.label_smoothing:
            return super().forward(logits, labels)
        if not _plain(logits, labels):
            return super().forward(logits, labels)
        modulation = self.modulation(logits, labels)
        if not (isinstance(modulation, partial) and modulation.func is modulate):
            return self.reduced(self.modulated(modulation, logits, labels), labels)
        ce = cross_entropy_of_labels(at_least_float32(logits), labels, ignore_index=self.ignore_index)
        mean = self.reduction == "mean"
        divisor = int(np.count_nonzero(labels.numpy() != self.ignore_index)) if mean else 1
        loss, dtype = Focal(modulation.keywords["gamma"], divisor=divisor)(ce), output_dtype(logits)
        return loss if loss.dtype == dtype else loss.to(dtype)


def _plain(logits: Logits, labels: Labels) -> bool:
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
    )
