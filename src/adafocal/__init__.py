# SPDX-License-Identifier: Apache-2.0
"""Calibrated classifiers: the AdaFocal loss, its relatives, and honest measurement of calibration.

Names load on first use, so that importing the package costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adafocal import calibration, losses
    from adafocal.losses import AdaFocalLoss, FLSDLoss, FocalLoss, InverseFocalLoss, TopologyAwareFocalLoss
    from adafocal.predictions import Predictions

__version__ = "0.1.0"

__all__ = [
    "AdaFocalLoss",
    "FLSDLoss",
    "FocalLoss",
    "InverseFocalLoss",
    "Predictions",
    "TopologyAwareFocalLoss",
    "__version__",
    "calibration",
    "losses",
]

_HOME = {"Predictions": "adafocal.predictions"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'adafocal' has no attribute {name!r}")
    if name in ("calibration", "losses"):
        return importlib.import_module(f"adafocal.{name}")
    return getattr(importlib.import_module(_HOME.get(name, "adafocal.losses")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
