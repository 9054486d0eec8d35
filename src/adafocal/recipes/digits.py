# SPDX-License-Identifier: Apache-2.0
"""Noisy digits: a small, hard, real task that shows the three ways to be wrong about confidence.

300 training images of 8 x 8 pixels with noise of 0.4 (pixels span [0, 1]) are fitted without error by every loss, so
the confidence on the 997 test images depends on the loss alone. The weight decay is strong on purpose: with it,
FLSD-53's fixed gammas overshoot into under-confidence. With a weak one (5e-4) all losses end over-confident and FLSD-53
is the best calibrated of the three; try ``--optimizer.weight_decay 5e-4``.

Measured here, test part, on MNIST: small CNN, 2,000 images without noise, 20 epochs, seeds 0 to 4,
2 CPU cores (AMD EPYC), one thread per run, torch 2.13.0, lightning 2.6.6, 2026-11; the command is in docs/results.md.
Mean ± standard deviation over seeds.

loss                    error %          ECE %              NLL  s / epoch
cross_entropy       6.98 ± 0.28    6.00 ± 0.32    0.259 ± 0.007        3.1
label_smoothing     6.54 ± 0.26   12.46 ± 0.27    0.311 ± 0.009        2.8
focal               8.03 ± 0.26   23.72 ± 0.46    0.485 ± 0.008        2.6
flsd53              7.93 ± 0.26   23.87 ± 0.41    0.484 ± 0.008        2.9
inverse_focal       6.79 ± 0.26    1.56 ± 0.17    0.224 ± 0.007        2.8
dual_focal          6.36 ± 0.10   20.58 ± 0.85    0.404 ± 0.010        2.8
adafocal            7.08 ± 0.23    8.98 ± 0.49    0.289 ± 0.008        2.9
brier               9.88 ± 0.26   19.15 ± 0.48    0.484 ± 0.005        2.6
mmce                7.30 ± 0.32    2.58 ± 0.21    0.245 ± 0.009        3.0
aurc                7.52 ± 0.23    6.45 ± 0.42    0.278 ± 0.007        2.7
selective_au       32.01 ± 1.35   50.84 ± 1.94    1.928 ± 0.023        2.6
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
