# SPDX-License-Identifier: Apache-2.0
"""AdaFocal in the Trainer of the transformers library: sequences, tokens and causal language models."""

import sys
import warnings
from collections.abc import Mapping
from types import FrameType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adafocal._checks import require
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.integrations.accelerate import without_repeats
from adafocal.integrations.shift import shifts_labels
from adafocal.integrations.summary import adapted_values
from adafocal.integrations.validates import check_evaluates
from adafocal.losses.adafocal import AdaFocalLoss

require("transformers")

from transformers import TrainerCallback  # noqa: E402

CALLERS = 8  # frames between a Trainer and its loss, at most: decorators are among them
STATE_NAME = "adafocal"  # unlike the class's name, which the Trainer would take for a callback that it must rebuild


class AdaFocalTrainerCallback(TrainerCallback):
    """Train with an AdaFocal loss in a transformers ``Trainer``, and adapt it after each evaluation during training.

    Give the Trainer both ``compute_loss_func=callback.compute_loss_func`` and ``callbacks=[callback]``. Evaluation
    batches are observed where their loss is computed, so no logits are kept, gathered or passed on, and neither
    ``compute_metrics`` nor ``preprocess_logits_for_metrics`` is needed or in the way. Evaluation outside of training,
    before its first step (``eval_on_start``) and prediction leave the gammas alone. Gammas and edges are part of every
    Trainer checkpoint (in ``trainer_state.json``), and ``resume_from_checkpoint`` restores them. For tokens make the
    loss with ``streaming=True``, or it keeps five bytes per validation token.

    Under several processes all end with the same gammas, and samples that Accelerate repeats do not count.

    After each update ``ece_equal_mass``, ``overconfidence``, ``gamma_0`` … and ``gap_0`` … join the metrics of the
    evaluation, with its prefix: in what ``evaluate`` returns, for ``metric_for_best_model``, and in
    ``state.log_history``. Loggers that are told of the evaluation before callbacks are do not see them.

    Args:
        criterion: The loss; its ``reduction`` must be ``mean``. It need not be part of the model.
        shift_labels: Whether token i predicts label i + 1. None asks the model's own loss, with a few tokens, when the
            Trainer is made, and refuses to train on tokens where that cannot tell.
        eval_dataset: Name of the evaluation set to adapt to, where the Trainer has a dictionary of them.

    Raises:
        TypeError: If ``criterion`` is not an AdaFocalLoss; in training, if the model's output has no logits.
        ValueError: If the loss reduces otherwise; when training starts, if the Trainer never evaluates, lacks the
            callback whose ``compute_loss_func`` it has, or computes another loss; in training, if batches have no
            ``labels``, or tokens have labels and neither ``shift_labels`` nor the model's own loss says which token
            predicts which; after evaluation, if there are several evaluation sets and ``eval_dataset`` is None.

    Example:
        >>> callback = AdaFocalTrainerCallback(AdaFocalLoss(streaming=True))
        >>> # Trainer(model, args, compute_loss_func=callback.compute_loss_func, callbacks=[callback], ...)
    """

    def __init__(
        self, criterion: AdaFocalLoss, *, shift_labels: bool | None = None, eval_dataset: str | None = None
    ) -> None:
        if not isinstance(criterion, AdaFocalLoss):
            raise InvalidTypeError(f"`criterion` must be an AdaFocalLoss, got {type(criterion).__name__}.")
        if criterion.reduction != "mean":
            raise InvalidValueError(f"`criterion` must have reduction 'mean', got {criterion.reduction!r}.")
        self.criterion = criterion
        self.shift_labels = shift_labels
        self.eval_dataset = eval_dataset
        self._training = False
        self._begun = False  # the Trainer knows this callback
        self._computed = False  # and computes its loss by it
        self._adapted: dict[str, float] = {}  # what the evaluation that is just logged has led to

    def compute_loss_func(
        self, outputs: object, labels: object, num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        """Compute the loss as the Trainer wants it: over all items of a step where it says how many there are.

        Args:
            outputs: What the model returned: with ``logits``, or a tuple that starts with them.
            labels: Class indices; those equal to the loss's ``ignore_index`` do not count. With ``sigmoid`` 0 or 1 for
                each logit, (N, L), as of ``problem_type="multi_label_classification"``, or (N,) for ``num_labels=1``.
            num_items_in_batch: Labels that count in all batches of the step, on all processes; None takes the mean
                over this batch. With class weights the sum is weighted and the number is not.
        """
        logits, labels = self._aligned(_logits(outputs), labels)
        if self.computes(logits.device):
            self._observe(logits, labels)
        logits, labels = self._rows(logits, labels)
        if num_items_in_batch is None:
            loss: Tensor = self.criterion(logits, labels)
            return loss
        total: Tensor = self.criterion.unreduced(logits, labels).sum(dtype=torch.float32) / num_items_in_batch
        return total

    def computes(self, device: torch.device) -> bool:
        """Note that a batch is about to be computed by this loss, which moves there; whether it is to be observed."""
        self._computed = True
        if not self._begun:
            self._check_known()
        if self.criterion.gamma.device != device:
            self.criterion.to(device)
        return self._training and not torch.is_grad_enabled()

    def on_init_end(self, args: object, state: object, control: object, **kwargs: object) -> None:
        """Ask the model's own loss whether it shifts labels."""
        self._ask(kwargs.get("model"))

    def on_train_begin(self, args: object, state: Any, control: object, **kwargs: object) -> None:
        """Take up the gammas of the checkpoint that training continues from."""
        check_evaluates(args, state)
        self._training, self._begun, self._computed = False, True, False
        self._ask(kwargs.get("model"))  # again where it was not ready when the Trainer was made
        self.criterion.reset()
        saved = (state.stateful_callbacks or {}).get(STATE_NAME)
        if saved is not None:
            if len(saved["gamma"]) != self.criterion.n_bins:
                raise InvalidValueError(
                    f"`n_bins` must be {len(saved['gamma'])} as in the checkpoint, got {self.criterion.n_bins}."
                )
            learned = self.criterion.learned
            if learned.keys() != saved.keys():
                raise InvalidValueError(
                    f"`pooled_rate` must be as in the checkpoint, which holds {', '.join(sorted(saved))}, "
                    f"got {self.criterion.pooled_rate!r}."
                )
            kept = {name: _as_saved(saved[name], like=values) for name, values in learned.items()}
            self.criterion.load_state_dict(self.criterion.state_dict() | kept)
        elif state.global_step > 0:
            warnings.warn("The checkpoint holds no AdaFocal gammas: training goes on with those given.", stacklevel=2)
        self._keep(state)

    def on_step_begin(self, args: object, state: object, control: object, **kwargs: object) -> None:
        """From the first step on, evaluations are observed."""
        self._training = True

    def on_pre_optimizer_step(self, args: object, state: object, control: object, **kwargs: object) -> None:
        """Refuse to take a first step by another loss than this one."""
        if not self._computed:
            raise InvalidValueError(
                "`compute_loss_func` of the Trainer must be that of the callback, "
                "`compute_loss_func=callback.compute_loss_func`, got a loss of its own: its gammas would never matter."
            )

    on_substep_end = on_step_end = on_pre_optimizer_step  # whichever comes first

    def on_log(self, args: object, state: Any, control: object, **kwargs: Any) -> None:
        """Move the gammas once an evaluation is logged.

        All callbacks are told of that before any is told of the evaluation: what stops early by these metrics finds
        them whatever the order of the callbacks.
        """
        logs = kwargs.get("logs") or {}
        if self._training and any(name.startswith("eval_") and name.endswith("_runtime") for name in logs):
            self._adapt(logs, state)

    def on_evaluate(self, args: object, state: Any, control: object, **kwargs: Any) -> None:
        """Add to the evaluation's metrics what it has led to."""
        metrics = kwargs.get("metrics") or {}
        if self._training and not self._adapted:  # a Trainer whose `log` tells nobody
            self._adapt(metrics, state)
        metrics.update(self._adapted)
        self._adapted = {}
        self.criterion.reset()

    def on_predict(self, args: object, state: object, control: object, metrics: object, **kwargs: object) -> None:
        """Forget what prediction within training showed."""
        self.criterion.reset()

    def on_train_end(self, args: object, state: object, control: object, **kwargs: object) -> None:
        """From here on, evaluation leaves the loss alone."""
        self._training = False

    def _check_known(self) -> None:
        """Refuse a Trainer, which is among the callers, that has this loss and not this callback."""
        frame: FrameType | None = sys._getframe(1)
        for _ in range(CALLERS):
            handler = getattr(frame.f_locals.get("self"), "callback_handler", None) if frame is not None else None
            if handler is not None and self not in handler.callbacks:
                raise InvalidValueError(
                    "`callbacks` of the Trainer must hold the callback whose `compute_loss_func` it uses, "
                    "`callbacks=[callback]`, got none: its gammas would never move."
                )
            frame = None if frame is None else frame.f_back

    def _ask(self, model: object) -> None:
        if self.shift_labels is None and isinstance(model, nn.Module):
            self.shift_labels = shifts_labels(model)

    def _adapt(self, metrics: dict[str, float], state: Any) -> None:
        """Move the gammas by the evaluation that has these metrics, if it is the one, and add to them."""
        if not self._is_mine(metrics):
            return
        stats = self.criterion.adapt()
        prefix = "eval" if self.eval_dataset is None else f"eval_{self.eval_dataset}"
        values = adapted_values(stats, self.criterion.gamma)
        self._adapted = {f"{prefix}_{name}": value for name, value in values.items()}
        metrics.update(self._adapted)
        if state.log_history:
            state.log_history[-1].update(self._adapted)
        self._keep(state)

    def _keep(self, state: Any) -> None:
        state.stateful_callbacks = {
            **(state.stateful_callbacks or {}),
            STATE_NAME: {name: values.tolist() for name, values in self.criterion.learned.items()},
        }

    def _is_mine(self, metrics: dict[str, float]) -> bool:
        if self.eval_dataset is not None:
            return f"eval_{self.eval_dataset}_runtime" in metrics
        if "eval_runtime" not in metrics:
            raise InvalidValueError(
                "`eval_dataset` must name one of the evaluation sets where there are several, got None."
            )
        return True

    def _aligned(self, logits: Tensor, labels: object) -> tuple[Tensor, Tensor]:
        if not isinstance(labels, Tensor):
            raise InvalidValueError(f"`labels` must be part of every batch for AdaFocal, got {type(labels).__name__}.")
        labels = labels.to(logits.device)
        if self.criterion.sigmoid or logits.ndim < 3 or labels.is_floating_point():
            return logits, labels  # a sequence has one label, or one for each question: there is nothing to shift
        if self.shift_labels is None:
            raise InvalidValueError(
                "`shift_labels` must be True (token i predicts label i + 1, as in causal language models) or False for "
                "a model whose own loss does not tell, got None."
            )
        if self.shift_labels:  # the last token predicts nothing: cutting it off would copy the logits
            labels = F.pad(labels, (0, 1), value=self.criterion.ignore_index)[..., 1:]
        return logits, labels

    def _observe(self, logits: Tensor, labels: Tensor) -> None:
        logits, labels = without_repeats(logits, labels)
        if labels.numel() > 0:
            self.criterion.observe(*self._rows(logits, labels))

    def _rows(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return (_entries if self.criterion.sigmoid else _samples)(logits, labels)


def _logits(outputs: Any) -> Tensor:
    logits = outputs.get("logits") if isinstance(outputs, Mapping) else outputs[0]
    if not isinstance(logits, Tensor):
        raise InvalidTypeError(f"`outputs` must hold `logits` for AdaFocal, got {type(outputs).__name__} without.")
    return logits


def _samples(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Flatten tokens of shape (N, T, C) to samples (N T, C); the class axis of transformers is the last."""
    width = logits.shape[-1]
    return logits.reshape(-1, width), labels.reshape(-1, width) if labels.is_floating_point() else labels.reshape(-1)


def _entries(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Flatten tokens of shape (N, T, L); a model of one logit has an axis of length 1 that its labels lack."""
    if logits.shape == (*labels.shape, 1):
        logits = logits.squeeze(-1)
    elif logits.shape == labels.shape and logits.ndim > 2:
        return logits.flatten(0, -2), labels.flatten(0, -2)
    return logits, labels


def _as_saved(numbers: list[Any], *, like: Tensor) -> Tensor:
    """Give what a checkpoint holds as a tensor, which may have more rows than the one that it is for."""
    return torch.tensor(numbers, dtype=like.dtype, device=like.device).view(len(numbers), *like.shape[1:])
