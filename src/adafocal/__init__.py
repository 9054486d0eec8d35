# SPDX-License-Identifier: Apache-2.0
"""Calibrated classifiers: the AdaFocal loss, its relatives, and honest measurement of calibration.

Names load on first use, so that importing the package costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING

from adafocal import _moved

if TYPE_CHECKING:
    from adafocal import calibration, losses, ood, scaling, selective
    from adafocal.errors import AdafocalError
    from adafocal.losses import (
        AdaFocalLoss,
        AURCLoss,
        BrierLoss,
        BrierWeightedLoss,
        DualFocalLoss,
        FLSDLoss,
        FocalLoss,
        InverseFocalLoss,
        LogitNormLoss,
        MarginSmoothingLoss,
        MMCELoss,
        ScheduledFocalLoss,
        SelectiveAULoss,
        TopologyAwareFocalLoss,
    )
    from adafocal.predictions import Predictions

__version__ = "0.1.0"

__all__ = [
    "AURCLoss",
    "AdaFocalLoss",
    "AdafocalError",
    "BrierLoss",
    "BrierWeightedLoss",
    "DualFocalLoss",
    "FLSDLoss",
    "FocalLoss",
    "InverseFocalLoss",
    "LogitNormLoss",
    "MMCELoss",
    "MarginSmoothingLoss",
    "Predictions",
    "ScheduledFocalLoss",
    "SelectiveAULoss",
    "TopologyAwareFocalLoss",
    "__version__",
    "calibration",
    "losses",
    "ood",
    "scaling",
    "selective",
]

_moved.install()
_HOME = {"AdafocalError": "adafocal.errors", "Predictions": "adafocal.predictions"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'adafocal' has no attribute {name!r}")
    if name in ("calibration", "losses", "ood", "scaling", "selective"):
        return importlib.import_module(f"adafocal.{name}")
    return getattr(importlib.import_module(_HOME.get(name, "adafocal.losses")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
