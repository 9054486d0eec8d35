# SPDX-License-Identifier: Apache-2.0
"""Probabilities of any classifier, as numpy arrays: measure their calibration, scale them, measure again.

python examples/predictions_only.py
"""

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB

from adafocal import Predictions
from adafocal.calibration import evaluate
from adafocal.scaling import fit_temperature


def main() -> None:
    # Somebody else's model, and what it says of data it was not trained on.
    inputs, labels = load_digits(return_X_y=True)
    train, rest, train_labels, rest_labels = train_test_split(inputs, labels, train_size=600, random_state=0)
    probs: np.ndarray = GaussianNB(var_smoothing=1e-3).fit(train, train_labels).predict_proba(rest)

    # From here on it is arrays: one half to fit the temperature on, the other to measure with.
    validation, test = (
        Predictions(probs=torch.from_numpy(probs[half]), labels=torch.from_numpy(rest_labels[half]))
        for half in (slice(600), slice(600, None))
    )
    temperature = fit_temperature(validation)
    print(f"temperature {temperature.temperature:.2f}")
    for name, summary in (("before", evaluate(test)), ("after", evaluate(temperature.apply(test)))):
        print(
            f"{name:<7} accuracy {summary.accuracy:.3f}  ECE {summary.ece:.3f}  NLL {summary.nll:.3f}  "
            f"confidence minus accuracy {summary.overconfidence:+.3f}"
        )


if __name__ == "__main__":
    main()
