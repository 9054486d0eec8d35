# SPDX-License-Identifier: Apache-2.0
"""In which precision numbers are computed and kept."""

from collections.abc import Callable

import torch
from torch import Tensor

HALF = (torch.float16, torch.bfloat16)
TOLERANCE, TOLERANCE_HALF = 1e-3, 1e-2


def at_least_float32(values: Tensor) -> Tensor:
    """Widen half precision to float32; leave float32 and float64 as they are."""
    return values.float() if values.dtype in HALF else values


def tolerance(dtype: torch.dtype) -> float:
    """Tell how far rounding may take probabilities of this dtype above 1, and their sum from 1."""
    return TOLERANCE_HALF if dtype in HALF else TOLERANCE


def wide_dtype(device: torch.device) -> torch.dtype:
    """Choose the dtype in which sums are kept on ``device``: float64, or float32 where there is none."""
    return torch.float32 if device.type == "mps" else torch.float64


def keeping_dtype(move: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Strip ``move`` of ``nn.Module._apply`` of its cast: what was learned or summed is never rounded.

    Args:
        move: What ``to``, ``half``, ``bfloat16`` and the like hand to ``_apply``; of it only the device is taken.

    Returns:
        A function that moves a tensor and keeps its dtype, but for float64 where a device has none: float32.
    """

    def keep(values: Tensor) -> Tensor:
        if values.dtype == torch.float64:
            device = move(torch.zeros((), dtype=torch.float32, device=values.device)).device
            values = values.to(wide_dtype(device))
        moved = move(values)
        return moved if moved.dtype == values.dtype else values.to(moved.device)

    return keep
