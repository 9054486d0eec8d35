# SPDX-License-Identifier: Apache-2.0
"""AdaFocal in a LightningModule: a callback does the validation part, and logs gammas and calibration.

python examples/lightning_module.py
"""

import lightning.pytorch as L
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from adafocal import AdaFocalLoss
from adafocal.integrations.lightning import AdaFocalCallback


class Digits(L.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
        self.criterion = AdaFocalLoss()  # a submodule: checkpoints hold its gammas

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        loss = self.criterion(self.net(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        return self.net(batch[0])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=3e-3)


def main() -> None:
    L.seed_everything(0, verbose=False)
    inputs, labels = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(inputs, dtype=torch.float32) / 16, torch.tensor(labels))
    train, validation = random_split(data, [1297, 500])
    # The step gives logits alone, so the callback is told where the labels are. An epoch is 21 batches of 64.
    callback = AdaFocalCallback(outputs=lambda logits, batch: (logits, batch[1]), update_every_n_steps=10)
    trainer = L.Trainer(
        max_epochs=4, devices=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[callback],
    )  # fmt: skip
    module = Digits()
    trainer.fit(module, DataLoader(train, batch_size=64, shuffle=True), DataLoader(validation, batch_size=256))
    for name in ("ece_equal_mass", "overconfidence", "gamma_0", "gamma_14"):
        print(f"{name:<15} {trainer.callback_metrics[f'adafocal/{name}']:.4f}")


if __name__ == "__main__":
    main()
