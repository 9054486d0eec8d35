# SPDX-License-Identifier: Apache-2.0
"""Which settings of a run are read, given the others: one that is not is refused by name, never ignored."""

from collections.abc import Collection
from dataclasses import replace

from adafocal._text import shown
from adafocal.errors import InvalidValueError
from adafocal.training.config import OptimizerConfig, TrainConfig


def unread(config: TrainConfig) -> dict[str, str]:
    """Name the settings that a run does not read, each with what would make it read them.

    Settings of loss, model and data are checked where those are made.

    Example:
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
        ValueError: If one of them is not read, or a milestone that was asked for is never reached.
    """
    for name, remedy in unread(config).items():
        value = _value(config, name)
        if (value != _value(TrainConfig(), name)) if asked is None else _holds(asked, name):
            raise InvalidValueError(
                f"`{name}` must be left out where nothing reads it, got {shown(value)}: it is read with {remedy} only."
            )
    milestones = config.optimizer.milestones if config.optimizer.schedule == "steps" else ()
    late = [epoch for epoch in milestones if epoch >= config.epochs]
    if late and asked is not None and _holds(asked, "optimizer.milestones"):
        raise InvalidValueError(
            f"`optimizer.milestones` must lie below `epochs`, {config.epochs}, got {shown(late[0])}: the learning rate "
            "would not fall there."
        )


def only_read(config: TrainConfig) -> TrainConfig:
    """Set to its default what a run does not read, so that settings are equal where runs are."""
    optimizer, default, names = config.optimizer, OptimizerConfig(), unread(config)
    optimizer = replace(
        optimizer,
        momentum=default.momentum if "optimizer.momentum" in names else optimizer.momentum,
        milestones=default.milestones if "optimizer.milestones" in names else optimizer.milestones,
        lr_decay=default.lr_decay if "optimizer.lr_decay" in names else optimizer.lr_decay,
    )
    return replace(config, optimizer=optimizer, logger_args={} if "logger_args" in names else config.logger_args)


def _value(config: TrainConfig, name: str) -> object:
    value: object = config
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _holds(asked: Collection[str], name: str) -> bool:
    return any(one == name or one.startswith(f"{name}.") for one in asked)
