# SPDX-License-Identifier: Apache-2.0
"""The predictions of a finished run."""

import torch

from adafocal import Predictions

generator = torch.Generator().manual_seed(0)
for part in ("validation", "test"):
    logits = 3 * torch.randn(400, 4, generator=generator)
    labels = torch.multinomial((logits / 2).softmax(dim=1), 1, generator=generator)[:, 0]
    Predictions(logits=logits, labels=labels).save(f"run/{part}.parquet")
