# SPDX-License-Identifier: Apache-2.0
"""The same small training in one process or in several, in four frameworks: python ranks.py FRAMEWORK FOLDER.

Writes rank<k>.pt with the gammas, the edges and the model's weights. Batches of 8 in all, 13 validation samples.
"""

import os
import sys
import warnings
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from adafocal.losses import AdaFocalLoss

RANKS = int(os.environ.get("WORLD_SIZE", "1"))
torch.set_num_threads(1)


def loader(n, seed, batch_size, shard=False):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(n, 4, generator=generator)
    data = TensorDataset(inputs, torch.randint(3, (n,), generator=generator))
    rank = int(os.environ.get("RANK", "0"))
    sampler = DistributedSampler(data, num_replicas=RANKS, rank=rank, shuffle=False) if shard else None
    return DataLoader(data, batch_size=batch_size, sampler=sampler)


def with_lightning(folder):
    import lightning.pytorch as L

    from adafocal.integrations.lightning import AdaFocalCallback

    class Module(L.LightningModule):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.net = nn.Linear(4, 3)
            self.criterion = AdaFocalLoss(n_bins=4)

        def training_step(self, batch, batch_idx):
            return self.criterion(self.net(batch[0]), batch[1])

        def validation_step(self, batch, batch_idx):
            return self.net(batch[0])

        def configure_optimizers(self):
            return torch.optim.SGD(self.net.parameters(), lr=0.5)

    module = Module()
    trainer = L.Trainer(
        max_epochs=3, accelerator="cpu", devices=RANKS, strategy="ddp" if RANKS > 1 else "auto", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder,
        callbacks=[AdaFocalCallback(outputs=lambda logits, batch: (logits, batch[1]))],
    )  # fmt: skip
    # Lightning would shuffle what it shards for training; validation is left to it.
    trainer.fit(module, loader(32, 1, 8 // RANKS, shard=True), loader(13, 2, 4))
    logged = {name: value for name, value in trainer.callback_metrics.items() if name.startswith("adafocal/")}
    return module.criterion, module.net.state_dict(), logged


def with_transformers(folder):
    import tiny

    from adafocal.integrations.transformers import AdaFocalTrainerCallback

    callback = AdaFocalTrainerCallback(AdaFocalLoss(n_bins=4, streaming=True))
    trainer = tiny.trainer(
        "causal", callback, folder, eval_strategy="epoch", num_train_epochs=3,
        per_device_train_batch_size=8 // RANKS, ddp_backend="gloo" if RANKS > 1 else None,
    )  # fmt: skip
    trainer.train()
    logged = {name: value for name, value in trainer.state.log_history[-2].items() if "gap" in name or "ece" in name}
    return callback.criterion, trainer.accelerator.unwrap_model(trainer.model).state_dict(), logged


def with_trl(folder):
    import tuned

    from adafocal.integrations.trl import AdaFocalSFTTrainer

    trainer = tuned.trainer(
        AdaFocalSFTTrainer, folder, given={"criterion": AdaFocalLoss(n_bins=4)}, num_train_epochs=3,
        per_device_train_batch_size=8 // RANKS, ddp_backend="gloo" if RANKS > 1 else None,
    )  # fmt: skip
    trainer.train()
    return trainer.criterion, trainer.accelerator.unwrap_model(trainer.model).state_dict(), {}


def with_accelerate(folder):
    from accelerate import Accelerator

    from adafocal.integrations.accelerate import without_repeats

    accelerator = Accelerator(cpu=True)
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    criterion = AdaFocalLoss(n_bins=4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    parts = (model, optimizer, loader(32, 1, 8 // RANKS), loader(13, 2, 4))
    model, optimizer, train, validation = accelerator.prepare(*parts)
    counts = {}
    for epoch in range(3):
        for inputs, labels in train:
            optimizer.zero_grad()
            accelerator.backward(criterion(model(inputs), labels))
            optimizer.step()
        with torch.no_grad():
            for inputs, labels in validation:
                logits, labels = without_repeats(model(inputs), labels)
                if len(labels) > 0:
                    criterion.observe(logits, labels)
        counts[str(epoch)] = int(criterion.adapt().count.sum())
    return criterion, accelerator.unwrap_model(model).state_dict(), counts


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    framework, folder = sys.argv[1], Path(sys.argv[2])
    criterion, weights, told = globals()[f"with_{framework}"](folder)
    torch.save(
        {"gamma": criterion.gamma, "edges": criterion.edges, "weights": dict(weights), "told": told},
        folder / f"rank{os.environ.get('RANK', 0)}.pt",
    )
