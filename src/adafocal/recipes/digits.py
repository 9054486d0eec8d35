# SPDX-License-Identifier: Apache-2.0
"""Noisy digits: a small, hard, real task that shows the three ways to be wrong about confidence.

300 training images of 8 x 8 pixels with noise of 0.4 (pixels span [0, 1]) are fitted without error by every loss, so
the confidence on the 997 test images depends on the loss alone. The weight decay is strong on purpose: with it,
FLSD-53's fixed gammas overshoot into under-confidence. With a weak one (5e-4) all losses end over-confident and FLSD-53
is the best calibrated of the three; try ``--optimizer.weight_decay 5e-4``.
"""

from adafocal.data import DataConfig
from adafocal.recipes.recipe import Recipe
from adafocal.training.config import OptimizerConfig, TrainConfig

DIGITS = Recipe(
    name="digits",
    title="Noisy digits, MLP",
    config=TrainConfig(
        loss="adafocal",
        model="mlp",
        data=DataConfig(name="digits", train_size=300, validation_size=500, noise=0.4),
        optimizer=OptimizerConfig(lr=0.05, weight_decay=5e-3, milestones=(50, 75)),
        epochs=100,
        batch_size=32,
    ),
    source="this project: data that ships with scikit-learn, for trying things out",
)
