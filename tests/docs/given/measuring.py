# SPDX-License-Identifier: Apache-2.0
"""The predictions of a model on its test set."""

import torch

from adafocal import Predictions

generator = torch.Generator().manual_seed(0)
logits = 3 * torch.randn(500, 5, generator=generator)
labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
Predictions(logits=logits, labels=labels).save("test.parquet")
