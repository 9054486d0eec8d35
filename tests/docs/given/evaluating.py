# SPDX-License-Identifier: Apache-2.0
"""Predictions in one file, and in parts with a column of hospitals."""

from pathlib import Path

import numpy as np
import pyarrow
from pyarrow import parquet

generator = np.random.default_rng(0)


def table():
    probs = generator.dirichlet(np.ones(3), 300)
    columns = {f"prob_{c}": probs[:, c] for c in range(3)}
    label, site = generator.integers(0, 3, 300), ["north", "south", "west"] * 100
    day = np.datetime64("2026-01-05") + np.arange(300) // 10
    return pyarrow.table({**columns, "label": label, "site": site, "day": day})


Path("parts").mkdir()
parquet.write_table(table(), "predictions.parquet")
for part in range(2):
    parquet.write_table(table(), f"parts/{part}.parquet")
