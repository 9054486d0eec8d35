# SPDX-License-Identifier: Apache-2.0
"""Reweighted risk (Zhou et al., arXiv:2505.23463): AURC, selective AU and inverse focal loss on small images.

Settings of the authors' later code. CIFAR: SGD, momentum 0.9, weight decay 5e-4, learning rate 0.1 times 0.2 after
epochs 60, 120 and 160, 200 epochs, batch 128, a stratified validation part of 5,000. Tiny-ImageNet: weight decay 1e-4,
learning rate 0.1 times 0.1 after epochs 30 and 60, 90 epochs, batch 256. ViT-S and Swin-T, pretrained, on
Tiny-ImageNet's images at 224 pixels: learning rate 1e-4 falling as a cosine, weight decay 5e-4, 90 epochs, batch 256;
their optimiser is not told, ours is AdamW. Losses are averaged over the batch and the gradient is not clipped. They
train in half precision and keep the epoch of lowest validation loss after a warm-up of a third of the epochs, at most
40; these recipes train in float32 and keep the epoch of lowest validation cross-entropy, whichever it is.

Expected results: none. The tables of the paper could not be had, and the numbers of its repository are of unfinished
runs. The mixing of regularized AURC is that of the first version's code; the quantile of selective AU on CIFAR is not
published, so the loss keeps its default.
"""

from dataclasses import replace

from adafocal.data import DataConfig
from adafocal.recipes.cifar import DATA, DUAL_FOCAL_GAMMA, INVERSE_FOCAL_GAMMA, NETWORKS, SGD, cifar_short
from adafocal.recipes.recipe import LossSettings, Recipe, short_form
from adafocal.training.config import OptimizerConfig, TrainConfig

RISK_DUAL_FOCAL_GAMMA = DUAL_FOCAL_GAMMA | {"cifar10": DUAL_FOCAL_GAMMA["cifar10"] | {"resnet50": 2.0}}
AURC_MIXING = {  # DenseNet-121 is not in their list and keeps the loss's default
    "cifar10": {"resnet50": 0.9, "resnet110": 0.9, "wide_resnet": 0.9},
    "cifar100": {"resnet50": 0.5, "resnet110": 0.9, "wide_resnet": 0.2},
}
SOURCE = "Zhou, Gruber, Popordanoska, Blaschko, arXiv:2505.23463, code of the later versions"


def risk_cifar(data: str, network: str) -> Recipe:
    """Put together the recipe of one CIFAR data set and network."""
    mixing = AURC_MIXING[data].get(network)
    return Recipe(
        name=f"risk-{data}-{network}",
        title=f"Reweighted risk: {DATA[data]}, {NETWORKS[network]}",
        config=TrainConfig(
            loss="inverse_focal",
            loss_args={"gamma": INVERSE_FOCAL_GAMMA[data][network]},
            model=network,
            data=DataConfig(name=data, train_size=45_000, validation_size=5_000),
            optimizer=replace(SGD, milestones=(60, 120, 160), lr_decay=0.2, clip_norm=None),
            epochs=200,
            batch_size=128,
            select="best",
            accelerator="auto",
        ),
        source=SOURCE,
        losses={
            "inverse_focal": LossSettings({"gamma": INVERSE_FOCAL_GAMMA[data][network]}),
            "dual_focal": LossSettings({"gamma": RISK_DUAL_FOCAL_GAMMA[data][network]}),
            "aurc": LossSettings({} if mixing is None else {"mixing": mixing}),
        },
    )


TINY = Recipe(
    name="risk-tiny_imagenet-resnet50",
    title="Reweighted risk: Tiny-ImageNet, ResNet-50",
    config=TrainConfig(
        loss="inverse_focal",
        loss_args={"gamma": 1.0},
        model="resnet50",
        data=DataConfig(name="tiny_imagenet", train_size=90_000, validation_size=10_000),
        optimizer=replace(SGD, weight_decay=1e-4, milestones=(30, 60), clip_norm=None),
        epochs=90,
        batch_size=256,
        select="best",
        accelerator="auto",
    ),
    source=SOURCE,
    losses={"inverse_focal": LossSettings({"gamma": 1.0}), "dual_focal": LossSettings({"gamma": 2.3})},
)
TINY_SHORT = short_form(
    TINY,
    model_args={"width": 8},
    data={"train_size": 10_000, "validation_size": 2_000, "test_size": 2_000, "image_size": 32},
    optimizer={"milestones": (5, 8)},
    epochs=10,
    batch_size=128,
    select="last",
)


def risk_transformer(name: str, title: str, network: str) -> Recipe:
    """Put together the recipe of Tiny-ImageNet with a pretrained vision transformer of timm."""
    config = replace(
        TINY.config,
        model="timm",
        model_args={"name": network, "pretrained": True},
        data=replace(TINY.config.data, image_size=224),
        optimizer=OptimizerConfig(name="adamw", lr=1e-4, weight_decay=5e-4, schedule="cosine", milestones=()),
    )
    return Recipe(f"risk-tiny_imagenet-{name}", f"Reweighted risk: Tiny-ImageNet, {title}", config, SOURCE)


def risk_transformer_short(recipe: Recipe) -> Recipe:
    """Cut a recipe down for two CPU cores: 2,000 images, 3 epochs; the network is as small as pretrained ones are."""
    data = {"train_size": 2_000, "validation_size": 500, "test_size": 500}
    return short_form(recipe, data=data, epochs=3, batch_size=32)


FULL = tuple(risk_cifar(data, network) for data in DATA for network in NETWORKS)
TRANSFORMERS = (
    risk_transformer("vit_small", "ViT-S", "vit_small_patch16_224"),
    risk_transformer("swin_tiny", "Swin-T", "swin_tiny_patch4_window7_224"),
)
RISK = (
    *FULL,
    TINY,
    *TRANSFORMERS,
    *(cifar_short(recipe) for recipe in FULL),
    TINY_SHORT,
    *(risk_transformer_short(recipe) for recipe in TRANSFORMERS),
)
