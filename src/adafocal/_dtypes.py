# SPDX-License-Identifier: Apache-2.0
"""In which precision numbers are computed."""

import torch
from torch import Tensor

HALF = (torch.float16, torch.bfloat16)


def at_least_float32(values: Tensor) -> Tensor:
    """Widen half precision to float32; leave float32 and float64 as they are."""
    return values.float() if values.dtype in HALF else values
