# SPDX-License-Identifier: Apache-2.0
"""The predictions of a finished run."""

import torch

from adafocal import Predictions

generator = torch.Generator().manual_seed(0)
for part in ("validation", "test"):
    logits = 3 * torch.randn(400, 4, generator=generator)
    labels = torch.multinomial((logits / 2).softmax(dim=1), 1, generator=generator)[:, 0]
    Predictions(logits=logits, labels=labels).save(f"run/{part}.parquet")

# A clinic's table: one probability of two classes each, over-confident, in four wards.
values = 3 * torch.randn(400, 2, generator=generator)
happened = torch.multinomial((values / 2).softmax(dim=1), 1, generator=generator)[:, 0]
columns = {"prob_0": values.softmax(dim=1)[:, 0], "prob_1": values.softmax(dim=1)[:, 1], "label": happened}
with open("clinic.csv", "w", encoding="utf-8") as file:
    file.write("prob_0,prob_1,label,ward\n")
    for row in range(400):
        file.write(",".join(f"{float(one[row]):.7g}" for one in columns.values()) + f",ward {row % 4}\n")
