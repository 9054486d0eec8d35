# SPDX-License-Identifier: Apache-2.0
"""Neighbour-aware calibration (NACL): logits are drawn to the shares of the classes around a voxel."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import Unpack

from adafocal._checks import check_integer
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.errors import InvalidValueError
from adafocal.losses.base import OtherOptions
from adafocal.losses.catalogue import add_loss
from adafocal.losses.penalised import PenalisedLoss, wide_with_target

__all__ = ["NACLLoss", "nacl_penalty"]

POOLS = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def nacl_penalty(
    logits: Logits,
    labels: Labels,
    *,
    kernel_size: int = 3,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> PerSample:
    """Measure per voxel how far the logits are from the shares of the classes around it.

    It keeps logits small, where all neighbours agree too, and lets them be uncertain at the edges of a mask.

    Formula: ``mean_c |t_c - z_c|`` with z the logits and t_c the share of class c among the voxels of a window around
    the voxel; what lies outside the image or is ignored is not among them. A class masked with -inf adds nothing.

    Args:
        logits: Shape (N, C, d1, …) with one to three spatial axes.
        labels: Class indices of shape (N, d1, …), or class probabilities of the shape of ``logits``.
        kernel_size: Width of the window in voxels, odd.
        ignore_index: Class index whose voxels do not count, and have penalty 0.
        label_smoothing: Share of the target spread evenly over the classes, in [0, 1].

    Returns:
        One value per voxel, shape (N, d1, …), at least 0.

    Raises:
        TypeError: If ``logits`` is not floating point or ``labels`` has a dtype that is neither.
        ValueError: If shapes do not fit or an option is out of range.

    Example:
        >>> logits = torch.tensor([[[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]])
        >>> nacl_penalty(logits, torch.tensor([[1, 1, 0]]))  # shares of class 1: all, two of three, one of two
        tensor([[0.0000, 0.3333, 0.5000]])

    Reference:
        Murugesan et al., "Trust your neighbours: penalty-based constraints for model calibration", MICCAI 2023,
        https://arxiv.org/abs/2303.06268: its penalty with the L1 norm; the mean over a window of 3 as in the authors'
        code.

    Differs from the paper and code: the mean over classes, as in the code, where the paper writes a sum; what lies
    outside the image counts nothing, in the code as background; volumes have windows of three axes.
    """
    check_window(kernel_size)
    wide, target = wide_with_target(logits, labels, ignore_index=ignore_index, label_smoothing=label_smoothing)
    counted = target.sum(dim=1, keepdim=True)  # 1, or 0 where ignored
    around, held = (_window_mean(values, kernel_size) for values in (target, counted))
    # The window of a voxel that counts holds that voxel.
    prior = around / held.masked_fill(counted == 0, 1.0)
    distance = (prior - wide).abs().masked_fill(wide == -torch.inf, 0.0)
    return (distance * (counted > 0)).mean(dim=1)


def _window_mean(values: Tensor, size: int) -> Tensor:
    """Average over the window around each voxel, with zeros outside the image: shape (N, C, d1, …)."""
    axes = values.ndim - 2
    return POOLS[axes](F.pad(values, [size // 2] * (2 * axes)), size, stride=1)


def check_window(kernel_size: int) -> None:
    """Raise unless the window has a middle."""
    check_integer("kernel_size", kernel_size, minimum=1)
    if kernel_size % 2 == 0:
        raise InvalidValueError(f"`kernel_size` must be odd, got {kernel_size}.")


class NACLLoss(PenalisedLoss):
    """Any loss plus the distance of logits from the shares of the classes around; see :func:`nacl_penalty`.

    For segmentation, whose errors lie at the edges of masks.

    Formula: ``base + penalty_weight mean_c |t_c - z_c|``.

    Args:
        base: The loss that the penalty is added to: a name of the catalogue, such as ``focal`` or ``adafocal``, which
            is made with the options of this loss; or a module or own code by name (:func:`make_loss`), which have
            options of their own.
        base_args: Arguments of ``base`` where it is a name.
        penalty_weight: Factor of the penalty, >= 0; 0 is the base loss.
        kernel_size: Width of the window in voxels, odd.

    Example:
        >>> criterion = NACLLoss(penalty_weight=1.0)
        >>> criterion(torch.tensor([[[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]]), torch.tensor([[1, 1, 1]]))
        tensor(0.3133)

    Reference:
        Murugesan et al., "Trust your neighbours: penalty-based constraints for model calibration", MICCAI 2023,
        https://arxiv.org/abs/2303.06268; weight and window from the authors' code.
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        base: str | nn.Module = "cross_entropy",
        base_args: Mapping[str, Any] | None = None,
        penalty_weight: float = 0.1,
        kernel_size: int = 3,
        **options: Unpack[OtherOptions],
    ) -> None:
        super().__init__(weight, base=base, base_args=base_args, penalty_weight=penalty_weight, **options)
        check_window(kernel_size)
        self.kernel_size = kernel_size

    def penalty(self, logits: Logits, labels: Labels) -> PerSample:
        """Measure the distance of each voxel, before ``penalty_weight`` and the weight of its class."""
        distance = nacl_penalty(
            logits,
            labels,
            kernel_size=self.kernel_size,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )
        return distance if self.weight is None else distance * self.sample_weights(logits, labels)


add_loss(
    name="nacl",
    title="Cross-entropy + neighbour-aware penalty",
    cls=NACLLoss,
    formula="-log p + λ mean_c |share of c around - z_c|",
    paper="Murugesan et al., MICCAI 2023, arXiv:2303.06268",
    year=2023,
    use="Segmentation that is to be unsure at the edges of masks, beside any loss.",
    pointwise=False,
    dense=True,
)
