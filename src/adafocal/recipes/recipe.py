# SPDX-License-Identifier: Apache-2.0
"""What a recipe is: the settings of an experiment, those of each loss, and the numbers it was published with."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adafocal.training.config import TrainConfig


@dataclass(frozen=True)
class LossSettings:
    """What an experiment sets for one loss.

    Attributes:
        loss_args: Settings of the loss, over those that all losses of the experiment share.
        lr: Learning rate, where it is not the experiment's.
        epochs: Passes over the training data, where they are not the experiment's.
    """

    loss_args: Mapping[str, Any] = field(default_factory=dict)
    lr: float | None = None
    epochs: int | None = None


@dataclass(frozen=True)
class Published:
    """Test results that a paper reports for one loss, in percent.

    Attributes:
        error: Share of wrong predictions.
        ece: Calibration error over 15 equal-width bins.
        ece_scaled: The same after temperature scaling on validation data.
    """

    error: float | None
    ece: float | None
    ece_scaled: float | None = None


@dataclass(frozen=True)
class Recipe:
    """An experiment.

    Attributes:
        name: Name on the command line.
        title: Name in tables and pages.
        config: Settings of a run with the experiment's main loss.
        source: Where the settings come from.
        shared: Settings of every loss.
        losses: What the experiment sets for single losses, by name of the loss.
        expected: Published results by name of the loss; none for short forms, which nobody published.
    """

    name: str
    title: str
    config: TrainConfig
    source: str
    shared: Mapping[str, Any] = field(default_factory=dict)
    losses: Mapping[str, LossSettings] = field(default_factory=dict)
    expected: Mapping[str, Published] = field(default_factory=dict)

    def settings(self, loss: str | None = None) -> TrainConfig:
        """Choose the settings of a run with a loss; None is the experiment's main one."""
        return self.config if loss is None else self.with_loss(self.config, loss)

    def with_loss(self, config: TrainConfig, loss: str) -> TrainConfig:
        """Change the loss of settings that came from this recipe.

        Args:
            config: Settings, perhaps changed by hand.
            loss: Name of the loss.

        Returns:
            The settings with the loss and what the experiment sets for it. A learning rate or number of epochs that was
            changed by hand stays.
        """
        if loss == config.loss:
            return config
        own = self.losses.get(loss, LossSettings())
        before = self.losses.get(config.loss, LossSettings())
        changed = replace(config, loss=loss, loss_args={**self.shared, **own.loss_args})
        if config.optimizer.lr == (before.lr or self.config.optimizer.lr):
            changed = replace(changed, optimizer=replace(config.optimizer, lr=own.lr or self.config.optimizer.lr))
        if config.epochs == (before.epochs or self.config.epochs):
            changed = replace(changed, epochs=own.epochs or self.config.epochs)
        return changed


def short_form(
    recipe: Recipe, *, data: Mapping[str, Any], optimizer: Mapping[str, Any] | None = None, **settings: Any
) -> Recipe:
    """Cut a recipe down for small machines: the same losses, fewer data, a narrower network, fewer epochs.

    All settings but those that are named are the recipe's.
    """
    config = replace(
        recipe.config,
        data=replace(recipe.config.data, **data),
        optimizer=replace(recipe.config.optimizer, **(optimizer or {})),
        accelerator="cpu",
        **settings,
    )
    share = config.epochs / recipe.config.epochs
    losses = {
        name: replace(own, loss_args=_shorter(own.loss_args, share), epochs=None) for name, own in recipe.losses.items()
    }
    return replace(
        recipe,
        name=f"{recipe.name}-short",
        title=f"{recipe.title}, short",
        config=config,
        source=f"{recipe.name}, cut down by this project for small machines; no published numbers",
        losses=losses,
        expected={},
    )


def _shorter(loss_args: Mapping[str, Any], share: float) -> dict[str, Any]:
    milestones = loss_args.get("milestones")
    scaled = {} if milestones is None else {"milestones": tuple(max(round(epoch * share), 1) for epoch in milestones)}
    return {**loss_args, **scaled}
