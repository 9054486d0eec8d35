# SPDX-License-Identifier: Apache-2.0
"""One logit for each yes-or-no question: every entry is a problem of two classes, whose logits are 0 and the given one.

What is defined for two classes is so defined for a sigmoid, and in one place: sigmoid(z) is the softmax of (0, z).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from adafocal._checks import INDEX_DTYPES, can_read, check_flag, check_floating, check_number, check_tensor
from adafocal._dtypes import at_least_float32
from adafocal._shapes import Logits, PerSample, Targets
from adafocal._text import shown
from adafocal.errors import InvalidTypeError, InvalidValueError

LABEL_AXIS = 2  # of labels per place, (1, N, L, d1, …)


class Entries(NamedTuple):
    """Entries of any shape as the places of a single image of two classes, which costs a softmax least.

    Attributes:
        logits: Those of no and yes, shape (1, 2, N, …).
        labels: 0, 1 or the index to ignore, int64, shape (1, N, …); or probabilities of no and yes, (1, 2, N, …).
        ignored: Whether an entry is ignored that a probability stands for, shape (1, N, …); None where none is.
    """

    logits: Tensor
    labels: Tensor
    ignored: Tensor | None


def entries_of(logits: Logits, targets: Targets, *, ignore_index: int) -> Entries:
    """Put the two classes in.

    Targets that are all 0 or 1, also as floating-point numbers, become class indices where they can be read.

    Raises:
        TypeError: If ``logits`` is not floating point, or ``targets`` hold no numbers.
        ValueError: If shapes differ, or a target is neither in [0, 1] nor ignored.
    """
    check_entries(logits, targets)
    both, readable = _two_classes(logits), can_read(targets)
    ignored = targets == ignore_index
    certain = (targets == 0) | (targets == 1) | ignored if readable else None
    if not targets.is_floating_point() or (certain is not None and bool(certain.all())):
        if certain is not None:
            _check_values(certain, targets, ignore_index, rule="0 or 1")
        return Entries(both, targets.long().unsqueeze(0), None)
    within = (targets >= 0) & (targets <= 1) | ignored
    if readable:
        _check_values(within, targets, ignore_index, rule="in [0, 1]")
    # Where it cannot be read, what is out of range becomes NaN, and so does its loss: never a number.
    yes = torch.where(within, at_least_float32(targets), torch.nan).masked_fill(ignored, 0.0)
    return Entries(both, torch.stack([1.0 - yes, yes]).unsqueeze(0), ignored.unsqueeze(0))


def _two_classes(logits: Tensor) -> Tensor:
    return torch.stack([torch.zeros_like(logits, requires_grad=False), logits]).unsqueeze(0)


def label_count(places: Tensor) -> int:
    """Count the labels L of places of shape (1, N, L, …); those of (1, N) are of one label."""
    return places.shape[LABEL_AXIS] if places.ndim > LABEL_AXIS else 1


def label_numbers(places: Tensor) -> Tensor:
    """Number the label that each place of shape (1, N, L, …) speaks of, 0 to L - 1."""
    if places.ndim <= LABEL_AXIS:
        return torch.zeros_like(places, dtype=torch.int64)
    numbers = torch.arange(places.shape[LABEL_AXIS], device=places.device)
    return _along_labels(numbers, places).expand(places.shape)


def label_of(p: Tensor, *, labels: Tensor) -> Tensor:
    """Number the label of each probability: one per place, of the shape of ``labels``, or two on an axis behind."""
    if p.shape == labels.shape and not labels.is_floating_point():
        return label_numbers(p)
    return label_numbers(p[:, 0]).unsqueeze(1).expand(p.shape)


def _along_labels(values: Tensor, places: Tensor) -> Tensor:
    return values.view(-1, *[1] * (places.ndim - LABEL_AXIS - 1))


def certain_entries(logits: Logits, targets: Targets, *, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Give logits (1, 2, N, …) and labels (1, N, …) of entries whose targets are read, and must be 0, 1 or ignored.

    Raises:
        TypeError: As :func:`entries_of`.
        ValueError: As :func:`entries_of`, or if a target lies between 0 and 1.
    """
    check_entries(logits, targets)
    certain = (targets == 0) | (targets == 1) | (targets == ignore_index)
    _check_values(certain, targets, ignore_index, rule="0 or 1")
    return _two_classes(logits), targets.long().unsqueeze(0)


def check_entries(logits: Logits, targets: Targets) -> None:
    """Raise unless these are entries, one logit and one target each."""
    check_floating("logits", logits)
    check_tensor("labels", targets)
    if logits.ndim == 0:
        raise InvalidValueError("`logits` must have shape (N,), (N, L) or (N, L, d1, …) with `sigmoid`, got a scalar.")
    if not (targets.is_floating_point() or targets.dtype in (torch.bool, *INDEX_DTYPES)):
        raise InvalidTypeError(f"`labels` must be 0 or 1, or probabilities, with `sigmoid`, got dtype {targets.dtype}.")
    if targets.shape != logits.shape:
        raise InvalidValueError(
            f"`labels` must have the shape of `logits` with `sigmoid`, {tuple(logits.shape)}, one target for each "
            f"entry, got {tuple(targets.shape)}{_remedy(logits, targets)}."
        )


def _remedy(logits: Tensor, targets: Tensor) -> str:
    if targets.numel() == logits.numel():
        return ": use `labels.view_as(logits)`"
    return ": use `F.one_hot(labels, L)` where they are class indices" if targets.ndim == logits.ndim - 1 else ""


def _check_values(good: Tensor, targets: Tensor, ignore_index: int, *, rule: str) -> None:
    if good.all():
        return
    place = int((~good).flatten().nonzero()[0])
    raise InvalidValueError(
        f"`labels` must be {rule}, or {ignore_index} (ignored), with `sigmoid`, "
        f"got {float(targets.flatten()[place]):g} at position {place}."
    )


def check_sigmoid(
    sigmoid: bool,
    pos_weight: Any,
    *,
    weight: Tensor | None,
    ignore_index: int,
    label_smoothing: float,
    undefined: str | None = None,
) -> Tensor | None:
    """Raise unless the options of a sigmoid make sense; gives ``pos_weight`` as a tensor, or None.

    Raises:
        TypeError: If ``sigmoid`` is no flag or ``pos_weight`` neither a number nor a floating-point tensor.
        ValueError: If the loss is not defined for a sigmoid, or another option contradicts it.
    """
    check_flag("sigmoid", sigmoid)
    if not sigmoid:
        if pos_weight is not None:
            raise InvalidValueError(f"`pos_weight` must be None without `sigmoid`, got {shown(pos_weight)}.")
        return None
    if undefined is not None:
        raise InvalidValueError(f"`sigmoid` must be False for this loss, {undefined}, got True.")
    if weight is not None:
        raise InvalidValueError(
            "`weight` must be None with `sigmoid`, where entries have no class: use `pos_weight`, one per label, "
            f"got shape {tuple(weight.shape)}."
        )
    if ignore_index in (0, 1):
        raise InvalidValueError(f"`ignore_index` must be neither 0 nor 1 with `sigmoid`, got {ignore_index}.")
    if pos_weight is None:
        return None
    if label_smoothing > 0:
        raise InvalidValueError(
            "`label_smoothing` must be 0 with `pos_weight`, which weighs a part of the target: smooth the targets "
            f"themselves, got {label_smoothing}."
        )
    return _checked_pos_weight(pos_weight)


def _checked_pos_weight(pos_weight: Any) -> Tensor:
    if not isinstance(pos_weight, Tensor):
        return torch.tensor(float(check_number("pos_weight", pos_weight, low=0.0)))
    check_floating("pos_weight", pos_weight)
    if pos_weight.ndim > 1 or pos_weight.numel() == 0:
        rule = "`pos_weight` must be a number, or have shape (L,), one per label"
        raise InvalidValueError(f"{rule}, got {tuple(pos_weight.shape)}.")
    if not pos_weight.is_meta and not bool(((pos_weight >= 0) & pos_weight.isfinite()).all()):
        raise InvalidValueError(f"`pos_weight` must be finite and >= 0, got {float(pos_weight.min()):g}.")
    return pos_weight


def weight_of_places(pos_weight: Tensor, places: Tensor) -> Tensor:
    """Spread the weight of positives over places of shape (1, N, L, …)."""
    weight = pos_weight.to(places.dtype)
    if weight.numel() == 1:
        return weight.view([1] * places.ndim)
    if len(weight) != label_count(places):
        raise InvalidValueError(
            f"`pos_weight` must be a number or have shape ({label_count(places)},), got ({len(weight)},)."
        )
    return _along_labels(weight, places)


def weighted_entries(
    entries: Entries, losses_of: Callable[[Tensor, Tensor], Tensor], *, pos_weight: Tensor | None, linear: bool
) -> PerSample:
    """Compute the losses of entries, of the shape of what was given, float32 or wider; ignored ones have loss 0.

    Args:
        entries: What :func:`entries_of` gives.
        losses_of: Gives losses of logits (1, 2, N, …) with labels of one of the two forms, weighted by no class.
        pos_weight: Factor of the loss of positives, a number or one per label.
        linear: Whether the loss of a target between 0 and 1 is the mean of those of no and yes.

    Raises:
        ValueError: If ``pos_weight`` meets targets between 0 and 1 and the loss is not linear in them.
    """
    logits, labels, ignored = entries
    if ignored is not None and not linear and bool(ignored.any()):
        # A loss may look at the whole batch, in which ignored entries must have no place.
        kept = ~ignored[0]
        rest = Entries(logits[:, :, kept], labels[:, :, kept], None)
        losses = weighted_entries(rest, losses_of, pos_weight=pos_weight, linear=linear)
        return losses.new_zeros(kept.shape).masked_scatter(kept, losses)
    if pos_weight is None:
        losses = at_least_float32(losses_of(logits, labels))
    elif not labels.is_floating_point():
        losses = at_least_float32(losses_of(logits, labels))
        losses = losses * torch.where(labels == 1, weight_of_places(pos_weight, losses), 1.0).to(losses.dtype)
    elif linear:
        # As two images, of which one is certain of no and one of yes.
        no = torch.zeros_like(logits[:, 0], dtype=torch.int64)
        each = at_least_float32(losses_of(logits.expand(2, *logits.shape[1:]), torch.cat([no, no + 1])))
        share = labels[0].to(each.dtype)
        losses = share[:1] * each[:1] + share[1:] * weight_of_places(pos_weight, each[1:]) * each[1:]
    else:
        raise InvalidValueError(
            "`pos_weight` must be None for targets between 0 and 1, for which this loss has no part of positives, "
            f"got {shown(pos_weight.tolist())}."
        )
    losses = losses[0]
    return losses if ignored is None else losses.masked_fill(ignored[0], 0.0)
