# SPDX-License-Identifier: Apache-2.0
"""Whether a trainer will ever validate: gammas move after validation, so one that never does is refused."""

from typing import Any

from adafocal.errors import InvalidValueError

NEVER = "AdaFocal moves its gammas after validation, which this trainer never does: "


def check_validates(trainer: Any) -> None:
    """Refuse a Lightning trainer whose settings leave no validation within ``fit``; called once they are complete.

    Raises:
        ValueError: With what to change.
    """
    if trainer.limit_val_batches == 0:
        raise InvalidValueError(f"{NEVER}`limit_val_batches` must be above 0, got {trainer.limit_val_batches}.")
    if not trainer.enable_validation:
        raise InvalidValueError(
            f"{NEVER}`fit` must be given a validation loader, or `pl_module` must have `val_dataloader` and "
            "`validation_step`, got none."
        )


def check_batches(trainer: Any) -> None:
    """Refuse a Lightning trainer that has no validation batch, or validates after its last step; called as it starts.

    By then a fit that goes on from a checkpoint knows its epoch.

    Raises:
        ValueError: With what to change.
    """
    every, last, passed = trainer.check_val_every_n_epoch, trainer.max_epochs, trainer.current_epoch
    if every is not None and last is not None and passed < last and last // every == passed // every:
        raise InvalidValueError(
            f"{NEVER}`check_val_every_n_epoch` must be at most the epochs that are left, {last - passed}, got {every}."
        )
    if trainer.val_dataloaders is not None and sum(trainer.num_val_batches) == 0:
        raise InvalidValueError(f"{NEVER}the validation loader must have at least one batch, got none.")
    interval, epoch = trainer.val_check_batch, trainer.num_training_batches
    first = interval + (0 if every is None else (every - 1) * epoch)  # batch after which validation comes first
    if trainer.max_steps >= 0 and first > trainer.max_steps * trainer.accumulate_grad_batches:
        raise InvalidValueError(f"{NEVER}`max_steps` must reach batch {first:g}, got {trainer.max_steps}.")
    if every is None and trainer.max_epochs is not None and 0 <= trainer.max_epochs * epoch < interval:
        raise InvalidValueError(
            f"{NEVER}`val_check_interval` must be at most the batches of training, {trainer.max_epochs * epoch:g}, "
            f"got {interval:g}."
        )


def check_evaluates(args: Any, state: Any) -> None:
    """Refuse arguments of a transformers Trainer that leave no evaluation within training.

    Raises:
        ValueError: With what to change.
    """
    strategy = str(getattr(args.eval_strategy, "value", args.eval_strategy))
    if strategy == "no":
        raise InvalidValueError(f"{NEVER}`eval_strategy` must be 'epoch' or 'steps', with an `eval_dataset`, got 'no'.")
    end = state.num_train_epochs if strategy == "epoch" else state.max_steps
    if (args.eval_delay or 0) > end:
        raise InvalidValueError(
            f"{NEVER}`eval_delay` must be at most {end}, the end of training, got {args.eval_delay}."
        )
