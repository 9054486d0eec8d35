# SPDX-License-Identifier: Apache-2.0
"""Anterior and posterior hippocampus in MR volumes with a 3-D U-Net: cross-entropy, focal, topology-aware, AdaFocal.

The task is the Medical Segmentation Decathlon's fourth; the topology-aware loss was published on its first (BraTS), of
whose settings nothing could be had. So all settings are ours. The focal loss has the gamma of the topology-aware one,
so that they differ in the topology term alone. AdaFocal keeps sums instead of voxels, and adapts to voxels that are
predicted to be foreground, because nineteen of twenty voxels are easy background.

The long form is for a GPU, where the losses' kernels for volumes are not reproducible bit by bit; we have not run it.
The short form cuts volumes to 40 x 56 x 40 voxels, which cuts no labelled voxel of the 260 cases, and fits a CPU core.
Its learning rate is high on purpose: an earlier form with 3e-3 and 16 epochs left one seed of three at Dice 0.53 to
0.61 under all four losses. What it gives is in docs/segmentation.md. Nobody published calibration on this task.
"""

from adafocal.data import DataConfig
from adafocal.recipes.recipe import LossSettings, Recipe, short_form
from adafocal.training.config import OptimizerConfig, TrainConfig

ADAFOCAL = {"streaming": True, "ignore_predicted": 0}
FULL = Recipe(
    name="hippocampus-unet3d",
    title="Hippocampus, 3-D U-Net",
    config=TrainConfig(
        loss="adafocal",
        loss_args=ADAFOCAL,
        model="unet3d",
        model_args={"width": 32, "depth": 4, "n_residual_units": 2},
        data=DataConfig(name="hippocampus3d"),
        optimizer=OptimizerConfig(name="adamw", lr=1e-3, weight_decay=1e-2, milestones=(120, 170)),
        epochs=200,
        batch_size=8,
        accelerator="auto",
        deterministic=False,
    ),
    source="this project; losses of Demir et al. 2023 and Ghosh et al. 2022 on the Decathlon's hippocampus task",
    losses={
        "adafocal": LossSettings(ADAFOCAL),
        "focal": LossSettings({"gamma": 2.0}),
        "topology_aware_focal": LossSettings({"gamma": 2.0, "topology_weight": 0.01}),
    },
)
SHORT = short_form(
    FULL,
    model_args={"width": 8, "depth": 4},
    data={"train_size": 64, "validation_size": 30, "test_size": 60, "volume_size": (40, 56, 40)},
    optimizer={"lr": 1e-2, "milestones": (14, 18)},
    epochs=20,
    batch_size=2,
    deterministic=True,
)
HIPPOCAMPUS = (FULL, SHORT)
