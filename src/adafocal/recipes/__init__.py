# SPDX-License-Identifier: Apache-2.0
"""Experiments by name: the settings of a run, ready to be changed.

===========================  ==========================================================
recipe.py                    Recipe: settings, those of each loss, published numbers
digits.py                    noisy digits, the embedded default
cifar.py                     CIFAR-10 and CIFAR-100 with four networks
imagenet.py                  Tiny-ImageNet and ImageNet with ResNet-50
newsgroups.py                20 Newsgroups with the global-pooling CNN and BERT
risk.py                      the reweighted-risk experiments on CIFAR and Tiny-ImageNet
hippocampus.py               hippocampus in MR volumes with a 3-D U-Net
own.py                       data of your own, a neutral one for each kind
ood.py                       OOD_PAIRS: which data are told from which
catalogue.py                 RECIPES: every recipe by name
===========================  ==========================================================

Each experiment of a paper has a short form, ``NAME-short``, for machines without an accelerator.
"""

from adafocal.recipes.catalogue import RECIPES, get_recipe
from adafocal.recipes.recipe import LossSettings, Published, Recipe

__all__ = ["RECIPES", "LossSettings", "Published", "Recipe", "get_recipe"]
