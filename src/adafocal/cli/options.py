# SPDX-License-Identifier: Apache-2.0
"""Options of the commands: typed settings to flags, with a recipe's values as defaults."""

from collections.abc import Sequence
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace

from adafocal.errors import InvalidValueError
from adafocal.recipes import RECIPES, get_recipe
from adafocal.training.config import TrainConfig, from_plain, plain


def command_parser(command: str, description: str) -> ArgumentParser:
    """Build an empty parser for ``adafocal COMMAND``; its errors are raised, not printed."""
    return ArgumentParser(prog=f"adafocal {command}", description=description, exit_on_error=False, allow_abbrev=False)


def train_parser(
    command: str, description: str, arguments: Sequence[str], *, recipe: str | None = None, loss: str | None = None
) -> ArgumentParser:
    """Build a parser that has every setting of a training run as a flag.

    Args:
        command: Name of the sub-command.
        description: What it does.
        arguments: The command line: its ``--recipe``, or that of its ``--config`` file, sets the defaults.
        recipe: Sets the defaults in place of the command line's.
        loss: The loss whose settings are the defaults, in place of the command line's.

    Returns:
        A parser with ``--config``, ``--print_config``, ``--recipe`` and the fields of ``TrainConfig``.
    """
    parser = command_parser(command, description)
    parser.add_argument("--config", action="config", help="YAML file of settings; flags after it win.")
    parser.add_argument("--recipe", default="digits", help=f"Where the defaults come from: {', '.join(RECIPES)}.")
    parser.add_class_arguments(TrainConfig)
    recipe = recipe or early_option(arguments, "recipe") or "digits"
    loss = loss or early_option(arguments, "loss")
    parser.set_defaults({**flat_settings(plain(get_recipe(recipe).settings(loss))), "recipe": recipe})
    return parser


def train_config(options: Namespace) -> TrainConfig:
    """Build the settings from parsed options, ignoring what belongs to the command."""
    settings = options.as_dict()
    return from_plain({name: settings[name] for name in TrainConfig.__dataclass_fields__})


def early_option(arguments: Sequence[str], name: str) -> Any:
    """Give an option of the command line, or of its ``--config`` file, before there is a parser; None if not given."""
    for place, argument in enumerate(arguments):
        if argument == f"--{name}" and place + 1 < len(arguments):
            return arguments[place + 1]
        if argument.startswith(f"--{name}="):
            return argument.partition("=")[2]
    return None if name == "config" else _settings_of_file(early_option(arguments, "config")).get(name)


def _settings_of_file(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            settings = yaml.safe_load(file)
    except yaml.YAMLError as error:
        raise InvalidValueError(f"`config` must be a YAML file, got {path!r}: {str(error).splitlines()[0]}.") from error
    if not isinstance(settings, dict):
        raise InvalidValueError(f"`config` must hold settings by name, got {path!r} with {type(settings).__name__}.")
    return settings


def flat_settings(settings: dict[str, object], prefix: str = "") -> dict[str, object]:
    """Give settings by dotted name, as flags name them."""
    flat: dict[str, object] = {}
    for name, value in settings.items():
        if isinstance(value, dict) and name in ("data", "optimizer"):
            flat |= flat_settings(value, f"{name}.")
        else:
            flat[prefix + name] = value
    return flat
