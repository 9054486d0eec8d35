# SPDX-License-Identifier: Apache-2.0
import lightning.pytorch as L
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from adafocal.integrations.lightning import AdaFocalCallback, LossEpochCallback
from adafocal.losses import AdaFocalLoss, ScheduledFocalLoss, SelectiveAULoss


class Somebody(L.LightningModule):
    """A module that knows nothing of this library but its loss."""

    def __init__(self, *, tells=True, losses=1):
        super().__init__()
        self.net = nn.Linear(4, 3)
        self.criterion = AdaFocalLoss(n_bins=5)
        self.tells = tells
        if losses == 2:
            self.other = AdaFocalLoss(n_bins=7)

    def training_step(self, batch, batch_idx):
        return self.criterion(self.net(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        return {"logits": self.net(batch[0]), "labels": batch[1]} if self.tells else None

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def loader():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(40, 4, generator=generator)
    return DataLoader(TensorDataset(inputs, torch.randint(3, (40,), generator=generator)), batch_size=16)


def trainer(folder, callback, **options):
    return L.Trainer(
        max_epochs=2, accelerator="cpu", callbacks=[callback], logger=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder, **options,
    )  # fmt: skip


pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*LeafSpec.*")


def test_gammas_follow_one_update_per_validation_epoch_and_none_from_sanity_checking(tmp_path):
    module, by_hand = Somebody(), AdaFocalLoss(n_bins=5)
    seen = []

    class Watch(L.Callback):
        def on_validation_epoch_end(self, trainer, pl_module):
            if not trainer.sanity_checking:
                for inputs, labels in loader():
                    by_hand.observe(pl_module.net(inputs).detach(), labels)
                by_hand.adapt()
                seen.append(pl_module.criterion.gamma.clone())

    fit = trainer(tmp_path, AdaFocalCallback(), num_sanity_val_steps=2)
    fit.callbacks.append(Watch())
    fit.fit(module, loader(), loader())

    assert len(seen) == 2
    torch.testing.assert_close(module.criterion.gamma, by_hand.gamma)
    torch.testing.assert_close(module.criterion.edges, by_hand.edges)


def test_validate_outside_of_fit_leaves_the_gammas_alone(tmp_path):
    module = Somebody()
    trainer(tmp_path, AdaFocalCallback()).validate(module, loader(), verbose=False)

    assert module.criterion.gamma.eq(1.0).all()


def test_the_checkpoint_holds_gammas_and_edges(tmp_path):
    module = Somebody()
    checkpoint = L.callbacks.ModelCheckpoint(dirpath=tmp_path, filename="last", save_on_train_epoch_end=True)
    fit = trainer(tmp_path, AdaFocalCallback())
    fit.callbacks.append(checkpoint)
    fit.fit(module, loader(), loader())
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]

    assert torch.equal(state["criterion.gamma"], module.criterion.gamma)
    assert torch.equal(state["criterion.edges"], module.criterion.edges)


def test_losses_that_follow_the_epochs_are_told_when_one_starts(tmp_path):
    module, seen = Somebody(), []
    module.criterion = SelectiveAULoss()
    module.other = ScheduledFocalLoss(gammas=(4.0, 1.0), milestones=(1,))

    class Watch(L.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            seen.append((int(module.criterion.count.sum()), float(module.other.gamma)))

    fit = trainer(tmp_path, LossEpochCallback())
    fit.callbacks.append(Watch())
    fit.fit(module, loader(), loader())

    assert seen == [(40, 4.0), (40, 1.0)]


def test_a_step_that_tells_nothing_is_an_error(rejects, tmp_path):
    sentence = "`validation_step` must return a mapping with `logits` and `labels` for AdaFocalCallback, got NoneType."
    with rejects(TypeError, sentence):
        trainer(tmp_path, AdaFocalCallback()).fit(Somebody(tells=False), loader(), loader())


def test_two_losses_must_be_told_apart(rejects, tmp_path):
    with rejects(ValueError, "`pl_module` must hold exactly one AdaFocalLoss, got criterion, other."):
        trainer(tmp_path, AdaFocalCallback()).fit(Somebody(losses=2), loader(), loader())
    module = Somebody(losses=2)
    trainer(tmp_path, AdaFocalCallback("criterion")).fit(module, loader(), loader())

    assert module.criterion.gamma.ne(1.0).any()
    assert module.other.gamma.eq(1.0).all()


def test_a_module_without_the_loss_is_an_error(rejects, tmp_path):
    with rejects(ValueError, "`pl_module` must hold an AdaFocalLoss named 'loss', got criterion."):
        trainer(tmp_path, AdaFocalCallback("loss")).fit(Somebody(), loader(), loader())
