# SPDX-License-Identifier: Apache-2.0
"""Calibration per case and class as a torchmetrics class."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from adafocal._arrays import takes_arrays
from adafocal._checks import check_choice, check_flag, check_integer
from adafocal._docs import documented
from adafocal._dtypes import keeping_dtype, wide_dtype
from adafocal._shapes import Given, Labels, Logits, Scalar
from adafocal.calibration.bins import BinStats
from adafocal.calibration.case_stats import ERRORS, CaseCalibration, CaseStats, join_cases
from adafocal.calibration.cases import case_stats
from adafocal.calibration.edges import equal_width_edges
from adafocal.errors import InvalidValueError
from adafocal.metrics.sums import INPUTS


@documented
class CaseCalibrationError(Metric):
    """Calibration error of every class in every case, averaged over classes and then over cases: for segmentation.

    The value is that of :func:`~adafocal.calibration.case_calibration` on all that was seen, which names the sources
    and what MONAI does alike. :meth:`calibration` has ECE, ACE and MCE at once with their intervals over cases. The
    state grows with cases, classes and bins, not with voxels; processes join theirs at the end.

    Args:
        n_classes: Number of classes C.
        measure: ``ece``, ``ace`` (the mean over bins that hold voxels, the default) or ``mce``.
        n_bins: Number of bins (a, b] of each class.
        include_background: Whether class 0 counts.

    Example:
        >>> metric = CaseCalibrationError(n_classes=2, inputs="probs")
        >>> metric.update(torch.tensor([[[0.8, 0.8, 0.3], [0.2, 0.2, 0.7]]]), torch.tensor([[0, 0, 1]]))
        >>> metric.compute()
        tensor(0.2500, dtype=torch.float64)
    """

    is_differentiable = False
    full_state_update = False
    higher_is_better = False
    codes: list[Tensor]
    named: list[Tensor]
    rows: list[Tensor]

    def __init__(
        self,
        *,
        n_classes: int,
        measure: str = "ace",
        n_bins: int = 20,
        include_background: bool = False,
        inputs: str = "logits",
        ignore_index: int = -100,
    ) -> None:
        super().__init__()
        check_integer("n_classes", n_classes, minimum=2)
        check_choice("measure", measure, tuple(ERRORS))
        check_integer("n_bins", n_bins, minimum=1)
        check_flag("include_background", include_background)
        check_choice("inputs", inputs, INPUTS)
        check_integer("ignore_index", ignore_index, minimum=torch.iinfo(torch.int64).min)
        self.n_classes, self.measure, self.n_bins = n_classes, measure, n_bins
        self.include_background, self.inputs, self.ignore_index = include_background, inputs, ignore_index
        for name in ("codes", "named", "rows"):
            self.add_state(name, [], dist_reduce_fx="cat")
        # A collection updates once what has states of equal names: as in SumMetric, the name says what is summed.
        self._settings = (n_classes, n_bins, inputs, ignore_index)
        self._mark = f"sums of {__name__}: {type(self).__qualname__}{self._settings}"
        self.add_state(self._mark, torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    @takes_arrays
    def update(self, values: Given[Logits], labels: Given[Labels], cases: Any = None) -> None:
        """Add a batch of shape (N, C, d1, …) with labels (N, d1, …).

        Args:
            values: Logits or probabilities.
            labels: Class indices.
            cases: Of what case each of the N is, numbers or words, shape (N,), where cases come in several parts, such
                as slices or patches, or voxels as rows (N, C); None: each is a case of its own.

        Raises:
            TypeError: If ``values`` are not floating point, or labels no class indices.
            ValueError: If shapes do not fit, there are other classes, or values are no logits or probabilities.
        """
        shape: Sequence[int] = tuple(getattr(values, "shape", ()))
        if cases is None and len(shape) == 2:
            raise InvalidValueError(f"`values` must have shape (N, C, d1, …), or (N, C) with `cases`, got {shape}.")
        own = torch.arange(shape[0]) if cases is None and len(shape) else cases
        found = case_stats(values, labels, own, inputs=self.inputs, n_bins=self.n_bins, ignore_index=self.ignore_index)
        if shape[1] != self.n_classes:
            raise InvalidValueError(f"`values` must have {self.n_classes} classes, got {shape[1]}.")
        wide = wide_dtype(found.bins.confidence_sum.device)
        sums = (found.bins.count, found.bins.confidence_sum, found.bins.correct_sum)
        self.codes.append(found.codes)
        self.named.append(torch.full_like(found.codes, int(cases is not None)))
        self.rows.append(torch.stack([part.to(wide) for part in sums], dim=1))

    def stats(self) -> CaseStats:
        """Sums of each case, by which every case can be looked at.

        Raises:
            ValueError: If cases were named in some batches only.
        """
        if not self.codes or not len(rows := dim_zero_cat(self.rows)):
            return CaseStats.empty(n_classes=self.n_classes, n_bins=self.n_bins)
        codes, named = dim_zero_cat(self.codes), dim_zero_cat(self.named).bool()
        edges = equal_width_edges(self.n_bins, device=rows.device)
        if not bool(named.any()):
            return CaseStats(torch.arange(len(rows), device=rows.device), BinStats(edges, *rows.unbind(1)))
        if not bool(named.all()):
            raise InvalidValueError("`cases` must be given in all batches or in none, got some without.")
        return join_cases([CaseStats(codes, BinStats(edges, *rows.unbind(1)))])

    def calibration(self, *, level: float = 0.95) -> CaseCalibration:
        """Average ECE, ACE and MCE over cases, with intervals over cases; of what this process has seen."""
        return self.stats().compute(include_background=self.include_background, level=level)

    def compute(self) -> Scalar:
        """Compute the mean over cases, a fraction in [0, 1]; NaN when nothing was seen."""
        first = 0 if self.include_background else 1
        return self.stats().errors(self.measure)[:, first:].mean(dim=1).mean()

    def merge_state(self, incoming_state: "dict[str, Any] | Metric") -> None:
        """Add the cases of another metric of the same settings, or of its states by name.

        Raises:
            ValueError: If the other metric has other settings.
        """
        if isinstance(incoming_state, CaseCalibrationError) and incoming_state._settings != self._settings:
            raise InvalidValueError(
                f"`incoming_state` must be sums of the settings {self._settings}, got {incoming_state._settings}."
            )
        super().merge_state(incoming_state)

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> "CaseCalibrationError":
        # `.to(torch.bfloat16)` and a trainer in half precision would round the sums.
        super()._apply(keeping_dtype(fn), exclude_state)
        return self
