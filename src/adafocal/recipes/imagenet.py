# SPDX-License-Identifier: Apache-2.0
"""Tiny-ImageNet and ImageNet with ResNet-50.

Tiny-ImageNet: settings of Mukhoti et al. (NeurIPS 2020), which AdaFocal and dual focal loss share: learning rate 0.1
(0.035 for Brier) times 0.1 after epochs 40 and 60, 100 epochs, batch 64, weight decay 5e-4, losses summed, gradient
norm clipped at 2; 90,000 / 10,000 / 10,000 images, the official validation part for test.

ImageNet: settings that comments in the AdaFocal authors' early code state: SGD, momentum 0.9, weight decay 1e-4,
learning rate 0.01 times 0.1 after epochs 30 and 60, 90 epochs, batch 128; the 50,000 validation images in halves for
validation and test. Losses are summed and the gradient norm clipped at 2 as in the rest of that code; the crops are
Inception's.

Expected test results, in percent: ``TINY_EXPECTED``, from the same table and poster as those of CIFAR (see cifar.py for
what they are worth). For ImageNet no table could be had.
"""

from dataclasses import replace

from adafocal.data import DataConfig
from adafocal.recipes.cifar import FIXED, SGD, SUMMED
from adafocal.recipes.recipe import LossSettings, Published, Recipe, short_form

TINY_EXPECTED = {
    "cross_entropy": Published(49.81, 15.32, 5.48),
    "brier": Published(53.2, 4.44, 4.13),
    "mmce": Published(51.31, 13.01, 5.55),
    "label_smoothing": Published(47.12, 15.23, 6.51),
    "flsd53": Published(49.06, 1.76, 1.76),
    "adafocal": Published(49.36, 1.26, 1.26),
    "dual_focal": Published(None, 1.50, 1.50),
}
TINY = Recipe(
    name="tiny_imagenet-resnet50",
    title="Tiny-ImageNet, ResNet-50",
    config=replace(
        SUMMED,
        model="resnet50",
        model_args={"pool": 2},
        data=DataConfig(name="tiny_imagenet", train_size=90_000, validation_size=10_000),
        optimizer=replace(SGD, milestones=(40, 60)),
        epochs=100,
        batch_size=64,
    ),
    source="Mukhoti et al., NeurIPS 2020; Ghosh et al., NeurIPS 2022; Tao et al., ICML 2023",
    shared={"reduction": "sum"},
    losses={
        "brier": LossSettings(lr=0.035),
        **FIXED,
        "flsc531": LossSettings({"milestones": (30, 70)}),
        "dual_focal": LossSettings({"gamma": 2.3}),
    },
    expected=TINY_EXPECTED,
)
TINY_SHORT = short_form(
    TINY,
    model_args={"pool": 2, "width": 8},
    data={"train_size": 10_000, "validation_size": 2_000, "test_size": 2_000, "image_size": 32},
    optimizer={"milestones": (5, 8)},
    epochs=10,
)
LARGE = Recipe(
    name="imagenet-resnet50",
    title="ImageNet, ResNet-50",
    config=replace(
        SUMMED,
        model="resnet50",
        model_args={"stem": "imagenet"},
        data=DataConfig(name="imagenet", validation_size=25_000),
        optimizer=replace(SGD, lr=0.01, weight_decay=1e-4, milestones=(30, 60)),
        epochs=90,
        batch_size=128,
    ),
    source="comments in the early code of Ghosh et al., NeurIPS 2022",
    shared={"reduction": "sum"},
    losses=FIXED,
)
LARGE_SHORT = short_form(
    LARGE,
    model_args={"width": 8},
    data={"train_size": 20_000, "validation_size": 5_000, "test_size": 5_000, "image_size": 32},
    optimizer={"milestones": (5, 8)},
    epochs=10,
)
IMAGENET = (TINY, LARGE, TINY_SHORT, LARGE_SHORT)
