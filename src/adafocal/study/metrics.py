# SPDX-License-Identifier: Apache-2.0
"""What a study compares: the metrics of a run's test part."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

UNDEFINED = "-"


@dataclass(frozen=True)
class Metric:
    """A metric of a run.

    Attributes:
        heading: Its name and unit in tables.
        scale: What values are multiplied by for tables.
        digits: Digits behind the point in tables.
        compared: Whether lower is better, so that losses are compared by it.
    """

    heading: str
    scale: float = 1.0
    digits: int = 3
    compared: bool = True

    def text(self, value: float | None, *, signed: bool = False) -> str:
        """Give a value as tables show it."""
        return UNDEFINED if value is None else f"{self.scale * value:{'+' if signed else ''}.{self.digits}f}"


METRICS = {
    "error": Metric("error %", 100, 2),
    "ece": Metric("ECE %", 100, 2),
    "ece_equal_mass": Metric("ECE, equal mass %", 100, 2),
    "nll": Metric("NLL"),
    "overconfidence": Metric("confidence - accuracy %", 100, 2, compared=False),
    "ece_scaled": Metric("ECE % after T", 100, 2),
    "nll_scaled": Metric("NLL after T"),
    "temperature": Metric("T", 1, 2, compared=False),
}
COMPARED = tuple(name for name, metric in METRICS.items() if metric.compared)


def test_metrics(summary: Mapping[str, Any]) -> dict[str, float]:
    """Pick the metrics of a run's test part, as trained and after temperature scaling; NaN for infinite ones."""
    scaled = {f"{metric}_scaled": summary["test_scaled"].get(metric) for metric in ("ece", "nll")}
    values = {**summary["test"], **scaled, "temperature": summary["temperature"]}
    picked = {metric: values[metric] for metric in METRICS if metric in values}
    return {metric: math.nan if value is None else value for metric, value in picked.items()}
