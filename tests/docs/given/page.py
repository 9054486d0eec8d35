# SPDX-License-Identifier: Apache-2.0
"""Predictions of a run on its test part, and on letters."""

import torch

from adafocal import Predictions

generator = torch.Generator().manual_seed(0)
for path, scale in (("runs/a/test.parquet", 4.0), ("letters.parquet", 1.0)):
    logits = scale * torch.randn(200, 4, generator=generator)
    Predictions(logits=logits, labels=logits.argmax(dim=1)).save(path)
