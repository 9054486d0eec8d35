# SPDX-License-Identifier: Apache-2.0
"""Every recipe by name: what the command line, studies and docs read."""

from adafocal._settings import or_meant
from adafocal.errors import InvalidValueError
from adafocal.recipes.cifar import CIFAR
from adafocal.recipes.digits import DIGITS
from adafocal.recipes.hippocampus import HIPPOCAMPUS
from adafocal.recipes.imagenet import IMAGENET
from adafocal.recipes.newsgroups import NEWSGROUPS
from adafocal.recipes.own import OWN
from adafocal.recipes.recipe import Recipe
from adafocal.recipes.risk import RISK

RECIPES = {recipe.name: recipe for recipe in (DIGITS, *CIFAR, *IMAGENET, *NEWSGROUPS, *RISK, *HIPPOCAMPUS, *OWN)}


def get_recipe(name: str) -> Recipe:
    """Find a recipe by name.

    Raises:
        ValueError: If the name is unknown.
    """
    if name not in RECIPES:
        raise InvalidValueError(f"`recipe` must be one of {', '.join(RECIPES)}, got {name!r}{or_meant(name, RECIPES)}")
    return RECIPES[name]
