# SPDX-License-Identifier: Apache-2.0
"""What all metrics here are: sums that add over batches and processes, kept wide, and shared only by their like."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

import torch
from torch import Tensor
from torchmetrics import Metric

from adafocal._checks import check_choice, check_integer
from adafocal._dtypes import keeping_dtype
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
            **zeros: The sums of nothing by name.
        """
        for name, zero in zeros.items():
            self.add_state(name, zero, dist_reduce_fx="sum")
        self._settings = settings
        whose = kind.__qualname__ if type(self) is kind else f"{type(self).__qualname__} {uuid4().hex}"
        self._mark = f"sums of {kind.__module__}: {whose}{settings}"
        self.add_state(self._mark, torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def add(self, **sums: Tensor) -> None:
        """Add sums over a batch to the states of their names."""
        for name, value in sums.items():
            getattr(self, name).add_(value)

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
            incoming_state = {**incoming_state, self._mark: getattr(self, self._mark)}
        super().merge_state(incoming_state)

    def persistent(self, mode: bool = False) -> None:
        """Say whether ``state_dict`` holds the sums; it never holds the mark."""
        super().persistent(mode)
        self._persistent[self._mark] = False

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> "SumMetric":
        # `.to(torch.bfloat16)`, `set_dtype` and a trainer in half precision would round the sums.
        super()._apply(keeping_dtype(fn), exclude_state)
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # A checkpoint that somebody narrowed must not narrow what is added from now on.
        for name, zero in self._defaults.items():
            if prefix + name in state_dict and isinstance(zero, Tensor):
                state_dict[prefix + name] = state_dict[prefix + name].to(zero.dtype)
        super()._load_from_state_dict(state_dict, prefix, *args)
