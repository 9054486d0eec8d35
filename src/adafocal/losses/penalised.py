# SPDX-License-Identifier: Apache-2.0
"""Losses of images and volumes that add a penalty to any other loss."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from typing_extensions import Unpack

from adafocal._checks import can_read, check_label_values, check_number, check_spatial
from adafocal._dtypes import at_least_float32
from adafocal._shapes import Labels, Logits, PerSample
from adafocal._text import shown
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.losses.base import ClassificationLoss, OtherOptions
from adafocal.losses.catalogue import LOSSES, make_loss
from adafocal.losses.cross_entropy import checked_labels, output_dtype
from adafocal.losses.options import check_ignore_index
from adafocal.losses.reduction import weighted
from adafocal.losses.targets import soft_target


class PenalisedLoss(ClassificationLoss):
    """Another loss plus a penalty: a subclass gives ``penalty(logits, labels)``, one value per voxel or per image.

    The base is a loss by name, made with the options of this one, or a module, which is taken as it is; the single
    value of a module that reduces by itself is borne by each voxel, so that it is part of the mean once.
    """

    sigmoid_undefined = "which takes images of classes"

    base: nn.Module

    def __init__(
        self,
        weight: Tensor | None,
        *,
        base: str | nn.Module,
        base_args: Mapping[str, Any] | None,
        penalty_weight: float,
        **options: Unpack[OtherOptions],
    ) -> None:
        super().__init__(weight, **options)
        self.penalty_weight = check_number("penalty_weight", penalty_weight, low=0.0)
        self.base = _made(base, base_args, self.options)

    def penalty(self, logits: Logits, labels: Labels) -> PerSample:
        """Measure what is added, before ``penalty_weight``: of the shape of the labels, or one value per image."""
        raise NotImplementedError

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Compute the loss of each voxel."""
        check_spatial("logits", logits)
        labels = checked_labels(logits, labels, **self.options)
        if not labels.is_floating_point() and can_read(labels):
            check_label_values(labels, logits.shape[1], ignore_index=self.ignore_index)
        losses = self._over_voxels(self.base(logits, labels), logits, labels)
        if self.penalty_weight > 0:
            losses = losses + self.penalty_weight * self._over_voxels(self.penalty(logits, labels), logits, labels)
        return losses.to(output_dtype(logits))

    def _over_voxels(self, values: Tensor, logits: Logits, labels: Labels) -> PerSample:
        """Let each voxel bear the value of its image or batch with its own weight: the mean of it is that value."""
        if values.ndim == logits.ndim - 1:
            return values
        spread = values.view(values.shape + (1,) * (logits.ndim - 2)).expand(logits.shape[:1] + logits.shape[2:])
        return weighted(spread, logits, labels, weight=self.weight, ignore_index=self.ignore_index)


def wide_with_target(
    logits: Logits, labels: Labels, *, ignore_index: int, label_smoothing: float
) -> tuple[Logits, Logits]:
    """Check a batch of images; give its logits in float32 or wider and the target of each voxel, of the same shape."""
    check_ignore_index(ignore_index)
    check_spatial("logits", logits)
    labels = checked_labels(logits, labels, weight=None, ignore_index=ignore_index, label_smoothing=label_smoothing)
    wide = at_least_float32(logits)
    return wide, soft_target(wide, labels, label_smoothing=label_smoothing, ignore_index=ignore_index)


def innermost(loss: nn.Module) -> nn.Module:
    """Give the loss without its penalties."""
    while isinstance(loss, PenalisedLoss):
        loss = loss.base
    return loss


def _made(base: str | nn.Module, arguments: Mapping[str, Any] | None, options: Mapping[str, Any]) -> nn.Module:
    if arguments is not None and not isinstance(arguments, Mapping):
        raise InvalidTypeError(f"`base_args` must be names and values, got {shown(arguments)}.")
    if isinstance(base, nn.Module):
        if arguments:
            raise InvalidValueError(f"`base_args` must be left out where `base` is a module, got {shown(arguments)}.")
        return base
    if not isinstance(base, str):
        raise InvalidTypeError(f"`base` must be a name of a loss or a module, got {shown(base)}.")
    shared = {**options, "reduction": "none"} if base in LOSSES else {}
    # An option that is off here leaves the base with what the catalogue gives it, as label smoothing its share.
    shared = {name: value for name, value in shared.items() if name not in LOSSES[base].defaults or value}
    twice = [name for name in arguments or {} if name in shared]
    if twice:
        raise InvalidValueError(f"`base_args` must hold no option that both losses share, got {', '.join(twice)}.")
    return make_loss(base, {**(arguments or {}), **shared})
