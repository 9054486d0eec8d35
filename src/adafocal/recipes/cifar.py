# SPDX-License-Identifier: Apache-2.0
"""CIFAR-10 and CIFAR-100 with the four networks of the calibration papers.

Settings of Mukhoti et al. (NeurIPS 2020), which AdaFocal (Ghosh et al., NeurIPS 2022) and dual focal loss (Tao et al.,
ICML 2023) share: SGD, momentum 0.9, weight decay 5e-4, learning rate 0.1 times 0.1 after epochs 150 and 250, 350
epochs, batch 128, losses summed over the batch, gradient norm clipped at 2; 45,000 / 5,000 / 10,000 images, padded by 4
pixels, cropped and mirrored. Ours draws the validation part with equal class shares; theirs is a plain random one.

Expected test results, in percent, ECE over 15 equal-width bins before / after temperature scaling. Errors and ECE of
all but dual focal come from a table that the AdaFocal authors published before the final version of their paper, so
AdaFocal's are probably those of the algorithm without inverse focal loss; dual focal's are from its authors' poster.
The poster's inverse focal loss is left out, as its gamma is not known; the gamma here is Zhou et al.'s. How many seeds
a cell holds is not said. Nothing of this was rerun by us.
Their MMCE is the balanced penalty; ours is the plain one, as the other kept networks from training.

Measured here, test part, ResNet-18 of width 8 on 10,000 images, 20 epochs, seeds 0 to 2,
2 CPU cores (AMD EPYC), one thread per run, torch 2.13.0, lightning 2.6.6, 2026-11; the command is in docs/results.md.
Mean ± standard deviation over seeds.

loss                    error %          ECE %              NLL  s / epoch
cross_entropy      37.23 ± 1.07   21.36 ± 2.85    1.519 ± 0.202       21.3
flsd53             39.53 ± 1.09    8.95 ± 3.66    1.220 ± 0.029       22.7
dual_focal         37.03 ± 1.30    4.82 ± 0.57    1.063 ± 0.032       22.1
adafocal           37.95 ± 0.84    9.44 ± 2.07    1.205 ± 0.033       23.3
"""

from dataclasses import replace

from adafocal.data import DataConfig
from adafocal.recipes.recipe import LossSettings, Published, Recipe, short_form
from adafocal.training.config import OptimizerConfig, TrainConfig

NETWORKS = {
    "resnet50": "ResNet-50",
    "resnet110": "ResNet-110",
    "wide_resnet": "Wide-ResNet-26-10",
    "densenet121": "DenseNet-121",
}
DATA = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}
SGD = OptimizerConfig(name="sgd", lr=0.1, momentum=0.9, weight_decay=5e-4, lr_decay=0.1, clip_norm=2.0)
SUMMED = TrainConfig(loss="adafocal", loss_args={"reduction": "sum"}, accelerator="auto")  # over the batch
FIXED = {  # what Mukhoti et al. set on every data set
    "mmce": LossSettings({"penalty_weight": 2.0}),
    "label_smoothing": LossSettings({"label_smoothing": 0.05}),
    "focal": LossSettings({"gamma": 3.0}),
}
# Sizes at which an epoch of the short form is a matter of seconds to a minute on two CPU cores.
NARROW = {
    "resnet50": {"width": 8},
    "resnet110": {"width": 4},
    "wide_resnet": {"widen": 1},
    "densenet121": {"growth": 4},
}
DUAL_FOCAL_GAMMA = {
    "cifar10": {"resnet50": 5.0, "resnet110": 4.5, "wide_resnet": 2.6, "densenet121": 5.0},
    "cifar100": {"resnet50": 5.0, "resnet110": 6.1, "wide_resnet": 3.9, "densenet121": 3.4},
}
INVERSE_FOCAL_GAMMA = {  # Zhou et al., arXiv:2505.23463, code
    "cifar10": {"resnet50": 2.0, "resnet110": 3.0, "wide_resnet": 1.5, "densenet121": 2.0},
    "cifar100": {"resnet50": 1.0, "resnet110": 1.5, "wide_resnet": 1.0, "densenet121": 1.5},
}
COLUMNS = ("cross_entropy", "brier", "mmce", "label_smoothing", "flsd53", "adafocal")
ERROR = {  # percent, in the order of COLUMNS
    ("cifar10", "resnet50"): (4.95, 5.0, 4.99, 5.29, 4.98, 5.39),
    ("cifar10", "resnet110"): (4.89, 5.48, 5.4, 5.52, 5.42, 5.46),
    ("cifar10", "wide_resnet"): (3.86, 4.08, 3.91, 4.2, 4.01, 4.25),
    ("cifar10", "densenet121"): (5.0, 5.11, 5.41, 5.09, 5.46, 5.08),
    ("cifar100", "resnet50"): (23.3, 23.39, 23.2, 23.43, 23.22, 23.64),
    ("cifar100", "resnet110"): (22.73, 25.1, 23.07, 23.43, 22.51, 22.72),
    ("cifar100", "wide_resnet"): (20.7, 20.59, 20.73, 21.19, 20.11, 20.55),
    ("cifar100", "densenet121"): (24.52, 23.75, 24.0, 24.05, 22.67, 23.35),
}
ECE = {  # percent, before and after temperature scaling
    ("cifar10", "resnet50"): ((4.35, 1.35), (1.82, 1.08), (4.56, 1.19), (2.96, 1.67), (1.55, 0.95), (0.51, 1.04)),
    ("cifar10", "resnet110"): ((4.41, 1.09), (2.56, 1.25), (5.08, 1.42), (2.09, 2.09), (1.87, 1.07), (0.69, 0.69)),
    ("cifar10", "wide_resnet"): ((3.23, 0.92), (1.25, 1.25), (3.29, 0.86), (4.26, 1.84), (1.56, 0.84), (0.69, 0.41)),
    ("cifar10", "densenet121"): ((4.52, 1.31), (1.53, 1.53), (5.1, 1.61), (1.88, 1.82), (1.22, 1.22), (0.51, 0.51)),
    ("cifar100", "resnet50"): ((17.52, 3.42), (6.52, 3.64), (15.32, 2.38), (7.81, 4.01), (4.5, 2.0), (1.96, 1.96)),
    ("cifar100", "resnet110"): ((19.05, 4.43), (7.88, 4.65), (19.14, 3.86), (11.02, 5.89), (8.56, 4.12), (1.66, 1.66)),
    ("cifar100", "wide_resnet"): ((15.33, 2.88), (4.31, 2.7), (13.17, 4.37), (4.84, 4.84), (3.03, 1.64), (2.18, 2.18)),
    ("cifar100", "densenet121"): (
        (20.98, 4.27),
        (5.17, 2.29),
        (19.13, 3.06),
        (12.89, 7.52),
        (3.73, 1.31),
        (1.38, 1.38),
    ),
}
DUAL_FOCAL_ECE = {
    ("cifar10", "resnet50"): (0.46, 0.46),
    ("cifar10", "resnet110"): (0.98, 0.98),
    ("cifar10", "wide_resnet"): (0.81, 0.81),
    ("cifar10", "densenet121"): (0.57, 0.57),
    ("cifar100", "resnet50"): (1.08, 1.08),
    ("cifar100", "resnet110"): (2.90, 2.90),
    ("cifar100", "wide_resnet"): (1.79, 1.79),
    ("cifar100", "densenet121"): (1.81, 1.81),
}


def cifar_recipe(data: str, network: str) -> Recipe:
    """Put together the recipe of one data set and network."""
    key = (data, network)
    expected = {loss: Published(error, *ece) for loss, error, ece in zip(COLUMNS, ERROR[key], ECE[key], strict=True)}
    # The authors' scripts train Brier longer with this network on CIFAR-10.
    brier = LossSettings(epochs=550 if key == ("cifar10", "wide_resnet") else None)
    return Recipe(
        name=f"{data}-{network}",
        title=f"{DATA[data]}, {NETWORKS[network]}",
        config=replace(
            SUMMED,
            model=network,
            data=DataConfig(name=data, train_size=45_000, validation_size=5_000),
            optimizer=replace(SGD, milestones=(150, 250)),
            epochs=350,
            batch_size=128,
        ),
        source="Mukhoti et al., NeurIPS 2020; Ghosh et al., NeurIPS 2022; Tao et al., ICML 2023",
        shared={"reduction": "sum"},
        losses={
            "brier": brier,
            **FIXED,
            "flsc531": LossSettings({"milestones": (100, 250)}),
            "dual_focal": LossSettings({"gamma": DUAL_FOCAL_GAMMA[data][network]}),
            "inverse_focal": LossSettings({"gamma": INVERSE_FOCAL_GAMMA[data][network]}),
        },
        expected={**expected, "dual_focal": Published(None, *DUAL_FOCAL_ECE[key])},
    )


def cifar_short(recipe: Recipe) -> Recipe:
    """Cut a recipe down for two CPU cores: 5,000 images, a narrow network, 15 epochs, the last of which is kept."""
    return short_form(
        recipe,
        model_args=NARROW[recipe.config.model],
        data={"train_size": 5_000, "validation_size": 1_000, "test_size": 2_000},
        optimizer={"milestones": (8, 12)},
        epochs=15,
        select="last",
    )


FULL = tuple(cifar_recipe(data, network) for data in DATA for network in NETWORKS)
CIFAR = (*FULL, *(cifar_short(recipe) for recipe in FULL))
