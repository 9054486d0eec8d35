# SPDX-License-Identifier: Apache-2.0
"""Calibrated classifiers: the AdaFocal loss, its relatives, and honest measurement of calibration.

Names load on first use, so that importing the package costs next to nothing.
"""

import importlib
import sys
from typing import TYPE_CHECKING

from adafocal import _moved

if TYPE_CHECKING:
    from adafocal import calibration as calibration
    from adafocal import losses as losses
    from adafocal import ood as ood
    from adafocal import plot as plot
    from adafocal import scaling as scaling
    from adafocal import selective as selective
    from adafocal.errors import AdafocalError as AdafocalError
    from adafocal.evaluation.compare import compare as compare
    from adafocal.losses import *
    from adafocal.multilabel import MultilabelPredictions as MultilabelPredictions
    from adafocal.outcomes import Outcomes as Outcomes
    from adafocal.predictions import Predictions as Predictions

__version__ = "0.2.0"

_PARTS = ("calibration", "losses", "ood", "plot", "scaling", "selective")
_HOME = {
    "AdafocalError": "adafocal.errors",
    "MultilabelPredictions": "adafocal.multilabel",
    "Outcomes": "adafocal.outcomes",
    "Predictions": "adafocal.predictions",
    "compare": "adafocal.evaluation.compare",
}

_moved.install()


def _public() -> list[str]:
    """Name what is public, with the losses that the catalogue holds: a list of them here would be one to forget."""
    losses = importlib.import_module("adafocal.losses").__all__
    return sorted([*_PARTS, *_HOME, *(name for name in losses if name.endswith("Loss")), "__version__"])


def __getattr__(name: str) -> object:
    if name == "__all__":
        return _public()
    if name in _PARTS:
        return importlib.import_module(f"adafocal.{name}")
    if name in _HOME or (name.endswith("Loss") and name in _public()):
        return getattr(importlib.import_module(_HOME.get(name, "adafocal.losses")), name)
    raise AttributeError(f"module 'adafocal' has no attribute {name!r}", name=name, obj=sys.modules[__name__])


def __dir__() -> list[str]:
    return _public()
