# SPDX-License-Identifier: Apache-2.0
"""Experiments by name: the settings of a run, ready to be changed.

===========================  ==========================================================
digits.py                    noisy digits, the embedded default
catalogue.py                 RECIPES: every recipe by name
===========================  ==========================================================
"""

from adafocal.recipes.catalogue import RECIPES, Recipe, get_recipe

__all__ = ["RECIPES", "Recipe", "get_recipe"]
