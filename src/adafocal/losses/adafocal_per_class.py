# SPDX-License-Identifier: Apache-2.0
"""AdaFocal with gammas per class: each class follows its own calibration, a rare one mostly that of all."""

from functools import partial

import torch
from torch import Tensor
from typing_extensions import Unpack

from adafocal._checks import check_class_axis, check_integer, check_labels_match, check_same_shape
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.losses.adafocal import AdaFocalLoss
from adafocal.losses.base import OtherOptions
from adafocal.losses.catalogue import add_loss
from adafocal.losses.focal_family import Modulation
from adafocal.losses.modulate import Gamma
from adafocal.losses.targets import class_axis
from adafocal.losses.validation_statistics import counted_top_label

__all__ = ["PerClassAdaFocalLoss"]


class PerClassAdaFocalLoss(AdaFocalLoss):
    """AdaFocal with a table of gammas for each class, shrunk to the gammas of all where a class has few samples.

    The bins are those of all validation samples. In each, the samples that are *predicted* as a class have a gap of
    their own, which moves the gamma of that class and bin. A training sample takes the gamma of its label's class, in
    the bin that holds its p_true; for soft targets each class takes its own.

    Formula: ``gap_cb = (n_cb own_cb + shrinkage gap_b) / (n_cb + shrinkage)``, with ``n_cb`` samples that are predicted
    as class c in bin b, ``own_cb`` their mean confidence minus accuracy, and ``gap_b`` that of all samples in the bin.
    A class that is never predicted, or whose predictions ``ignore_predicted`` leaves out, follows ``gap_b``.

    Args:
        shrinkage: Number of samples that the gap of all is worth beside those of the class, >= 0. Infinitely many
            would be :class:`AdaFocalLoss`. 100 is where the random error of a gap, about 0.4 / sqrt(n), is 0.04.

    Attributes:
        gamma: Gamma per bin of all classes together, float32, shape (n_bins,): what :class:`AdaFocalLoss` would have
            learned from the same statistics.
        class_gamma: Gamma per class and bin, float32, shape (C, n_bins); (0, n_bins) before the first :meth:`observe`.
        edges: Inner bin edges, float32, shape (n_bins - 1,), for all classes.

    Example:
        >>> criterion = PerClassAdaFocalLoss(n_bins=1, shrinkage=0.0)
        >>> criterion.observe(torch.tensor([[4.0, 0.0], [4.0, 0.0], [0.0, 4.0]]), torch.tensor([0, 1, 1]))
        >>> criterion.adapt().gap
        tensor([0.3153], dtype=torch.float64)
        >>> criterion.class_gamma
        tensor([[1.6193],
                [0.9822]])

    Reference:
        Ghosh, Schaaf and Gormley, "AdaFocal: calibration-aware adaptive focal loss", NeurIPS 2022,
        https://arxiv.org/abs/2211.11838; calibration of the samples predicted as a class: Gupta and Ramdas, "Top-label
        calibration and multiclass-to-binary reductions", ICLR 2022, https://arxiv.org/abs/2107.08353.

    Differs from the papers: gammas per class, and the shrinkage, are ours.
    """

    class_gamma: Tensor
    has_slope = False  # gammas need the labels, not the probabilities alone
    sigmoid_undefined = "whose groups are classes: use AdaFocalLoss(sigmoid=True, per_label=True)"

    def __init__(
        self, weight: Tensor | None = None, *, shrinkage: float = 100.0, **options: Unpack[OtherOptions]
    ) -> None:
        super().__init__(weight, **options)
        self._group_by("class_gamma", shrinkage)

    def keep_classes(self, n_classes: int) -> None:
        """Keep gammas for at least so many classes; new ones start from those of all classes together.

        What is observed does the same; before that, it gives the buffers the shape that a checkpoint has.

        Args:
            n_classes: Number of classes, >= 0.

        Raises:
            TypeError: If it is not an integer.
            ValueError: If it is negative.
        """
        self._keep_groups(check_integer("n_classes", n_classes, minimum=0))

    def modulation(self, logits: Logits, labels: Labels) -> Modulation:
        """Give the function of cross-entropies for this batch; it counts the step."""
        self._check_classes(logits)
        return super().modulation(logits, labels)

    def _rule(self, labels: Labels) -> Gamma:
        return self._group_rule(partial(_class_of, labels=labels))

    @torch.no_grad()
    def observe(self, logits: Logits, labels: Labels) -> None:
        """Note confidence, correctness and predicted class of a validation batch for the next :meth:`adapt`.

        Args:
            logits: Shape (C,), (N, C) or (N, C, d1, …), with at least one sample and never fewer C.
            labels: Class indices of shape (), (N,) or (N, d1, …); those equal to ``ignore_index`` are left out.

        Raises:
            TypeError: If ``logits`` is not floating point or ``labels`` does not hold class indices.
            ValueError: If the batch is empty, shapes do not fit, a label is out of range, or a sample's logits are not
                finite (-inf for a masked class is allowed). Nothing of the batch is kept then.
        """
        check_labels_match(logits, labels)
        ignore, ignored, predicted = self.ignore_index, self.ignore_predicted, logits.argmax(class_axis(logits))
        found = counted_top_label(logits, labels, ignore_index=ignore, ignore_predicted=ignored, beside=predicted)
        self.keep_classes(self._check_classes(logits))
        self.observe_top_label(*found)

    @torch.no_grad()
    def observe_top_label(self, confidence: PerSample, correct: PerSample, predicted: PerSample | None = None) -> None:
        """Note what :meth:`observe` notes where there are no logits to give.

        Args:
            confidence: Largest probability of each sample, in [0, 1], any shape; nothing is a batch as well.
            correct: Whether its class is the label, boolean, of the shape of ``confidence``.
            predicted: Its class, an index, of the shape of ``confidence``.

        Raises:
            TypeError: If ``confidence`` is not floating point, ``correct`` not boolean, or ``predicted`` no integers.
            ValueError: If the shapes differ, a confidence is not in [0, 1], a class is negative, or ``predicted`` is
                left out. Nothing of the batch is kept then.
        """
        if predicted is None:
            raise InvalidValueError("`predicted` must be given to a loss with gammas per class, got None.")
        check_same_shape("predicted", predicted, "confidence", confidence)
        if predicted.is_floating_point() or predicted.is_complex() or predicted.dtype == torch.bool:
            raise InvalidTypeError(f"`predicted` must hold class indices, got dtype {predicted.dtype}.")
        if bool((predicted < 0).any()):
            raise InvalidValueError(f"`predicted` must hold class indices >= 0, got {int(predicted.min())}.")
        super().observe_top_label(confidence, correct)
        self._note_groups(confidence.flatten(), correct.flatten(), predicted.flatten())

    def _check_classes(self, logits: Logits) -> int:
        check_class_axis("logits", logits)
        n_classes, known = logits.shape[class_axis(logits)], len(self.class_gamma)
        if n_classes < known:
            raise InvalidValueError(
                f"`logits` must have at least the {known} classes that gammas are kept for, got {n_classes}."
            )
        return n_classes


def _class_of(p: Tensor, *, labels: Labels) -> Tensor:
    """Give the class of each probability: its label's, or its own where every sample has one of each class."""
    if p.shape == labels.shape and not labels.is_floating_point():
        return labels.long()
    axis = class_axis(p)
    shape = [-1 if at == axis else 1 for at in range(p.ndim)]
    return torch.arange(p.shape[axis], device=p.device).view(shape).expand(p.shape)


add_loss(
    name="adafocal_per_class",
    title="AdaFocal per class",
    cls=PerClassAdaFocalLoss,
    formula="-(1 - p)^γ log p or -(1 + p)^|γ| log p, γ per class and bin, adapted on validation data",
    paper="Ghosh et al., NeurIPS 2022, arXiv:2211.11838; Gupta and Ramdas, ICLR 2022, arXiv:2107.08353",
    year=2022,
    use="AdaFocal where classes are miscalibrated in different ways; experimental.",
)
