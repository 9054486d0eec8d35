# SPDX-License-Identifier: Apache-2.0
"""What an update is worth telling: the gammas, and the calibration they follow."""

from torch import Tensor

from adafocal.calibration import BinStats, binned_error


def adapted_values(stats: BinStats, gamma: Tensor) -> dict[str, float]:
    """Tell an update in plain numbers: ``gamma_i`` and ``gap_i`` per bin, ``ece_equal_mass`` and ``overconfidence``.

    Args:
        stats: What :meth:`~adafocal.losses.AdaFocalLoss.adapt` returned.
        gamma: The gammas after it.

    Returns:
        Errors and gaps as fractions, confidence minus accuracy; NaN errors where nothing was observed.

    Example:
        >>> import torch
        >>> from adafocal.losses import AdaFocalLoss
        >>> criterion = AdaFocalLoss(n_bins=1)
        >>> criterion.observe(torch.tensor([[4.0, 0.0], [4.0, 0.0]]), torch.tensor([0, 1]))
        >>> values = adapted_values(criterion.adapt(), criterion.gamma)
        >>> {name: round(value, 3) for name, value in values.items()}
        {'ece_equal_mass': 0.482, 'overconfidence': 0.482, 'gamma_0': 1.619, 'gap_0': 0.482}
    """
    return {
        "ece_equal_mass": float(binned_error(stats)),
        "overconfidence": float((stats.weight * stats.gap).sum()),
        **{f"gamma_{i}": value for i, value in enumerate(gamma.tolist())},
        **{f"gap_{i}": value for i, value in enumerate(stats.gap.tolist())},
    }
