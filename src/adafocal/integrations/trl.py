# SPDX-License-Identifier: Apache-2.0
"""The focal family in TRL's trainer for supervised fine-tuning, without ever holding the logits of a batch."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from adafocal._checks import require
from adafocal._text import shown
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.integrations.accelerate import without_repeats
from adafocal.integrations.own_head import IGNORED, fuse_in_parts, kept_features, top_confidence
from adafocal.integrations.transformers import AdaFocalTrainerCallback
from adafocal.losses.adafocal import AdaFocalLoss
from adafocal.losses.catalogue import make_loss
from adafocal.losses.focal_family import FocalFamily

require("trl")

from transformers import TrainingArguments  # noqa: E402
from trl import SFTTrainer  # noqa: E402


class AdaFocalSFTTrainer(SFTTrainer):  # type: ignore[misc]
    """TRL's ``SFTTrainer`` with a loss of the focal family: AdaFocal, focal, inverse focal, FLSD, DFT or cross-entropy.

    All that ``SFTTrainer`` does stays its own: packing, masks of completions and assistants, PEFT, accumulation, its
    normalisation and its metrics. TRL's head gives the log-probability of every token without the logits; this trainer
    puts the loss of each token in its place, and TRL adds them up. It needs no ``compute_loss_func``, which TRL
    deprecates. With ``cross_entropy`` it is ``SFTTrainer`` bit for bit; on a CPU, where batches beyond 2^24 logits
    go through the head in parts, within rounding.

    AdaFocal is adapted after each evaluation within training, as :class:`AdaFocalTrainerCallback` does it: its gammas
    travel with every checkpoint, and join the evaluation's metrics. Evaluation batches are observed where their loss is
    computed, some tokens at a time; ``eval_loss`` is the focal loss, so judge by ``eval_mean_token_accuracy`` and
    ``eval_ece_equal_mass``.

    Args:
        model: As of ``SFTTrainer``.
        args: As of ``SFTTrainer``; its ``loss_type`` stays ``nll``.
        criterion: The loss; or its name in the catalogue. None is ``AdaFocalLoss(streaming=True)``. It must be of the
            focal family, reduce by the mean, and treat all tokens of the vocabulary alike.
        adapt_to: Name of the evaluation set to adapt to, where there are several.
        options: Whatever else ``SFTTrainer`` takes.

    Raises:
        TypeError: If ``criterion`` is neither a name nor a loss of the focal family.
        ValueError: If it reduces otherwise, has class weights, gammas per class, another ``ignore_index``, or needs all
            probabilities; if ``args`` or ``options`` ask TRL for a loss of its own; if AdaFocal is to run under FSDP or
            DeepSpeed, or on several processes whose evaluation would count packed samples twice.

    Example:
        >>> # trainer = AdaFocalSFTTrainer(model, SFTConfig(eval_strategy="epoch"), train_dataset=..., eval_dataset=...)
    """

    def __init__(
        self,
        model: nn.Module | str,
        args: TrainingArguments | None = None,
        *,
        criterion: nn.Module | str | None = None,
        adapt_to: str | None = None,
        **options: Any,
    ) -> None:
        self.criterion: Any = checked_criterion(AdaFocalLoss(streaming=True) if criterion is None else criterion)
        _check_own_loss(args, options)
        self._adaptive: AdaFocalTrainerCallback | None = None
        if isinstance(self.criterion, AdaFocalLoss):
            self._adaptive = AdaFocalTrainerCallback(self.criterion, shift_labels=True, eval_dataset=adapt_to)
            options["callbacks"] = [*(options.get("callbacks") or ()), self._adaptive]
        elif adapt_to is not None:
            raise InvalidValueError(f"`adapt_to` must be None where `criterion` never adapts, got {shown(adapt_to)}.")
        super().__init__(model, args, **options)
        fuse_in_parts(self.model)
        if self._adaptive is not None:
            self._check_processes()

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Mapping[str, object],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor | tuple[Tensor, object]:
        """Compute the loss as ``SFTTrainer`` does, from losses of tokens in the place of their cross-entropies."""
        called = partial(self._modulated, model) if isinstance(self.criterion, FocalFamily) else model
        computed: Tensor | tuple[Tensor, object] = super().compute_loss(
            called, inputs, return_outputs, num_items_in_batch
        )
        return computed

    def _modulated(self, model: nn.Module, **inputs: object) -> Any:
        """Call the model; what TRL takes for log-probabilities of tokens become their losses, negative."""
        if not inputs.get("fused_lm_head"):  # whole logits, which metrics of the user's own ask for
            return model(**inputs)
        observing = self._adaptive is not None and self._adaptive.computes(self.args.device)
        if observing:
            with kept_features(model) as kept:
                output = model(**inputs)
            self._observe(model, kept[0], output)
        else:
            output = model(**inputs)
        labels = torch.where(output.label_mask, 0, IGNORED)
        output.log_probs = -self.criterion.per_sample_from_cross_entropy(-output.log_probs, labels)
        return output

    def _observe(self, model: nn.Module, hidden: Any, output: Any) -> None:
        """Note the confidence of the tokens that count, and whether the likeliest token is the label."""
        _, counted = without_repeats(output.log_probs, output.label_mask)
        features: Tensor = hidden.last_hidden_state[: len(counted), : counted.shape[1]]  # the last one predicts nothing
        confidence = top_confidence(model, hidden, features[counted])
        self.criterion.observe_top_label(confidence, output.is_top1[: len(counted)][counted].bool())

    def _check_processes(self) -> None:
        """Refuse what AdaFocal's observation cannot do on several processes."""
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            raise InvalidValueError(
                "`criterion` must not adapt under FSDP or DeepSpeed, where heads lie in parts: "
                "take another loss of the family, or DistributedDataParallel; got AdaFocalLoss."
            )
        packed = self.args.packing if self.args.eval_packing is None else self.args.eval_packing
        data = self.eval_dataset if isinstance(self.eval_dataset, dict) else {"eval": self.eval_dataset}
        size = self.args.world_size * self.args.per_device_eval_batch_size
        if self.args.world_size == 1 or not (packed or self.args.padding_free):
            return
        for name, rows in data.items():
            if rows is not None and (not hasattr(rows, "__len__") or len(rows) % size):
                raise InvalidValueError(
                    f"`eval_dataset` must fill whole batches of {size} over the processes where samples are packed, as "
                    f"those that Accelerate repeats cannot be told then, got {name!r}: set `eval_packing=False` and "
                    "`padding_free=False`, or leave rows out."
                )


def checked_criterion(criterion: object) -> nn.Module:
    """Give the loss that is meant, or raise unless it can be computed from the cross-entropies of tokens.

    Raises:
        TypeError: If it is neither a name nor a loss of the focal family.
        ValueError: If its settings do not fit.
    """
    loss = make_loss(criterion) if isinstance(criterion, str) else criterion
    if not isinstance(loss, (FocalFamily, nn.CrossEntropyLoss)):
        raise InvalidTypeError(
            "`criterion` must be a loss of the focal family, such as AdaFocalLoss, or its name, "
            f"got {shown(criterion)}."
        )
    settings = {"reduction": "mean", "ignore_index": IGNORED, "label_smoothing": 0.0, "weight": None}
    for name, wanted in settings.items():
        if getattr(loss, name) != wanted:
            raise InvalidValueError(f"`criterion` must have `{name}` {wanted!r} in TRL, got {getattr(loss, name)!r}.")
    if isinstance(loss, FocalFamily):
        loss.check_from_cross_entropy()
        if isinstance(getattr(loss, "gamma", None), tuple) or getattr(loss, "groups", None) is not None:
            raise InvalidValueError(
                f"`criterion` must treat all tokens alike, got {type(loss).__name__} with gammas per class."
            )
    return loss


def _check_own_loss(args: object, options: Mapping[str, object]) -> None:
    """Refuse what asks TRL for another loss than ``criterion``."""
    wanted = {"loss_type": ("nll", None), "label_smoothing_factor": (0.0, 0, None)}
    for name, fine in wanted.items():
        if getattr(args, name, None) not in fine:
            raise InvalidValueError(
                f"`args.{name}` must be {fine[0]!r}, as `criterion` says which loss it is, got {getattr(args, name)!r}."
            )
    if options.get("compute_loss_func") is not None:
        raise InvalidValueError(
            "`compute_loss_func` must be None, as `criterion` says which loss it is, got a function."
        )
    parallel = getattr(args, "parallelism_config", None)
    if getattr(parallel, "sp_enabled", False) and getattr(parallel, "sp_backend", None) == "deepspeed":
        raise InvalidValueError(
            "`args.parallelism_config` must not use DeepSpeed's sequence parallelism, where TRL takes the model's loss."
        )
