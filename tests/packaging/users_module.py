# SPDX-License-Identifier: Apache-2.0
"""What a user writes under a strict type checker; checked against the installed wheel."""

import torch
from torch import Tensor

import adafocal as af
from adafocal.calibration import BinStats, CalibrationSummary, evaluate


def train(logits: Tensor, labels: Tensor) -> tuple[Tensor, BinStats]:
    """Take one step and adapt."""
    criterion = af.AdaFocalLoss(n_bins=15, rate=0.5)
    loss: Tensor = criterion(logits, labels)
    criterion.observe(logits, labels)
    gamma: Tensor = criterion.gamma
    return loss + 0 * gamma.sum(), criterion.adapt()


def measure(logits: Tensor, labels: Tensor) -> CalibrationSummary:
    """Evaluate and scale."""
    predictions = af.Predictions(logits=logits, labels=labels)
    predictions.save("predictions.npz")
    temperature: float = af.scaling.fit_temperature(predictions).temperature
    energy: Tensor = af.ood.energy_score(predictions)
    weights: Tensor = af.selective.aurc(predictions.confidence, (~predictions.correct).float())
    per_sample: Tensor = af.losses.focal_loss(logits, labels, gamma=2.0)
    print(temperature, energy.shape, per_sample.shape, weights)
    return evaluate(af.Predictions.load("predictions.npz"))


if __name__ == "__main__":
    values = torch.randn(8, 3), torch.randint(3, (8,))
    print(train(*values)[1].gap, measure(*values).ece)
