# SPDX-License-Identifier: Apache-2.0
"""AdaFocal in a loop of Accelerate, with as many processes as it is launched with.

accelerate launch --num-processes 2 --cpu examples/accelerate_loop.py [--epochs 3]
"""

import argparse

import torch
from accelerate import Accelerator
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from adafocal import AdaFocalLoss
from adafocal.calibration import binned_error
from adafocal.integrations.accelerate import without_repeats


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=3)
    epochs = parser.parse_args().epochs
    accelerator = Accelerator()
    torch.manual_seed(0)
    inputs, labels = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(inputs, dtype=torch.float32) / 16, torch.tensor(labels))
    train, validation = random_split(data, [1298, 499])

    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    criterion = AdaFocalLoss().to(accelerator.device)
    accelerator.register_for_checkpointing(criterion)  # accelerator.save_state keeps the gammas
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    model, optimizer, train_batches, validation_batches = accelerator.prepare(
        model, optimizer, DataLoader(train, batch_size=32, shuffle=True), DataLoader(validation, batch_size=64)
    )
    for epoch in range(epochs):
        for batch, targets in train_batches:
            optimizer.zero_grad()
            accelerator.backward(criterion(model(batch), targets))
            optimizer.step()
        with torch.no_grad():
            for batch, targets in validation_batches:
                logits, targets = without_repeats(model(batch), targets)
                if len(targets) > 0:
                    criterion.observe(logits, targets)  # each process its own part
        stats = criterion.adapt()  # on all processes; merges them
        error = 100 * binned_error(stats)
        accelerator.print(f"epoch {epoch}: {int(stats.count.sum())} samples, equal-mass ECE {error:.1f} %")
    gammas = accelerator.gather(criterion.gamma).view(accelerator.num_processes, -1)
    accelerator.print("gammas agree:", bool((gammas == gammas[0]).all()))
    # A distributed model that outlives its process group can hang at exit.
    model, optimizer = accelerator.free_memory(model, optimizer)
    accelerator.end_training()


if __name__ == "__main__":
    main()
