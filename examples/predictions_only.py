# SPDX-License-Identifier: Apache-2.0
"""Probabilities of any classifier, as numpy arrays: measure their calibration, scale them, measure again.

python examples/predictions_only.py
"""

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from adafocal import Predictions
from adafocal.calibration import evaluate
from adafocal.scaling import fit_temperature


def main() -> None:
    # Somebody else's model, trained on few and noisy digits, and what it says of others.
    inputs, labels = load_digits(return_X_y=True)
    inputs = inputs + np.random.default_rng(0).normal(scale=4.0, size=inputs.shape)
    train, rest, train_labels, rest_labels = train_test_split(inputs, labels, train_size=200, random_state=0)
    probs: np.ndarray = MLPClassifier(random_state=0, max_iter=600).fit(train, train_labels).predict_proba(rest)

    # From here on it is arrays: one half to fit the temperature on, the other to measure with.
    validation, test = (
        Predictions(probs=torch.from_numpy(probs[half]), labels=torch.from_numpy(rest_labels[half]))
        for half in (slice(800), slice(800, None))
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
