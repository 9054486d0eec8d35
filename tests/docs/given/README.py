# SPDX-License-Identifier: Apache-2.0
"""A model with data for the loop, a settings file, photos, and predictions: twice as sure as they should be."""

from pathlib import Path

import torch
from PIL import Image

from adafocal import Predictions

generator = torch.Generator().manual_seed(0)


def batches():
    return [(torch.randn(16, 4, generator=generator), torch.randint(3, (16,), generator=generator)) for _ in range(3)]


epochs = 2
model = torch.nn.Linear(4, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
train_batches, validation_batches = batches(), batches()

Path("mine.yaml").write_text("loss: focal\nloss_args:\n  gamma: 1.5\n", encoding="utf-8")
for name in ("predictions", "validation", "test", "elsewhere"):
    logits = 3 * torch.randn(1000, 4, generator=generator)
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator).squeeze(1)
    Predictions(logits=2 * logits, labels=labels).save(f"{name}.parquet")

for name in "ab":
    (Path("photos") / name).mkdir(parents=True)
    for number in range(20):
        Image.new("L", (28, 28), 5 * number).save(Path("photos") / name / f"{number:03}.png")
