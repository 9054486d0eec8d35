# SPDX-License-Identifier: Apache-2.0
"""A folder of pictures, one folder per class."""

from pathlib import Path

import numpy as np
from PIL import Image

generator = np.random.default_rng(0)
for kind in ("cat", "dog"):
    Path("photos", kind).mkdir(parents=True)
    for number in range(30):
        pixels = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"photos/{kind}/{number}.png")
