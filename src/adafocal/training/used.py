# SPDX-License-Identifier: Apache-2.0
"""Which settings of a run are read, given the others: one that is not is refused by name, never ignored."""

from collections.abc import Collection
from dataclasses import replace
from operator import attrgetter

from adafocal._text import shown
from adafocal.errors import InvalidValueError
from adafocal.training.config import TrainConfig


def unread(config: TrainConfig) -> dict[str, str]:
    """Name the settings that a run does not read, each with what would make it read them.

    Settings of loss, model and data are checked where those are made.

    Example:
        >>> from adafocal.training.config import OptimizerConfig
        >>> unread(TrainConfig(optimizer=OptimizerConfig(name="adam")))
        {'optimizer.momentum': '`optimizer.name` sgd'}
    """
    optimizer = config.optimizer
    names = {}
    if optimizer.name != "sgd":
        names["optimizer.momentum"] = "`optimizer.name` sgd"
    if optimizer.schedule != "steps":
        names["optimizer.milestones"] = names["optimizer.lr_decay"] = "`optimizer.schedule` steps"
    elif not optimizer.milestones:
        names["optimizer.lr_decay"] = "`optimizer.milestones`"
    if config.logger == "none":
        names["logger_args"] = "a `logger`"
    return names


def check_read(config: TrainConfig, asked: Collection[str] | None = None) -> None:
    """Raise if a setting is not read.

    Args:
        config: Settings of a run.
        asked: Settings that were asked for, by dotted name, which are refused even at their default; None is every
            setting that is not at its default.

    Raises:
        ValueError: If one of them is not read.
    """
    for name, remedy in unread(config).items():
        value, default = map(attrgetter(name), (config, TrainConfig()))
        if (value != default) if asked is None else _holds(asked, name):
            raise InvalidValueError(
                f"`{name}` must be left out where nothing reads it, got {shown(value)}: it is read with {remedy} only."
            )


def check_reached(config: TrainConfig) -> None:
    """Raise if training ends before a milestone.

    Raises:
        ValueError: If a milestone is not below the number of epochs.
    """
    if late := unreached(config):
        raise InvalidValueError(
            f"`optimizer.milestones` must lie below `epochs`, {config.epochs}, got {shown(late[0])}: the learning rate "
            "would not fall there."
        )


def unreached(config: TrainConfig) -> list[int]:
    """List the milestones at which the learning rate would fall if training did not end before."""
    milestones = config.optimizer.milestones if config.optimizer.schedule == "steps" else ()
    return [epoch for epoch in milestones if epoch >= config.epochs]


def only_read(config: TrainConfig) -> TrainConfig:
    """Set to its default what a run does not read, so that settings are equal where runs are."""
    default, names = TrainConfig(), unread(config)
    own = {name: attrgetter(name)(default) for name in names if "." not in name}
    optimizer = {name.partition(".")[2]: attrgetter(name)(default) for name in names if name.startswith("optimizer.")}
    return replace(config, optimizer=replace(config.optimizer, **optimizer), **own)


def _holds(asked: Collection[str], name: str) -> bool:
    return any(one == name or one.startswith(f"{name}.") for one in asked)
