# SPDX-License-Identifier: Apache-2.0
"""AdaFocal behind the interface of scikit-learn, by way of skorch: fit, predict_proba, pipelines, grid search.

python examples/scikit_learn.py
"""

from typing import Any

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn

from adafocal import AdaFocalLoss
from adafocal.calibration import expected_calibration_error, top_label_from_probs


class AdaptGammas(Callback):
    """Adapt the criterion on the validation part that skorch holds out."""

    def on_batch_end(self, net: Any, batch: Any, training: bool, y_pred: torch.Tensor, **_: Any) -> None:
        if not training:
            net.criterion_.observe(y_pred, batch[1].to(y_pred.device))

    def on_epoch_end(self, net: Any, **_: Any) -> None:
        net.criterion_.adapt()


def main() -> None:
    torch.manual_seed(0)
    inputs, labels = load_digits(return_X_y=True)
    parts = train_test_split(inputs.astype("float32"), labels, test_size=500, random_state=0, stratify=labels)
    train_inputs, test_inputs, train_labels, test_labels = parts
    net = NeuralNetClassifier(
        nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)),
        criterion=AdaFocalLoss, criterion__rate=0.5, optimizer=torch.optim.Adam, lr=3e-3, max_epochs=10,
        predict_nonlinearity=nn.Softmax(dim=-1), callbacks=[AdaptGammas()], verbose=0,
    )  # fmt: skip
    classifier = make_pipeline(MinMaxScaler(), net).fit(train_inputs, train_labels)
    probs = torch.from_numpy(classifier.predict_proba(test_inputs))
    confidence, correct = top_label_from_probs(probs, torch.from_numpy(test_labels))
    print(f"accuracy {classifier.score(test_inputs, test_labels):.3f}")
    print(f"ECE {expected_calibration_error(confidence, correct):.3f}")
    print("gammas", " ".join(f"{gamma:.2f}" for gamma in net.criterion_.gamma.tolist()))


if __name__ == "__main__":
    main()
