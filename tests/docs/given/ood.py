# SPDX-License-Identifier: Apache-2.0
"""Predictions with features on the model's own data and on others."""

import torch

from adafocal import Predictions

generator = torch.Generator().manual_seed(0)
head = torch.randn(8, 4, generator=generator)
for name in ("train", "test", "letters", "noise", "cifar10_test", "svhn_test", "gaussian_noise_5"):
    features = torch.randn(300, 8, generator=generator) + (0.0 if name in ("train", "test", "cifar10_test") else 2.0)
    logits = features @ head
    Predictions(logits=logits, labels=logits.argmax(dim=1), features=features).save(
        f"{name}.{'npz' if name == 'noise' else 'parquet'}"
    )
