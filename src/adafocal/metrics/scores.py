# SPDX-License-Identifier: Apache-2.0
"""Proper scores as torchmetrics classes: a sum and a count."""

import torch
import torch.nn.functional as F
from torch import Tensor

from adafocal._shapes import Labels, Logits, Scalar, Weights
from adafocal.metrics.sums import SumMetric


class MeanScore(SumMetric):
    """The mean of a score over all that was seen."""

    total: Tensor

    def __init__(self, kind: type[SumMetric], inputs: str, ignore_index: int) -> None:
        super().__init__(inputs=inputs, ignore_index=ignore_index)
        zeros = {"count": torch.zeros((), dtype=torch.int64), "total": torch.zeros((), dtype=torch.float64)}
        self.add_sums(kind, (inputs, ignore_index), **zeros)

    def add_up(self, scores: Tensor, weight: Tensor | None) -> dict[str, Tensor | int]:
        """Sum the scores of samples, and count them, by their weights."""
        if weight is None:
            return {"count": len(scores), "total": scores.sum(dtype=self.total.dtype)}
        wide = weight.to(self.total.dtype)
        return {"weight_sum": wide.sum(), "total": wide @ scores.to(wide)}

    def compute(self) -> Scalar:
        """Compute the mean, at least 0; NaN when nothing was seen."""
        return self.total / self.mass


class NegativeLogLikelihood(MeanScore):
    """Mean negative logarithm of the probability of the label, in nats: a proper score, lower is better.

    Infinite when a label has probability 0.

    Example:
        >>> metric = NegativeLogLikelihood(inputs="probs")
        >>> metric.update(torch.tensor([[0.5, 0.5]]), torch.tensor([0]))
        >>> metric.compute()
        tensor(0.6931, dtype=torch.float64)
    """

    def __init__(self, *, inputs: str = "logits", ignore_index: int = -100) -> None:
        super().__init__(NegativeLogLikelihood, inputs, ignore_index)

    def sums(self, values: Logits, labels: Labels, weight: Weights | None) -> dict[str, Tensor | int]:
        """Sum the nats of a batch."""
        rows, counted, weight = self.samples(values, labels, weight)
        if self.inputs == "logits":
            nats = F.cross_entropy(rows, counted, reduction="none")
        else:
            nats = -rows.gather(1, counted[:, None]).log().squeeze(1)
        return self.add_up(nats, weight)


class BrierScore(MeanScore):
    """Mean squared distance between the probabilities and the one-hot label: a proper score, lower is better.

    :func:`~adafocal.calibration.brier_score` of all that was seen: ``1/N sum_n sum_k (p_nk - [label_n = k])^2``.

    Example:
        >>> metric = BrierScore(inputs="probs")
        >>> metric.update(torch.tensor([[0.5, 0.5]]), torch.tensor([0]))
        >>> metric.compute()
        tensor(0.5000, dtype=torch.float64)
    """

    def __init__(self, *, inputs: str = "logits", ignore_index: int = -100) -> None:
        super().__init__(BrierScore, inputs, ignore_index)

    def sums(self, values: Logits, labels: Labels, weight: Weights | None) -> dict[str, Tensor | int]:
        """Sum the squared distances of a batch."""
        rows, counted, weight = self.samples(values, labels, weight)
        probs = rows.softmax(dim=1) if self.inputs == "logits" else rows
        residual = probs.scatter_add(1, counted[:, None], probs.new_full((counted.numel(), 1), -1.0))
        return self.add_up(residual.square_().sum(dim=1), weight)
