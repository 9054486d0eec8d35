# SPDX-License-Identifier: Apache-2.0
"""Options of the commands: typed settings to flags, with a recipe's values as defaults, and none ignored."""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml
from jsonargparse import Namespace

from adafocal._text import shown
from adafocal.cli.parser import CommandParser, parted, underscored
from adafocal.data import DataConfig
from adafocal.data.kinds import as_read, kind_of
from adafocal.errors import InvalidValueError
from adafocal.recipes import RECIPES, Recipe, get_recipe
from adafocal.training.config import NESTED, TrainConfig, dotted, from_options, plain
from adafocal.training.used import check_reached, check_read, only_read, unreached

DEFAULT_RECIPE = "digits"


@dataclass(frozen=True)
class Asked:
    """What a command line asks for.

    Attributes:
        options: Every option, those of the command included.
        recipe: Where the settings come from that were not given.
        config: The settings of a run.
        given: The settings that were given, on the line or in a file, by dotted name.
        asked: Names of those that are meant: flags on the line, and what a file changes from both the neutral
            settings and the recipe's. A file of ``--print_config`` holds every setting, few of them meant.
    """

    options: Namespace
    recipe: Recipe
    config: TrainConfig
    given: Mapping[str, object]
    asked: frozenset[str]

    @property
    def title(self) -> str:
        """What is trained on, and which network."""
        return self.recipe.title_of(self.config)

    @property
    def name(self) -> str:
        """Name of folders: the recipe's, or that of the data which a neutral one was chosen for."""
        return self.config.data.name if self.recipe.neutral else self.recipe.name

    @property
    def from_recipe(self) -> dict[str, object]:
        """The settings of the data that the recipe changes from neutral ones, by dotted name."""
        neutral, held = (dotted(plain(one), within=NESTED) for one in (TrainConfig(), self.config))
        names = [name for name in held if name.startswith("data.") and name not in ("data.name", *self.given)]
        return {name: held[name] for name in names if held[name] != neutral[name]}


def train_parser(command: str, description: str) -> CommandParser:
    """Build a parser with ``--config``, ``--recipe`` and every setting of a training run as a flag."""
    parser = CommandParser(command, description)
    parser.add_argument("--config", action="config", help="YAML file of settings; flags after it win.")
    parser.add_argument(
        "--recipe",
        default=None,
        help=f"Where the defaults come from: {', '.join(RECIPES)} (default: {DEFAULT_RECIPE}; for other data, by their "
        "kind: images, texts, numbers or volumes).",
    )
    parser.add_class_arguments(TrainConfig)
    return parser


def parse(
    parser: CommandParser, arguments: Sequence[str], *, early: tuple[str | None, str | None] | None = None
) -> Asked:
    """Parse a command line whose defaults are those of its recipe and loss, or of both as they are known ``early``.

    Raises:
        ValueError: If a value is out of range, or nothing would read a setting that was given.
    """
    recipe, loss = early or early_options(arguments)
    _set_defaults(parser, get_recipe(recipe or DEFAULT_RECIPE), loss)
    given = dotted(parser.parse_given(arguments), within=NESTED)
    chosen = get_recipe(recipe or suited(given))
    _set_defaults(parser, chosen.on(given), loss)
    options = parser.parse_args(arguments)
    flags = {one[2:].partition("=")[0] for one in parted(underscored(arguments))[0] if one.startswith("--")}
    _check_whole(options, flags)
    config = from_options(parser, options)
    asked = _changed(given, chosen.on(given).settings(loss)) | flags
    check_read(config, asked)
    if "optimizer.milestones" in flags:  # those of a file, as of a recipe, were meant for the epochs there
        check_reached(config)
    data = as_read(config.data, given=_of_data(dict.fromkeys(asked)))
    return Asked(options, chosen, only_read(replace(config, data=data)), given, asked)


def _check_whole(options: Namespace, flags: Iterable[str]) -> None:
    """Raise if a flag sets an argument of an argument: the parser would drop the others that stand beside it."""
    for flag in flags:
        first, *path = flag.split(".")
        if first.endswith("_args") and len(path) > 1 and isinstance(options.get(first), dict):
            whole, inner = ".".join([first, path[0]]), path[1]
            raise InvalidValueError(
                f"`{whole}` must be given as a whole, as in --{whole} '{{{inner}: …}}', got --{flag} alone."
            )


def suited(given: Mapping[str, object]) -> str:
    """Choose the recipe where none is named: the digits', or for other data the neutral one of their kind."""
    data = _of_data(given)
    if data.get("path") is None and data.get("name", DEFAULT_RECIPE) == DEFAULT_RECIPE:
        return DEFAULT_RECIPE
    kind = kind_of(DataConfig(**{"name": "own", **data}))  # type: ignore[arg-type]
    return kind if kind in RECIPES else "numbers"  # a network that takes what a function makes, whatever its shape


def _of_data(given: Mapping[str, object]) -> dict[str, object]:
    """Select the settings of the data, by their names there."""
    return {name.removeprefix("data."): value for name, value in given.items() if name.startswith("data.")}


def _set_defaults(parser: CommandParser, recipe: Recipe, loss: str | None) -> None:
    parser.set_defaults({**dotted(plain(recipe.settings(loss)), within=NESTED), "recipe": recipe.name})


def _changed(given: Mapping[str, object], of_recipe: TrainConfig) -> frozenset[str]:
    neutral, theirs = (dotted(plain(one), within=NESTED) for one in (TrainConfig(), of_recipe))
    held = {name: value for name, value in given.items() if name in neutral}
    return frozenset(name for name, value in held.items() if value not in (neutral[name], theirs[name]))


def early_options(arguments: Sequence[str]) -> tuple[str | None, str | None]:
    """Read recipe and loss, which set defaults and so come first, from the line or the file that it names."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in ("config", "recipe", "loss"):
        parser.add_argument(f"--{name}")
    given = vars(parser.parse_known_args(arguments)[0])
    settings = _settings_of_file(given["config"])
    return given["recipe"] or settings.get("recipe"), given["loss"] or settings.get("loss")


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
    if isinstance(settings.get("data"), str):
        raise InvalidValueError(
            f"`data` must hold settings by name in a file, such as {{name: {settings['data']}}}, got "
            f"{shown(settings['data'])} in {path!r}."
        )
    return settings


def beginning(asked: Asked, *, title: str) -> dict[str, str]:
    """Say before anyone trains what will be, by a name of each line."""
    config, optimizer = asked.config, asked.config.optimizer
    steps = f"steps at {', '.join(map(str, optimizer.milestones))}" if optimizer.milestones else "constant"
    schedule = steps if optimizer.schedule == "steps" else optimizer.schedule
    lines = {
        "training": title,
        "schedule": f"{config.epochs} epochs in batches of {config.batch_size}, {optimizer.name}, learning rate "
        f"{optimizer.lr:g} ({schedule}), weight decay {optimizer.weight_decay:g}",
    }
    if changed := asked.from_recipe:
        lines["data as in recipe"] = f"{asked.recipe.name}: {', '.join(f'{k} {v}' for k, v in changed.items())}"
    if late := unreached(config):
        lines["note"] = f"training ends before epoch {', '.join(map(str, late))}, where the learning rate was to fall"
    return lines
