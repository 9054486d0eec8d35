# SPDX-License-Identifier: Apache-2.0
"""The tasks of the stage ``paired``."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adafocal.recipes import get_recipe
from adafocal.training import TrainConfig


@dataclass(frozen=True)
class Setting:
    """A task: settings of the command's own runs, and what they do not say.

    Attributes:
        config: Settings of a run; paths are filled in later.
        seeds: How many.
        seconds: What a run takes at most, guessed, until one is done.
        on_cpu: Whether it is so small that a GPU would not help.
        validation: Adapt on, and scale by, so many of the validation part.
        linear: Whether the learning rate falls step by step to nothing.
        loss_args: Settings of losses, by loss.
        voxels: Whether a sample is a volume, and every voxel has a label.
    """

    config: TrainConfig
    seeds: int
    seconds: float
    on_cpu: bool = False
    validation: int | None = None
    linear: bool = False
    loss_args: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    voxels: bool = False


def settings() -> dict[str, Setting]:
    """Give the tasks, as docs/results.md trains them where it does."""
    text = get_recipe("20newsgroups-text_cnn").config
    text = replace(text, model_args={"width": 32, "embedding_size": 48})
    text = replace(text, data=replace(text.data, length=100, vocabulary_size=10_000))
    by_date = replace(text, data=replace(text.data, name="20newsgroups_bydate"), epochs=20)
    digits = get_recipe("digits").config
    weak = replace(digits, optimizer=replace(digits.optimizer, weight_decay=5e-4, milestones=(30, 45)), epochs=60)
    mnist = replace(
        digits,
        data=replace(digits.data, name="mnist", train_size=2000, validation_size=1000, noise=0.0),
        model="small_cnn",
        epochs=20,
        batch_size=64,
        optimizer=replace(digits.optimizer, weight_decay=5e-4, milestones=(10, 15)),
    )
    cifar = get_recipe("cifar10-resnet50-short").config
    cifar = replace(
        cifar,
        data=replace(cifar.data, train_size=10_000, validation_size=1000, test_size=None, augment=False),
        model="resnet18",
        model_args={"width": 8},
        epochs=20,
        optimizer=replace(cifar.optimizer, milestones=(10, 15)),
    )
    encoder = get_recipe("20newsgroups-bert").config
    encoder = replace(
        encoder,
        data=replace(encoder.data, train_size=4000, validation_size=1000, length=128),
        optimizer=replace(encoder.optimizer, lr=5e-5),
    )
    faster = replace(encoder, optimizer=replace(encoder.optimizer, lr=2e-4))  # ends fitted, where the other is short
    volumes = get_recipe("hippocampus-unet3d-short").config
    volumes = replace(volumes, data=replace(volumes.data, train_size=32, validation_size=15, test_size=30))
    of_voxels = {"adafocal": volumes.loss_args}  # it adapts to voxels that are predicted to be foreground
    of_text = {"dual_focal": {"gamma": 3.0}}  # its authors' for text; theirs for CIFAR-10 with a ResNet below
    return {
        "20newsgroups-bydate": Setting(by_date, 8, 40, loss_args=of_text),
        "20newsgroups-pooled": Setting(text, 5, 100, loss_args=of_text),
        "mnist": Setting(mnist, 8, 30),
        "digits": Setting(digits, 8, 30, on_cpu=True),
        "digits-weak-decay": Setting(weak, 8, 20, on_cpu=True),
        "digits-100-validation": Setting(digits, 8, 30, on_cpu=True, validation=100),
        "cifar10": Setting(cifar, 8, 60, loss_args={"dual_focal": {"gamma": 5.0}}),
        "encoder": Setting(encoder, 5, 90, linear=True, loss_args=of_text),
        "encoder-2e-4": Setting(faster, 5, 90, linear=True, loss_args=of_text),
        "hippocampus": Setting(volumes, 5, 90, voxels=True, loss_args=of_voxels),
    }


TASKS = settings()
