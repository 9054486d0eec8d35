# SPDX-License-Identifier: Apache-2.0
"""Models by name: ``forward`` gives logits, ``features`` the penultimate layer.

===========================  ==========================================================
mlp.py                       a multilayer perceptron
catalogue.py                 MODELS: every model by name
===========================  ==========================================================
"""

from adafocal.models.catalogue import MODELS, ModelSpec, make_model
from adafocal.models.mlp import MLP

__all__ = ["MLP", "MODELS", "ModelSpec", "make_model"]
