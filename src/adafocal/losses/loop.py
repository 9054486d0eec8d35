# SPDX-License-Identifier: Apache-2.0
"""Telling a training loop that does half of what AdaFocal needs: once, and without waiting for the device."""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from adafocal._checks import traced
from adafocal._dtypes import keeping_dtype

# An epoch of ImageNet in batches of 32 has 40,036 steps: who validates once per epoch gets no warning.
STEPS = 50_000
# Settings by which ranks adapt alike.
SHARED = (
    *("n_bins", "rate", "pooled_rate", "gamma_min", "gamma_max", "switch_point", "base"),
    *("streaming", "ignore_predicted", "ignore_index", "sigmoid", "per_label", "shrinkage"),
)
PASSES = 10  # who observes a validation set piece by piece between steps gets none either


class LoopWatch:
    """Counts what happens before the gammas first move: training steps, and validation passes that led to nothing."""

    def __init__(self) -> None:
        self.steps = 0
        self.passes = 0
        self.steps_at_pass: int | None = None
        self.adapted: int | None = 0  # how often; None where it is not known
        self.quiet = False  # it has been said, or the gammas have moved

    def stepped(self, values: Tensor, training: bool) -> None:
        """Count a forward pass that a gradient will flow back through; a compiled one cannot count."""
        if traced():  # first: what a trace reads of this object would be compiled anew when it changes
            return
        if self.quiet or not (training and torch.is_grad_enabled() and getattr(values, "requires_grad", False)):
            return
        self.steps += 1
        if self.steps >= STEPS and self.passes == 0:
            self._say(
                f"AdaFocalLoss took {self.steps:,} training steps and its gammas never moved: in each validation pass "
                "hand every batch to `observe`, then call `adapt` once."
            )

    def observed(self) -> None:
        """Count a validation pass: what is observed between two training steps."""
        if self.quiet or self.steps_at_pass == self.steps:
            return
        self.passes, self.steps_at_pass = self.passes + 1, self.steps
        if self.passes >= PASSES:
            self._say(
                f"AdaFocalLoss observed {self.passes} validation passes and its gammas never moved: call `adapt` once "
                "after each of them."
            )

    def moved(self, *, loaded: bool = False) -> None:
        """Note that gammas are no longer those of the start: adapted, or loaded by somebody who means to keep them."""
        self.quiet = True
        self.adapted = None if loaded or self.adapted is None else self.adapted + 1

    def _say(self, sentence: str) -> None:
        self.quiet = True
        warnings.warn(sentence, stacklevel=5)


class Watched(nn.Module):
    """A loss that learns gammas from validation data: it shows their range, and keeps them in float32."""

    gamma: Tensor
    _watch: LoopWatch

    def extra_repr(self) -> str:
        """Show the settings, and the range of the gammas."""
        times = "loaded" if self._watch.adapted is None else f"adapted {self._watch.adapted} times"
        known = [] if self.gamma.is_meta else [f"gamma={self.gamma.min():.4g} to {self.gamma.max():.4g} ({times})"]
        return ", ".join([super().extra_repr(), *known])

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A loss may have been pickled before there was a watch.
        super().__setstate__({"_watch": LoopWatch(), **state})  # type: ignore[no-untyped-call]

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self._watch.moved(loaded=True)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Watched":
        # `.half()` and the like would round what was learned.
        super()._apply(keeping_dtype(fn), recurse)  # type: ignore[no-untyped-call]
        return self
