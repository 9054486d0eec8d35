# SPDX-License-Identifier: Apache-2.0
"""An estimate with its interval."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """A number with an interval.

    Attributes:
        value: The estimate.
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        """Give the three numbers by name, as they go into JSON files."""
        return {"value": self.value, "low": self.low, "high": self.high}


def percentile_estimate(value: Tensor, resampled: Tensor, *, level: float) -> Estimate:
    """Give the percentile interval of resampled values of shape (B,); it always holds ``value``."""
    tails = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=resampled.dtype, device=resampled.device)
    low, high = torch.quantile(resampled, tails).tolist()
    centre = float(value)
    return Estimate(centre, min(low, centre), max(high, centre))
