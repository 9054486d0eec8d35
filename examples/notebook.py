# SPDX-License-Identifier: Apache-2.0
"""A notebook as a script, cell by cell (`# %%`): one model before and after temperature scaling, in four diagrams.

python examples/notebook.py    # writes notebook.png; or open it as a notebook, where each cell shows its last value
"""

# %% A model that is too sure: somebody's logits, and what came true
import matplotlib.pyplot as plt
import numpy as np

import adafocal as af
from adafocal.scaling import fit_temperature

generator = np.random.default_rng(0)
logits = 2 * generator.normal(size=(4000, 4))
chances = np.exp(0.5 * logits) / np.exp(0.5 * logits).sum(axis=1, keepdims=True)
labels = (generator.random(4000)[:, None] > chances.cumsum(axis=1)).sum(axis=1)
validation, before = (af.Predictions(logits=logits[half], labels=labels[half]) for half in np.split(np.arange(4000), 2))
before  # noqa: B018 (a notebook shows it: rows, classes, accuracy)

# %% Every measure, as a table and as a frame
summary = af.calibration.evaluate(before)
table = summary.to_frame()
print(table[table["measure"].isin(["accuracy", "ece", "nll"])].to_string(index=False))
summary  # noqa: B018

# %% One temperature, fitted on other rows
temperature = fit_temperature(validation)
after = temperature.apply(before)
found = af.compare({"before": before, "after": after})
print(found.sentence)
found  # noqa: B018

# %% Four diagrams in one figure of our own
figure, axes = plt.subplots(2, 2, figsize=(9, 8), layout="constrained")
af.plot.reliability(before, axes[0, 0]).set_title("before")
af.plot.reliability(after, axes[0, 1]).set_title("after")
af.plot.comparison(found, axes[1, 0]).set_title("both")
af.plot.risk_coverage({"before": before, "after": after}, axes[1, 1]).set_title("answering the surest")
figure.savefig("notebook.png", dpi=100)

# %% Gammas of a loss that adapts, one row per epoch
loss = af.AdaFocalLoss(n_bins=10)
rows = [loss.gamma.tolist()]
for _ in range(8):
    loss.observe(after.logits, after.labels)
    loss.adapt()
    rows.append(loss.gamma.tolist())
gammas = af.plot.gammas(rows)
gammas.figure.savefig("gammas.png", dpi=100)
