# SPDX-License-Identifier: Apache-2.0
"""What a recipe is: the settings of an experiment, those of each loss, and the numbers it was published with."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from adafocal.data import DATASETS, DataConfig
from adafocal.models import MODELS
from adafocal.training.config import NESTED, TrainConfig, dotted, plain

OF_THE_NETWORK = ("image_size", "volume_size", "length", "tokenizer", "vocabulary_size")  # what it reads, of any data
NAMED = ("data.name", "data.noise", "model")  # what a title tells of


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
        neutral: Whether it suits any data of its kind and says nothing of them.
    """

    name: str
    title: str
    config: TrainConfig
    source: str
    shared: Mapping[str, Any] = field(default_factory=dict)
    losses: Mapping[str, LossSettings] = field(default_factory=dict)
    expected: Mapping[str, Published] = field(default_factory=dict)
    neutral: bool = False

    def on(self, given: Mapping[str, object]) -> "Recipe":
        """Take the recipe to the data that were asked for: what it says of its own data is no longer meant.

        Args:
            given: Settings that were asked for, by dotted name.

        Returns:
            The same losses, network and schedule, and of the data settings those that belong to the network. The recipe
            itself where its own data were asked for.
        """
        name, path = given.get("data.name"), given.get("data.path")
        if name is None and self.neutral and path is not None:
            name = named_by(Path(str(path)).resolve())
        if name is None or name == self.config.data.name:
            return self
        kept = {setting: getattr(self.config.data, setting) for setting in OF_THE_NETWORK}
        return replace(self, config=replace(self.config, data=DataConfig(name=str(name), **kept)), expected={})

    def title_of(self, config: TrainConfig, *, varied: Collection[str] = ()) -> str:
        """Name what is trained on and which network, in tables and pages.

        Args:
            config: Settings of a run.
            varied: Settings that are named beside the title.

        Returns:
            The recipe's title where both are its own, otherwise what they are.
        """
        before, after = (dotted(plain(one), within=NESTED) for one in (self.config, config))
        if not self.neutral and all(before[name] == after[name] for name in NAMED if name not in varied):
            return self.title
        data = DATASETS[config.data.name].title if config.data.name in DATASETS else config.data.name
        model = MODELS[config.model].title if config.model in MODELS else config.model
        noise = "" if config.data.noise == 0 or "data.noise" in varied else f" with noise {config.data.noise:g}"
        return f"{data}{noise}, {model}"

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


def named_by(path: Path) -> str:
    """Name data by their path, by no name that means other data: none of the catalogue's, and none of own code.

    Example:
        >>> named_by(Path("sets/wine.csv")), named_by(Path("sets/cifar10")), named_by(Path("sets/os:system"))
        ('wine', 'own cifar10', 'os_system')
    """
    name = (path.name if path.is_dir() else path.name.partition(".")[0]).replace(":", "_").replace("/", "_") or "data"
    return f"own {name}" if name in DATASETS else name


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
