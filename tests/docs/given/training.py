# SPDX-License-Identifier: Apache-2.0
"""A settings file."""

from pathlib import Path

Path("settings.yaml").write_text("loss: focal\nloss_args:\n  gamma: 1.5\n", encoding="utf-8")
