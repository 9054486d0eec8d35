# SPDX-License-Identifier: Apache-2.0
"""AdaFocal in a plain PyTorch loop, on scikit-learn's digits, with a checkpoint that holds the gammas.

python examples/plain_pytorch.py [--epochs 5]
"""

import argparse
import tempfile
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from adafocal import AdaFocalLoss
from adafocal.calibration import binned_error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5)
    epochs = parser.parse_args().epochs
    torch.manual_seed(0)
    inputs, labels = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(inputs, dtype=torch.float32) / 16, torch.tensor(labels))
    train, validation = random_split(data, [1297, 500])
    device = "cuda" if torch.cuda.is_available() else "cpu"

    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)).to(device)
    criterion = AdaFocalLoss().to(device)  # in place of nn.CrossEntropyLoss
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(epochs):
        for batch, targets in DataLoader(train, batch_size=64, shuffle=True):
            optimizer.zero_grad()
            criterion(model(batch.to(device)), targets.to(device)).backward()
            optimizer.step()
        with torch.no_grad():
            for batch, targets in DataLoader(validation, batch_size=256):
                criterion.observe(model(batch.to(device)), targets.to(device))
        stats = criterion.adapt()  # moves the gammas
        gammas = " ".join(f"{gamma:.2f}" for gamma in criterion.gamma.tolist())
        print(f"epoch {epoch}: equal-mass ECE {100 * binned_error(stats):.1f} %, gammas {gammas}")

    path = Path(tempfile.mkdtemp()) / "checkpoint.pt"
    torch.save({"model": model.state_dict(), "criterion": criterion.state_dict()}, path)
    restored = AdaFocalLoss().to(device)
    restored.load_state_dict(torch.load(path, weights_only=True)["criterion"])
    print("restored gammas are equal:", torch.equal(restored.gamma, criterion.gamma))


if __name__ == "__main__":
    main()
