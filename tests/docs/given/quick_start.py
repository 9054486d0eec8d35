# SPDX-License-Identifier: Apache-2.0
"""A settings file, photos; and silence about loaders without worker processes, which are right for toys."""

import warnings
from pathlib import Path

from PIL import Image

Path("mine.yaml").write_text("loss: focal\nloss_args:\n  gamma: 1.5\n", encoding="utf-8")
warnings.filterwarnings(
    "ignore", message=".*(many workers|tensorboard|treespec|smaller than the logging interval|pin_memory).*"
)
for name in "abcde":
    (Path("photos") / name).mkdir(parents=True)
    for number in range(200):
        Image.new("L", (28, 28), number).save(Path("photos") / name / f"{number:03}.png")
