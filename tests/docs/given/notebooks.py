# SPDX-License-Identifier: Apache-2.0
"""Predictions of one model, over-confident and after temperature scaling, with the name of each row."""

import numpy as np
import pandas as pd

generator = np.random.default_rng(0)
logits = 2 * generator.normal(size=(2000, 3))
chances = np.exp(0.6 * logits)
chances /= chances.sum(axis=1, keepdims=True)
labels = (generator.random(2000)[:, None] > chances.cumsum(axis=1)).sum(axis=1)
for name, scale in (("before", 1.0), ("after", 0.6)):
    columns = {f"logit_{place}": scale * logits[:, place] for place in range(3)}
    ids = [f"q{row}" for row in range(2000)]
    pd.DataFrame({**columns, "label": labels, "id": ids}).to_parquet(f"{name}.parquet")
