# SPDX-License-Identifier: Apache-2.0
"""Every recipe by name: what the command line, studies and docs read."""

from dataclasses import dataclass

from adafocal.recipes.digits import DIGITS
from adafocal.training.config import TrainConfig


@dataclass(frozen=True)
class Recipe:
    """An experiment.

    Attributes:
        name: Name on the command line.
        title: Name in tables and pages.
        config: Settings of a run.
        source: Where the settings come from.
    """

    name: str
    title: str
    config: TrainConfig
    source: str


RECIPES = {
    "digits": Recipe(
        name="digits",
        title="Noisy digits, MLP",
        config=DIGITS,
        source="this project: data that ships with scikit-learn, for trying things out",
    ),
}


def get_recipe(name: str) -> Recipe:
    """Give a recipe by name.

    Raises:
        ValueError: If the name is unknown.
    """
    if name not in RECIPES:
        raise ValueError(f"`recipe` must be one of {', '.join(RECIPES)}, got {name!r}.")
    return RECIPES[name]
