# SPDX-License-Identifier: Apache-2.0
"""Marginal L1 average calibration error per image: a penalty for segmentation."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import Unpack

from adafocal._checks import check_choice, check_flag, check_integer
from adafocal._dtypes import wide_dtype
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.calibration.case_stats import average_gap
from adafocal.calibration.edges import assign_equal_width_bins
from adafocal.losses.base import OtherOptions
from adafocal.losses.catalogue import add_loss
from adafocal.losses.penalised import PenalisedLoss, wide_with_target

__all__ = ["L1ACELoss", "l1_ace_penalty"]

KINDS = ("hard", "soft")
LEAST = 0.01  # weight below which a soft bin is empty, as in the authors' code


def l1_ace_penalty(
    logits: Logits,
    labels: Labels,
    *,
    n_bins: int = 20,
    binning: str = "hard",
    include_background: bool = True,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> PerSample:
    """Measure per image how far probability and frequency of each class are apart, averaged over bins and classes.

    Unlike ECE, in which the many easy background voxels drown all others, every bin that holds a voxel counts the same.
    It is a penalty beside a loss per voxel, not a loss: a constant prediction of the classes' shares has none.

    Formula: ``mean_c mean_b |mean of p_c in b - share of c in b|`` over the classes and the bins (k / n, (k + 1) / n]
    of the probability p_c that hold voxels. A class that an image has not counts 0. ``soft`` shares each voxel between
    the two bins with the nearest centres, linearly, so that it has a gradient to the bins, too.

    Args:
        logits: Shape (N, C, d1, …) with one to three spatial axes.
        labels: Class indices of shape (N, d1, …), or class probabilities of the shape of ``logits``.
        n_bins: Number of bins.
        binning: ``hard`` or ``soft``.
        include_background: Whether class 0 counts.
        ignore_index: Class index whose voxels do not count.
        label_smoothing: Share of the target spread evenly over the classes, in [0, 1].

    Returns:
        One value per image, shape (N,), in [0, 1]; lower is better.

    Raises:
        TypeError: If ``logits`` is not floating point or ``labels`` has a dtype that is neither.
        ValueError: If shapes do not fit or an option is out of range.

    Example:
        >>> logits = torch.tensor([[[9.0, 9.0, 9.0, 9.0], [0.0, 0.0, 0.0, 0.0]]])  # sure of class 0 in four voxels
        >>> l1_ace_penalty(logits, torch.tensor([[0, 0, 0, 1]]))
        tensor([0.2499])

    Reference:
        Barfoot et al., "Average calibration losses for reliable uncertainty in medical image segmentation", 2025,
        https://arxiv.org/abs/2506.03942, section 3; number of bins and empty bins from the authors' code.

    Differs from the code: bins end at k / n, theirs 1e-7 above.
    """
    _check(n_bins, binning, include_background)
    wide, target = wide_with_target(logits, labels, ignore_index=ignore_index, label_smoothing=label_smoothing)
    first = 0 if include_background else 1
    target, probs = target[:, first:], wide.softmax(dim=1)[:, first:]
    counted = torch.ones_like(probs, requires_grad=False)
    if not labels.is_floating_point():
        counted = counted * (labels != ignore_index).unsqueeze(1)
    gap = _gap(*(values.flatten(2) for values in (probs, target, counted)), n_bins=n_bins, binning=binning)
    return (gap * (target.flatten(2).sum(dim=2) > 0)).mean(dim=1).to(wide.dtype)


def _gap(probs: Tensor, target: Tensor, counted: Tensor, *, n_bins: int, binning: str) -> Tensor:
    """Average |mean probability - mean target| over the bins that hold something, for rows of voxels: (N, K, V)."""
    probs, target, counted = (values.to(wide_dtype(values.device)) for values in (probs, target, counted))
    sums = probs.new_zeros(3, *probs.shape[:2], n_bins)
    for place, share in (_nearest if binning == "soft" else _own)(probs, n_bins):
        parts = torch.stack([counted * share, counted * share * probs, counted * share * target])
        sums = sums.scatter_add(-1, place.expand_as(parts), parts)
    count, confidence_sum, correct_sum = sums
    return average_gap(count, confidence_sum, correct_sum, count >= (LEAST if binning == "soft" else 0.5))


def _own(probs: Tensor, n_bins: int) -> list[tuple[Tensor, Tensor]]:
    """Place each probability in the bin (a, b] that holds it."""
    place = assign_equal_width_bins(probs.detach(), n_bins).long()
    return [(place, torch.ones_like(probs, requires_grad=False))]


def _nearest(probs: Tensor, n_bins: int) -> list[tuple[Tensor, Tensor]]:
    """Share each probability between the bins with the nearest centres; beyond the outer centres one bin has it all."""
    position = probs * n_bins - 0.5
    below = position.detach().floor().clamp(0, n_bins - 1)
    share = (position - below).clamp(0, 1)
    lower = below.long()
    return [(lower, 1 - share), ((lower + 1).clamp_max(n_bins - 1), share)]


def _check(n_bins: int, binning: str, include_background: bool) -> None:
    check_integer("n_bins", n_bins, minimum=1)
    check_choice("binning", binning, KINDS)
    check_flag("include_background", include_background)


class L1ACELoss(PenalisedLoss):
    """Any loss plus the marginal L1 average calibration error of each image; see :func:`l1_ace_penalty`.

    For segmentation. Hard bins keep the segmentation, soft ones calibrate more and may cost some of it (the paper).

    Formula: ``base + penalty_weight * E`` per voxel, with E the penalty of its image, so that the mean over voxels is
    the mean of both. ``weight`` weights both terms.

    Args:
        base: The loss that the penalty is added to: a name of the catalogue, such as ``focal`` or ``adafocal``, which
            is made with the options of this loss; or a module or own code by name (:func:`make_loss`), which have
            options of their own.
        base_args: Arguments of ``base`` where it is a name.
        penalty_weight: Factor of the penalty, >= 0; 0 is the base loss.
        n_bins: Number of bins.
        binning: ``hard`` or ``soft``.
        include_background: Whether class 0 counts.

    Example:
        >>> logits = torch.tensor([[[9.0, 9.0, 9.0, 9.0], [0.0, 0.0, 0.0, 0.0]]])
        >>> labels = torch.tensor([[0, 0, 0, 1]])
        >>> L1ACELoss()(logits, labels) - L1ACELoss(penalty_weight=0.0)(logits, labels)
        tensor(0.2499)

    Reference:
        Barfoot et al., "Average calibration losses for reliable uncertainty in medical image segmentation", 2025,
        https://arxiv.org/abs/2506.03942; equal weights of both terms as in the authors' code.
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        base: str | nn.Module = "cross_entropy",
        base_args: Mapping[str, Any] | None = None,
        penalty_weight: float = 1.0,
        n_bins: int = 20,
        binning: str = "hard",
        include_background: bool = True,
        **options: Unpack[OtherOptions],
    ) -> None:
        super().__init__(weight, base=base, base_args=base_args, penalty_weight=penalty_weight, **options)
        _check(n_bins, binning, include_background)
        self.n_bins, self.binning, self.include_background = n_bins, binning, include_background

    def penalty(self, logits: Logits, labels: Labels) -> PerSample:
        """Measure the error of each image, shape (N,), before ``penalty_weight``."""
        return l1_ace_penalty(
            logits,
            labels,
            n_bins=self.n_bins,
            binning=self.binning,
            include_background=self.include_background,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )


add_loss(
    name="l1_ace",
    title="Cross-entropy + L1-ACE",
    cls=L1ACELoss,
    formula="-log p + λ mean_c mean_b |mean p_c - share of c| per image",
    paper="Barfoot et al., arXiv:2506.03942",
    year=2025,
    use="Segmentation whose probabilities are to be true per image, beside any loss.",
    pointwise=False,
    dense=True,
)
