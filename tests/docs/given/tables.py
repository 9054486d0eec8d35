# SPDX-License-Identifier: Apache-2.0
"""Predictions of three classes, answers with their sites, and one column of two classes."""

import numpy as np

from adafocal import Predictions

generator = np.random.default_rng(0)
Predictions(probs=generator.dirichlet(np.ones(3), 50), labels=generator.integers(0, 3, 50)).save("predictions.parquet")
confidence, right = generator.uniform(0.3, 1.0, 50).round(4), generator.integers(0, 2, 50)
answers, one = ["confidence,correct,site"], ["y_pred_proba,y_true"]
for row, (value, happened) in enumerate(zip(confidence, right, strict=True)):
    answers.append(f"{value},{happened},{'ab'[row % 2]}")
    one.append(f"{value},{happened}")
for name, rows in (("answers.csv", answers), ("test.csv", one)):
    with open(name, "w") as file:
        file.write("\n".join(rows) + "\n")
