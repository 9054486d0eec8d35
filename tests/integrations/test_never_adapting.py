# SPDX-License-Identifier: Apache-2.0
"""A trainer that can never move the gammas is refused at its start, with what to change."""

import re
from contextlib import nullcontext

import lightning.pytorch as L
import pytest
import torch
import transformers
from test_lightning import Somebody, loader
from tiny import arguments, made_up, network
from tiny import trainer as theirs
from torch.utils.data import DataLoader, TensorDataset

from adafocal.integrations.lightning import AdaFocalCallback
from adafocal.integrations.transformers import AdaFocalTrainerCallback
from adafocal.losses import AdaFocalLoss

NEVER = "AdaFocal moves its gammas after validation, which this trainer never does: "
pytestmark = pytest.mark.filterwarnings(
    *("ignore:.*does not have many workers.*", "ignore:.*LeafSpec.*", "ignore:Total length of"),
    *("ignore:You defined a `validation_step`", "ignore:You passed in a `val_dataloader`"),
)


class Unvalidated(Somebody):
    validation_step = L.LightningModule.validation_step


def fit(module, validation, callback, **options):
    trainer = L.Trainer(
        accelerator="cpu", callbacks=[callback], logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, **{"max_epochs": 2, **options},
    )  # fmt: skip
    trainer.fit(module, loader(), validation)
    return module.criterion


NO_LOADER = "`fit` must be given a validation loader, or `pl_module` must have `val_dataloader` and `validation_step`"
EMPTY = DataLoader(TensorDataset(torch.zeros(0, 4), torch.zeros(0).long()))
LATE = {"check_val_every_n_epoch": None}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"validation": None}, f"{NO_LOADER}, got none."),
        ({"module": Unvalidated}, f"{NO_LOADER}, got none."),
        ({"limit_val_batches": 0}, "`limit_val_batches` must be above 0, got 0."),
        ({"limit_val_batches": 0.0}, "`limit_val_batches` must be above 0, got 0."),
        (
            {"check_val_every_n_epoch": 3},
            "`check_val_every_n_epoch` must be at most the epochs that are left, 2, got 3.",
        ),
        ({"validation": EMPTY}, "the validation loader must have at least one batch, got none."),
        ({"validation": []}, "the validation loader must have at least one batch, got none."),
        (
            {"val_check_interval": 7, **LATE},
            "`val_check_interval` must be at most the batches of training, 6, got 7.",
        ),
        (
            {"val_check_interval": 6, "max_epochs": -1, "max_steps": 5, **LATE},
            "`max_steps` must reach batch 6, got 5.",
        ),
        (
            {"every": 4, "accumulate_grad_batches": 2},
            "`val_check_interval` must be at most the batches of training, 6, ",
        ),
        ({"max_epochs": -1, "max_steps": 2}, "`max_steps` must reach batch 3, got 2."),
        (
            {"max_epochs": -1, "max_steps": 5, "check_val_every_n_epoch": 2},
            "`max_steps` must reach batch 6, got 5.",
        ),
    ],
    ids=lambda value: re.sub(r" object at 0x[0-9a-f]+", "", str(value)),  # the same in every process
)
def test_lightning_without_validation_is_refused_before_the_first_step(options, sentence):
    given = {"module": Somebody, "validation": loader(), "every": None, **options}
    module, callback = given.pop("module")(), AdaFocalCallback(update_every_n_steps=given.pop("every"))
    before = module.net.weight.clone()

    with pytest.raises(ValueError) as caught:  # noqa: PT011
        fit(module, given.pop("validation"), callback, **given)

    assert str(caught.value).startswith(NEVER + sentence)
    assert torch.equal(module.net.weight, before)


@pytest.mark.parametrize(("last", "validates"), [(4, False), (5, True)])
def test_a_fit_that_goes_on_is_refused_where_none_of_its_own_epochs_is_validated(tmp_path, last, validates):
    """Of every 5 epochs the fifth is validated: a fit from the third on must come so far."""
    quiet = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    quiet |= {"enable_checkpointing": False}
    first = L.Trainer(max_epochs=3, callbacks=[AdaFocalCallback()], default_root_dir=tmp_path, **quiet)
    first.fit(Somebody(), loader(), loader())
    first.save_checkpoint(tmp_path / "third.ckpt")
    again = L.Trainer(
        max_epochs=last, check_val_every_n_epoch=5, callbacks=[AdaFocalCallback()], default_root_dir=tmp_path, **quiet
    )

    with nullcontext() if validates else pytest.raises(ValueError, match="at most the epochs that are left, 1, got 5"):
        again.fit(Somebody(), loader(), loader(), ckpt_path=tmp_path / "third.ckpt", weights_only=False)


@pytest.mark.parametrize(
    "options",
    [
        {"check_val_every_n_epoch": 2},
        {"val_check_interval": 6, **LATE},
        {"val_check_interval": 0.5},
        {"max_epochs": -1, "max_steps": 3},
        {"max_epochs": -1, "max_steps": 6, "check_val_every_n_epoch": 2},
        {"fast_dev_run": True},
        {"overfit_batches": 1},
    ],
    ids=str,
)
def test_lightning_that_validates_once_is_not_refused(options):
    assert "(adapted 0 times)" not in repr(fit(Somebody(), loader(), AdaFocalCallback(), **options))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"eval_strategy": "no"}, "`eval_strategy` must be 'epoch' or 'steps', with an `eval_dataset`, got 'no'."),
        (
            {"eval_strategy": "epoch", "eval_delay": 3},
            "`eval_delay` must be at most 2, the end of training, got 3.",
        ),
        (
            {"eval_strategy": "steps", "eval_steps": 1, "eval_delay": 9},
            "`eval_delay` must be at most 8, the end of training, got 9.",
        ),
    ],
    ids=str,
)
def test_a_trainer_that_never_evaluates_is_refused(options, sentence, tmp_path, rejects):
    callback = AdaFocalTrainerCallback(AdaFocalLoss(n_bins=3))

    with rejects(ValueError, NEVER + sentence):
        theirs("sequences", callback, tmp_path, **options).train()


def bare(folder, **given):
    data = made_up("sequences", 16, 1)
    options = arguments(folder, eval_strategy="epoch", per_device_train_batch_size=4, **given.pop("options", {}))
    return transformers.Trainer(network("sequences"), options, train_dataset=data, eval_dataset=data, **given)


@pytest.mark.parametrize("options", [{}, {"gradient_accumulation_steps": 2}, {"label_smoothing_factor": 0.1}], ids=str)
def test_a_trainer_with_a_loss_of_its_own_takes_no_step(options, tmp_path, rejects):
    trainer = bare(tmp_path, callbacks=[AdaFocalTrainerCallback(AdaFocalLoss())], options=options)
    before = next(trainer.model.parameters()).clone()

    with rejects(
        ValueError,
        "`compute_loss_func` of the Trainer must be that of the callback, "
        "`compute_loss_func=callback.compute_loss_func`, got a loss of its own: its gammas would never matter.",
    ):
        trainer.train()
    assert torch.equal(next(trainer.model.parameters()), before)


def test_a_trainer_without_the_callback_takes_no_step(tmp_path, rejects):
    trainer = bare(tmp_path, compute_loss_func=AdaFocalTrainerCallback(AdaFocalLoss()).compute_loss_func)

    with rejects(
        ValueError,
        "`callbacks` of the Trainer must hold the callback whose `compute_loss_func` it uses, `callbacks=[callback]`, "
        "got none: its gammas would never move.",
    ):
        trainer.train()


def test_a_trainer_that_keeps_losses_alone_adapts(tmp_path):
    criterion = AdaFocalLoss(n_bins=3)
    callback = AdaFocalTrainerCallback(criterion)

    theirs("sequences", callback, tmp_path, eval_strategy="epoch", prediction_loss_only=True).train()

    assert "(adapted 2 times)" in repr(criterion)
