# SPDX-License-Identifier: Apache-2.0
"""Models that end in a sigmoid, in the Trainer of transformers and in Lightning."""

import json

import lightning.pytorch as L
import pytest
import tiny
import torch
import transformers
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from adafocal.integrations.lightning import AdaFocalCallback
from adafocal.integrations.transformers import AdaFocalTrainerCallback
from adafocal.losses import AdaFocalLoss

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*pin_memory.*", "ignore:.*torch.jit.script.*", "ignore::FutureWarning",
    "ignore:.*does not have many workers.*", "ignore:.*LeafSpec.*", "ignore:Checkpoint directory.*",
)  # fmt: skip
KINDS = ["many labels", "one label"]


def network(kind):
    model = tiny.network("sequences", n_classes=3 if kind == "many labels" else 1)
    model.config.problem_type = "multi_label_classification" if kind == "many labels" else None
    return model


def data(kind, n, seed):
    texts = tiny.made_up("sequences", n, seed)
    labels = F.one_hot(texts.columns["labels"], 3).float()
    labels[::3, 2] = 1.0  # some have two
    return tiny.Texts(texts.columns["input_ids"], labels if kind == "many labels" else labels[:, 2])


def trained(kind, folder, *, epochs=2, resume=None, model=None, callbacks=(), **options):
    per_label = kind == "many labels"
    callback = AdaFocalTrainerCallback(
        AdaFocalLoss(n_bins=4, sigmoid=True, per_label=per_label, shrinkage=2.0 if per_label else None)
    )
    run = tiny.trainer(
        "sequences", callback, folder, data=(data(kind, 32, 1), data(kind, 13, 2)), model=model or network(kind),
        num_train_epochs=epochs, eval_strategy="epoch", callbacks=callbacks, **options,
    )  # fmt: skip
    run.train(resume_from_checkpoint=resume)
    return callback.criterion, run


class ByHand(transformers.TrainerCallback):
    def __init__(self, criterion):
        self.criterion = criterion

    def on_evaluate(self, args, state, control, **kwargs):
        for item in kwargs["eval_dataloader"].dataset:
            with torch.no_grad():
                logits = kwargs["model"](item["input_ids"][None], attention_mask=item["attention_mask"][None]).logits
            self.criterion.observe(logits.view(1, -1), item["labels"].view(1, -1))
        self.criterion.adapt()


@pytest.mark.parametrize("kind", KINDS)
def test_the_trainers_gammas_follow_its_evaluations(kind, tmp_path):
    per_label = kind == "many labels"
    by_hand = AdaFocalLoss(n_bins=4, sigmoid=True, per_label=per_label, shrinkage=2.0 if per_label else None)
    criterion, _ = trained(kind, tmp_path, callbacks=[ByHand(by_hand)])

    assert criterion.gamma.ne(1).any()
    assert not per_label or criterion.label_gamma.shape == (3, 4)
    for name, values in by_hand.learned.items():
        torch.testing.assert_close(criterion.learned[name], values, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_with_gamma_zero_the_trainer_minimises_binary_cross_entropy(kind, tmp_path):
    callback = AdaFocalTrainerCallback(AdaFocalLoss(gamma_init=0.0, sigmoid=True))
    model, texts = network(kind), data(kind, 6, 3)
    batch = {name: torch.stack([texts[row][name] for row in range(6)]) for name in texts[0]}
    labels = batch.pop("labels")
    outputs = model(**batch)
    expected = F.binary_cross_entropy_with_logits(outputs.logits.view_as(labels), labels)
    if kind == "many labels":
        torch.testing.assert_close(model(**batch, labels=labels).loss, expected)

    torch.testing.assert_close(callback.compute_loss_func(outputs, labels), expected)
    torch.testing.assert_close(callback.compute_loss_func(outputs, labels, labels.numel()), expected)
    torch.testing.assert_close(callback.compute_loss_func(outputs, labels, 2 * labels.numel()), expected / 2)


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_accumulation_equals_one_large_batch(kind, tmp_path):
    _, whole = trained(kind, tmp_path, epochs=1, per_device_train_batch_size=16)
    _, parts = trained(kind, tmp_path, epochs=1, per_device_train_batch_size=2, gradient_accumulation_steps=8)
    torch.testing.assert_close(parts.model.state_dict(), whole.model.state_dict(), rtol=0, atol=1e-6)


def test_gammas_per_label_are_those_of_the_checkpoint_that_training_goes_on_from(tmp_path):
    kind = "many labels"
    whole, _ = trained(kind, tmp_path / "whole", epochs=4, save_strategy="epoch")
    trained(kind, tmp_path / "cut", epochs=2, save_strategy="epoch")
    resumed, _ = trained(
        kind, tmp_path / "cut", epochs=4, save_strategy="epoch", resume=str(tmp_path / "cut" / "checkpoint-8")
    )
    stored = json.loads((tmp_path / "whole" / "checkpoint-16" / "trainer_state.json").read_text())

    for name, values in whole.learned.items():
        assert torch.equal(resumed.learned[name], values)
        assert torch.equal(torch.tensor(stored["stateful_callbacks"]["adafocal"][name]), values)


def test_class_indices_where_each_label_needs_a_target_are_refused(tmp_path):
    callback = AdaFocalTrainerCallback(AdaFocalLoss(sigmoid=True))
    with pytest.raises(ValueError, match=r"`labels` must have the shape of `logits` with `sigmoid`, \(8, 3\)"):
        tiny.trainer("sequences", callback, tmp_path).train()


def test_tokens_with_several_labels_are_entries_as_well():
    callback = AdaFocalTrainerCallback(AdaFocalLoss(gamma_init=0.0, sigmoid=True))
    logits, labels = torch.randn(2, 5, 3), torch.randint(0, 2, (2, 5, 3)).float()
    labels[:, 3:] = -100
    expected = F.binary_cross_entropy_with_logits(logits[:, :3], labels[:, :3])
    torch.testing.assert_close(callback.compute_loss_func((logits,), labels), expected)


class Somebody(L.LightningModule):
    def __init__(self, n_labels, **options):
        super().__init__()
        self.net = nn.Linear(4, n_labels)
        self.criterion = AdaFocalLoss(n_bins=5, sigmoid=True, **options)

    def training_step(self, batch, batch_idx):
        return self.criterion(self.net(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        return {"logits": self.net(batch[0]), "labels": batch[1]}

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize(("n_labels", "options"), [(1, {}), (3, {}), (3, {"per_label": True, "shrinkage": 5.0})])
def test_lightning_observes_every_entry_and_restores_gammas(n_labels, options, tmp_path):
    torch.manual_seed(0)
    inputs = torch.randn(40, 4)
    targets = torch.randint(0, 2, (40, n_labels)).float()
    loader = DataLoader(TensorDataset(inputs, targets), batch_size=16)
    module, by_hand = Somebody(n_labels, **options), AdaFocalLoss(n_bins=5, sigmoid=True, **options)

    class Watch(L.Callback):
        def on_validation_epoch_end(self, trainer, pl_module):
            if not trainer.sanity_checking:
                with torch.no_grad():
                    by_hand.observe(pl_module.net(inputs), targets)
                by_hand.adapt()

    def trainer(epochs, *callbacks):
        return L.Trainer(
            max_epochs=epochs, accelerator="cpu", callbacks=[*callbacks, AdaFocalCallback()], logger=False,
            enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
        )  # fmt: skip

    first = trainer(2, Watch())
    first.fit(module, loader, loader)
    first.save_checkpoint(tmp_path / "last.ckpt")
    for name, values in by_hand.learned.items():
        torch.testing.assert_close(module.criterion.learned[name], values, rtol=0, atol=1e-6)
    again = Somebody(n_labels, **options)
    trainer(2).fit(again, loader, loader, ckpt_path=str(tmp_path / "last.ckpt"))
    for name, values in module.criterion.learned.items():
        assert torch.equal(again.criterion.learned[name], values)
