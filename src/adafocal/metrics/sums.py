# SPDX-License-Identifier: Apache-2.0
"""What all metrics here are: sums of checked batches that add up, kept wide, and shared only by their like."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

import torch
from torch import Tensor
from torchmetrics import Metric

from adafocal._arrays import takes_arrays
from adafocal._checks import check_choice, check_integer, check_tensor
from adafocal._docs import documented
from adafocal._dtypes import at_least_float32, keeping_dtype
from adafocal._shapes import Given, Labels, Logits, Weights
from adafocal._values import check_class_indices, check_distributions, check_softmax, checked_sample_weight
from adafocal.calibration.top_label import counted_top_label
from adafocal.errors import InvalidValueError

INPUTS = ("logits", "probs")


class SumMetric(Metric):
    """A metric that keeps sums.

    A ``MetricCollection`` updates metrics once for all whose states have equal names and values after the first batch.
    Values may be equal by chance, as are all sums of nothing. So each metric here has one more state, always 0, whose
    *name* says of what the others are sums: metrics are joined if and only if it is the same.
    """

    is_differentiable = False
    full_state_update = False
    higher_is_better: bool | None = False
    count: Tensor
    weight_sum: Tensor

    def __init_subclass__(cls) -> None:
        """Describe the settings that all metrics have."""
        super().__init_subclass__()
        documented(cls)

    def __init__(self, *, inputs: str, ignore_index: int) -> None:
        super().__init__()
        check_choice("inputs", inputs, INPUTS)
        check_integer("ignore_index", ignore_index, minimum=torch.iinfo(torch.int64).min)
        self.inputs = inputs
        self.ignore_index = ignore_index

    def add_sums(self, kind: type[Metric], settings: tuple[object, ...], **zeros: Tensor) -> None:
        """Add a state per sum.

        Args:
            kind: The class that says what is summed. A subclass may sum something else, so it shares with nobody.
            settings: All that the sums depend on, so that equal settings mean equal sums whatever the batches.
            **zeros: The sums of nothing by name. Beside ``count``, of samples, the weights of those that have some are
                summed.
        """
        zeros["weight_sum"] = torch.zeros(zeros["count"].shape, dtype=torch.float64)
        for name, zero in zeros.items():
            self.add_state(name, zero, dist_reduce_fx="sum")
        self._settings = settings
        whose = kind.__qualname__ if type(self) is kind else f"{type(self).__qualname__} {uuid4().hex}"
        self._mark = f"sums of {kind.__module__}: {whose}{settings}"
        self.add_state(self._mark, torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    @property
    def mass(self) -> Tensor:
        """What sums are divided by: the number of samples, or the sum of their weights."""
        return self.count + self.weight_sum

    @takes_arrays
    def update(self, values: Given[Logits], labels: Given[Labels], sample_weight: Given[Weights] | None = None) -> None:
        """Add a batch of shape (C,), (N, C) or (N, C, d1, …) with labels of that shape without its class axis.

        Weights have the shape of the labels; those that are whole count as repeated samples.
        """
        check_tensor("labels", labels)
        weight = checked_sample_weight(sample_weight, labels, name="labels", none=True)
        for name, value in self.sums(values, labels, weight).items():
            getattr(self, name).add_(value)

    def sums(self, values: Logits, labels: Labels, weight: Weights | None) -> "Mapping[str, Tensor | int]":
        """Sum a batch, under the names of the states."""
        raise NotImplementedError

    def top_label(self, values: Logits, labels: Labels, weight: Weights | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Find confidence, correctness and weight of the samples that count, all of shape (n,)."""
        confidence, correct, counted = counted_top_label(
            values, labels, name=self.inputs, ignore_index=self.ignore_index
        )
        if weight is not None:
            counted = weight > 0 if counted is None else counted & (weight > 0)
        if counted is None or counted.all():
            return confidence.flatten(), correct.flatten(), None if weight is None else weight.flatten()
        return confidence[counted], correct[counted], None if weight is None else weight[counted]

    def samples(self, values: Logits, labels: Labels, weight: Weights | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Check a batch, and keep what counts: values (n, C) in float32 or wider, labels and weights (n,)."""
        counted = check_class_indices(values, labels, name=self.inputs, ignore_index=self.ignore_index)
        if weight is not None:
            counted = weight > 0 if counted is None else counted & (weight > 0)
        axis = min(1, values.ndim - 1)
        rows = at_least_float32(values).movedim(axis, -1).reshape(labels.numel(), values.shape[axis])
        labels = labels.flatten().long()
        weight = None if weight is None else weight.flatten()
        if counted is not None:
            rows, labels = rows[counted.flatten()], labels[counted.flatten()]
            weight = None if weight is None else weight[counted.flatten()]
        if self.inputs == "logits":
            check_softmax(self.inputs, rows.amax(dim=1) - rows.logsumexp(dim=1))
        else:
            check_distributions(self.inputs, rows, axis=1, dtype=values.dtype)
        return rows, labels, weight

    def merge_state(self, incoming_state: "dict[str, Any] | Metric") -> None:
        """Add the sums of another metric of the same class and settings, or of its states by name.

        Raises:
            ValueError: If the other metric has other settings.
        """
        if isinstance(incoming_state, SumMetric) and isinstance(incoming_state, type(self)):
            if incoming_state._settings != self._settings:
                raise InvalidValueError(
                    f"`incoming_state` must be sums of the settings {self._settings}, got {incoming_state._settings}."
                )
            incoming_state = incoming_state.metric_state
        if isinstance(incoming_state, Mapping):
            # States that were kept before there were weights have no sum of them.
            none = torch.zeros_like(self.weight_sum)
            incoming_state = {"weight_sum": none, **incoming_state, self._mark: getattr(self, self._mark)}
        super().merge_state(incoming_state)

    def persistent(self, mode: bool = False) -> None:
        """Say whether ``state_dict`` holds the sums; it never holds the mark."""
        super().persistent(mode)
        self._persistent[self._mark] = False

    def state_dict(  # type: ignore[override]
        self, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """Name the sums that are kept; that of weights only where there were some, so that files stay as they were."""
        states = super().state_dict(destination, prefix, keep_vars)
        if not self.weight_sum.any():
            states.pop(f"{prefix}weight_sum", None)
        return states

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> "SumMetric":
        # `.to(torch.bfloat16)`, `set_dtype` and a trainer in half precision would round the sums.
        super()._apply(keeping_dtype(fn), exclude_state)
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        if f"{prefix}count" in state_dict:
            state_dict.setdefault(f"{prefix}weight_sum", torch.zeros_like(self.weight_sum))
        # A checkpoint that somebody narrowed must not narrow what is added from now on.
        for name, zero in self._defaults.items():
            if prefix + name in state_dict and isinstance(zero, Tensor):
                state_dict[prefix + name] = state_dict[prefix + name].to(zero.dtype)
        super()._load_from_state_dict(state_dict, prefix, *args)
