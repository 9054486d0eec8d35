# SPDX-License-Identifier: Apache-2.0
"""A forecast of the pooled calibration gap, learned on the way: the predictive rule of AdaFocal's pooled step."""

from dataclasses import astuple, dataclass

import torch
from torch import Tensor

LARGEST_STEP = 1.0  # of log gamma in one update
LEAST_SENSITIVITY = -0.05  # so that a step is never divided by next to nothing
OBSERVATION_NOISE, DRIFT_NOISE, SENSITIVITY_NOISE = 0.02**2, 0.004**2, 0.02**2


@dataclass(frozen=True)
class Forecast:
    """How the pooled gap goes on: ``next gap = gap + drift + sensitivity * step``, fitted by recursive least squares.

    Attributes:
        n_seen: Gaps seen so far.
        gap: The last of them.
        step: The step of log gamma that followed it.
        drift: What a gap gains in one update without a step.
        sensitivity: What a step of 1 adds; negative, as a larger gamma makes less confident.
        drift_variance: How uncertain ``drift`` is.
        covariance: Of drift and sensitivity.
        sensitivity_variance: How uncertain ``sensitivity`` is.
    """

    n_seen: float = 0.0
    gap: float = 0.0
    step: float = 0.0
    drift: float = 0.0
    sensitivity: float = -0.2
    drift_variance: float = 0.02**2
    covariance: float = 0.0
    sensitivity_variance: float = 0.1**2

    @classmethod
    def of(cls, numbers: Tensor) -> "Forecast":
        """Read it from a tensor of its eight numbers; waits for the device."""
        return cls(*numbers.tolist())

    def numbers(self, *, like: Tensor | None = None) -> Tensor:
        """Write it to a float64 tensor of eight numbers, or one of the dtype and device of ``like``."""
        values = torch.tensor(astuple(self), dtype=torch.float64)
        return values if like is None else values.to(like)

    def after(self, gap: float) -> "Forecast":
        """Learn from the next gap, and choose the step to the zero that is predicted from it.

        Example:
            >>> Forecast().after(0.1).step
            0.5
        """
        drift, sensitivity, variances = self._learned(gap) if self.n_seen else self._as_given()
        step = -(gap + drift) / min(sensitivity, LEAST_SENSITIVITY)
        step = max(-LARGEST_STEP, min(step, LARGEST_STEP))
        return Forecast(self.n_seen + 1, gap, step, drift, sensitivity, *variances)

    def _as_given(self) -> tuple[float, float, tuple[float, float, float]]:
        return self.drift, self.sensitivity, (self.drift_variance, self.covariance, self.sensitivity_variance)

    def _learned(self, gap: float) -> tuple[float, float, tuple[float, float, float]]:
        """One step of a Kalman filter whose state, drift and sensitivity, walks at random."""
        drift_variance = self.drift_variance + DRIFT_NOISE
        sensitivity_variance = self.sensitivity_variance + SENSITIVITY_NOISE
        to_drift = drift_variance + self.covariance * self.step  # covariance times (1, step)
        to_sensitivity = self.covariance + sensitivity_variance * self.step
        spread = to_drift + to_sensitivity * self.step + OBSERVATION_NOISE
        error = gap - (self.gap + self.drift + self.sensitivity * self.step)
        variances = (
            drift_variance - to_drift**2 / spread,
            self.covariance - to_drift * to_sensitivity / spread,
            sensitivity_variance - to_sensitivity**2 / spread,
        )
        return self.drift + to_drift / spread * error, self.sensitivity + to_sensitivity / spread * error, variances
