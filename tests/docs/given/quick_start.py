# SPDX-License-Identifier: Apache-2.0
"""A settings file; and silence about loaders without worker processes, which are right for toys."""

import warnings
from pathlib import Path

Path("mine.yaml").write_text("loss: focal\nloss_args:\n  gamma: 1.5\n", encoding="utf-8")
warnings.filterwarnings(
    "ignore", message=".*(many workers|tensorboard|treespec|smaller than the logging interval|pin_memory).*"
)
