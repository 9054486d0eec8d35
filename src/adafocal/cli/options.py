# SPDX-License-Identifier: Apache-2.0
"""Options of the commands: typed settings to flags, with a recipe's values as defaults."""

import argparse
from collections.abc import Sequence
from typing import Any

import yaml
from jsonargparse import Namespace

from adafocal.cli.parser import CommandParser
from adafocal.errors import InvalidValueError
from adafocal.recipes import RECIPES, get_recipe
from adafocal.training.config import NESTED, TrainConfig, dotted, plain

DEFAULT_RECIPE = "digits"


def train_parser(command: str, description: str) -> CommandParser:
    """Build a parser with ``--config``, ``--recipe`` and every setting of a training run as a flag."""
    parser = CommandParser(command, description)
    parser.add_argument("--config", action="config", help="YAML file of settings; flags after it win.")
    parser.add_argument("--recipe", default=DEFAULT_RECIPE, help=f"Where the defaults come from: {', '.join(RECIPES)}.")
    parser.add_class_arguments(TrainConfig)
    return parser


def parse(
    parser: CommandParser, arguments: Sequence[str], *, recipe: str | None = None, loss: str | None = None
) -> Namespace:
    """Parse a command line whose defaults are those of its recipe and loss, or of both as they are given."""
    if recipe is None:
        recipe, loss = early_options(arguments)
    settings = plain(get_recipe(recipe).settings(loss))
    parser.set_defaults({**dotted(settings, within=NESTED), "recipe": recipe})
    return parser.parse_args(arguments)


def early_options(arguments: Sequence[str]) -> tuple[str, str | None]:
    """Read recipe and loss, which set defaults and so come first, from the line or the file that it names."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in ("config", "recipe", "loss"):
        parser.add_argument(f"--{name}")
    given = vars(parser.parse_known_args(arguments)[0])
    settings = _settings_of_file(given["config"])
    return given["recipe"] or settings.get("recipe") or DEFAULT_RECIPE, given["loss"] or settings.get("loss")


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
