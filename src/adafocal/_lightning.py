# SPDX-License-Identifier: Apache-2.0
"""Lightning, or the sentence that says how to install it."""

from adafocal._checks import require

require("lightning.pytorch")

import lightning.pytorch as L  # noqa: E402
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO  # noqa: E402
from lightning.fabric.utilities.exceptions import MisconfigurationException  # noqa: E402
from lightning.pytorch.utilities import rank_zero_only  # noqa: E402

__all__ = ["L", "MisconfigurationException", "TorchCheckpointIO", "rank_zero_only"]
