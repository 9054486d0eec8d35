# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace
from unittest.mock import Mock

import lightning.pytorch as L
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

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


pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers.*", "ignore:.*LeafSpec.*", "ignore:Checkpoint directory.*"
)


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


def fitting(loaders):
    """What the callback asks of a trainer in the middle of ``fit``."""
    state = SimpleNamespace(fn="fit")
    return Mock(spec=L.Trainer, state=state, sanity_checking=False, num_val_batches=[1], val_dataloaders=loaders)


def test_validation_starts_from_nothing_after_one_that_was_cut_short():
    module, by_hand = Somebody(), AdaFocalLoss(n_bins=5)
    callback, (cut_short, *whole) = AdaFocalCallback(log_prefix=None), list(loader())
    trainer = fitting(loader())
    for batches in ([cut_short], whole):
        callback.on_validation_epoch_start(trainer, module)
        for i, batch in enumerate(batches):
            callback.on_validation_batch_end(trainer, module, module.validation_step(batch, i), batch, i)
    callback.on_validation_epoch_end(trainer, module)
    for inputs, labels in whole:
        by_hand.observe(module.net(inputs).detach(), labels)
    by_hand.adapt()

    assert torch.equal(module.criterion.gamma, by_hand.gamma)
    assert torch.equal(module.criterion.edges, by_hand.edges)


def test_every_validation_counts_the_samples_of_a_sharded_loader_anew():
    module = Somebody()
    inputs, labels = torch.randn(13, 4), torch.zeros(13, dtype=torch.long)
    data = TensorDataset(inputs, labels)
    sharded = DataLoader(data, batch_size=2, sampler=DistributedSampler(data, num_replicas=3, rank=2, shuffle=False))
    callback, trainer, seen = AdaFocalCallback(log_prefix=None), fitting(sharded), []
    for _ in range(2):
        callback.on_validation_epoch_start(trainer, module)
        for i, batch in enumerate(sharded):
            callback.on_validation_batch_end(trainer, module, module.validation_step(batch, i), batch, i)
        seen.append(int(module.criterion.adapt().count.sum()))

    assert seen == [4, 4]  # of five drawn, one repeats


def test_what_was_observed_before_the_fit_does_not_count():
    module = Somebody()
    module.criterion.observe(torch.randn(20, 3), torch.zeros(20, dtype=torch.long))
    AdaFocalCallback().setup(fitting(loader()), module, "fit")
    module.criterion.observe(torch.randn(7, 3), torch.zeros(7, dtype=torch.long))

    assert int(module.criterion.adapt().count.sum()) == 7


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
    sentence = (
        "`validation_step` must return a mapping with `logits` and `labels` for AdaFocalCallback, or `outputs` say how "
        "to read it, got NoneType."
    )
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


class Plain(Somebody):
    """Its validation step gives logits alone, and takes batches of several loaders."""

    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        return self.net(batch[0])


def read(outputs, batch):
    return outputs, batch[1]


class Updates(L.Callback):
    """Note at which optimiser step the gammas moved."""

    def __init__(self):
        self.steps, self.before = [], None

    def on_validation_epoch_end(self, trainer, pl_module):
        if not trainer.sanity_checking and (
            self.before is None or not torch.equal(self.before, pl_module.criterion.gamma)
        ):
            self.steps.append(trainer.global_step)
            self.before = pl_module.criterion.gamma.clone()


def updates(folder, callback, module=None, **options):
    watch = Updates()
    fit = trainer(folder, callback, **options)
    fit.callbacks.append(watch)
    fit.fit(module or Somebody(), loader(), loader())
    return watch.steps


def test_a_function_reads_logits_and_labels_from_the_step(tmp_path):
    plain, mapping = Plain(), Somebody()
    plain.load_state_dict(mapping.state_dict())
    trainer(tmp_path, AdaFocalCallback(outputs=read)).fit(plain, loader(), loader())
    trainer(tmp_path, AdaFocalCallback()).fit(mapping, loader(), loader())

    assert plain.criterion.gamma.ne(1.0).any()
    assert torch.equal(plain.criterion.gamma, mapping.criterion.gamma)


def test_of_several_loaders_the_one_with_the_index_is_followed(rejects, tmp_path):
    others = DataLoader(TensorDataset(torch.randn(9, 4), torch.zeros(9, dtype=torch.long)), batch_size=4)
    alone, second = Plain(), Plain()
    second.load_state_dict(alone.state_dict())
    trainer(tmp_path, AdaFocalCallback(outputs=read)).fit(alone, loader(), loader())
    trainer(tmp_path, AdaFocalCallback(outputs=read, loader=1)).fit(second, loader(), [others, loader()])

    assert torch.equal(alone.criterion.gamma, second.criterion.gamma)
    with rejects(ValueError, "`loader` must be the index of one of the 2 validation loaders, got None."):
        trainer(tmp_path, AdaFocalCallback(outputs=read)).fit(Plain(), loader(), [others, loader()])
    with rejects(ValueError, "`loader` must be the index of one of the 1 validation loaders, got 1."):
        trainer(tmp_path, AdaFocalCallback(outputs=read, loader=1)).fit(Plain(), loader(), loader())


def test_gammas_move_every_so_many_optimiser_steps_counted_over_epochs(tmp_path):
    # Three batches per epoch, two epochs: six batches, or three steps of two batches each.
    assert updates(tmp_path, AdaFocalCallback()) == [3, 6]
    assert updates(tmp_path, AdaFocalCallback(update_every_n_steps=2)) == [2, 4, 6]
    assert updates(tmp_path, AdaFocalCallback(), val_check_interval=1) == [1, 2, 3, 4, 5, 6]


def test_gradient_accumulation_counts_steps_and_not_batches(tmp_path):
    steps = updates(tmp_path, AdaFocalCallback(update_every_n_steps=1), accumulate_grad_batches=3)

    assert steps == [1, 2]


def test_a_schedule_of_the_trainers_own_is_not_overruled(rejects, tmp_path):
    sentence = (
        "`update_every_n_steps` must be None where the trainer has a validation schedule of its own, "
        "got 2 next to val_check_interval=3 and check_val_every_n_epoch=1."
    )
    with rejects(ValueError, sentence):
        updates(tmp_path, AdaFocalCallback(update_every_n_steps=2), val_check_interval=3)
    with rejects(ValueError, "`update_every_n_steps` must be an integer >= 1, got 0."):
        AdaFocalCallback(update_every_n_steps=0)


def test_the_module_logs_gammas_and_the_calibration_they_follow(tmp_path):
    module, by_hand = Somebody(), AdaFocalLoss(n_bins=5)
    fit = trainer(tmp_path, AdaFocalCallback())
    fit.fit(module, loader(), loader())
    logged = {name: value.item() for name, value in fit.callback_metrics.items()}
    for inputs, labels in loader():
        by_hand.observe(module.net(inputs).detach(), labels)
    stats = by_hand.adapt()

    assert [logged[f"adafocal/gamma_{i}"] for i in range(5)] == module.criterion.gamma.tolist()
    torch.testing.assert_close(torch.tensor([logged[f"adafocal/gap_{i}"] for i in range(5)]), stats.gap.float())
    assert logged["adafocal/ece_equal_mass"] == pytest.approx((stats.weight * stats.gap.abs()).sum().item())
    assert logged["adafocal/overconfidence"] == pytest.approx((stats.weight * stats.gap).sum().item())


def test_without_a_prefix_nothing_is_logged(tmp_path):
    fit = trainer(tmp_path, AdaFocalCallback(log_prefix=None))
    fit.fit(Somebody(), loader(), loader())

    assert not fit.callback_metrics


def test_a_loss_outside_of_the_module_travels_with_the_callback(tmp_path):
    class Elsewhere(Plain):
        def __init__(self, criterion):
            super().__init__()
            self.criterion, self.held = None, [criterion]

        def training_step(self, batch, batch_idx):
            return self.held[0](self.net(batch[0]), batch[1])

    def fitted(epochs, folder, resume=None):
        torch.manual_seed(0)
        criterion = AdaFocalLoss(n_bins=5)
        fit = trainer(folder, AdaFocalCallback(criterion, outputs=read))
        fit.fit_loop.max_epochs = epochs
        fit.fit(Elsewhere(criterion), loader(), loader(), ckpt_path=resume, weights_only=True)
        fit.save_checkpoint(folder / "last.ckpt")
        return criterion

    whole = fitted(4, tmp_path)
    first = fitted(2, tmp_path)
    resumed = fitted(4, tmp_path, resume=tmp_path / "last.ckpt")

    assert not torch.equal(first.gamma, whole.gamma)
    assert torch.equal(resumed.gamma, whole.gamma)
    assert torch.equal(resumed.edges, whole.edges)


@pytest.mark.parametrize(("rank", "own"), [(0, 5), (1, 4), (2, 4)])
def test_what_a_distributed_sampler_repeats_is_not_counted(rank, own):
    sampler = DistributedSampler(range(13), num_replicas=3, rank=rank, shuffle=False)

    callback, loader = AdaFocalCallback(), DataLoader(range(13), batch_size=2, sampler=sampler)
    kept = [callback._new_samples(loader, len(batch)) for batch in loader]

    assert len(list(sampler)) == 5
    assert set(list(sampler)[own:]) <= {0, 1}
    assert kept == [2, 2, own - 4]


def test_tokens_in_place_of_samples_are_refused_where_repeats_must_be_told(rejects):
    sampler = DistributedSampler(range(13), num_replicas=2, rank=0, shuffle=False)
    sentence = (
        "`outputs` must give one row per sample where a DistributedSampler shards validation, "
        "got 48 rows for a batch of 4."
    )
    with rejects(ValueError, sentence):
        AdaFocalCallback()._new_samples(DataLoader(range(13), batch_size=4, sampler=sampler), 48)
