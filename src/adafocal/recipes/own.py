# SPDX-License-Identifier: Apache-2.0
"""Data of your own: neutral settings for each kind, chosen where data are named and no recipe is.

All of the data, without noise; a tenth for validation and a fifth for testing unless the data have these parts; a
network small enough for a laptop, trained by Adam for 30 epochs with a learning rate that falls to zero. No
paper's numbers belong to them: they are where to begin.
"""

from collections.abc import Mapping
from dataclasses import replace

from adafocal.data import DataConfig
from adafocal.recipes.recipe import LossSettings, Recipe
from adafocal.training.config import OptimizerConfig, TrainConfig

OPTIMIZER = OptimizerConfig(name="adam", lr=1e-3, weight_decay=0.0, schedule="cosine")


def _own(kind: str, model: str, *, losses: Mapping[str, LossSettings] = {}, batch_size: int = 32) -> Recipe:
    shared = TrainConfig(loss="adafocal", model=model, data=DataConfig(name="own"), optimizer=OPTIMIZER, epochs=30)
    of_loss = losses.get("adafocal", LossSettings()).loss_args
    config = replace(shared, loss_args=dict(of_loss), batch_size=batch_size, accelerator="auto")
    source = "this project: where to begin with data of your own"
    return Recipe(kind, f"Your {kind}", config, source, losses=losses, neutral=True)


# AdaFocal keeps sums instead of voxels.
OWN = (
    _own("images", "small_cnn"),
    _own("texts", "text_cnn"),
    _own("numbers", "mlp"),
    _own("volumes", "unet3d", losses={"adafocal": LossSettings({"streaming": True})}, batch_size=4),
)
