# SPDX-License-Identifier: Apache-2.0
"""What a study found, in sentences: winner, runner-up, and what cannot be told apart."""

from collections.abc import Mapping
from math import isnan
from statistics import mean

from adafocal.measures import MEASURES
from adafocal.study.statistics import paired_differences

SAID = ("ece", "error")


def findings(values: Mapping[str, Mapping[str, Mapping[int, float]]], titles: Mapping[str, str]) -> str:
    """Say which loss has the lowest test ECE and error, which comes next, and which cannot be told from the best.

    Args:
        values: By metric, loss and seed.
        titles: Titles of the losses.

    Returns:
        A sentence or two for each metric; empty for a single loss.
    """
    return " ".join(said for name in SAID if name in values and (said := _finding(name, values[name], titles)))


def _finding(name: str, of_losses: Mapping[str, Mapping[int, float]], titles: Mapping[str, str]) -> str:
    known = over_shared_seeds(of_losses)
    means = {loss: mean(of_seeds.values()) for loss, of_seeds in known.items()}
    if len(means) < 2:
        return ""
    best, second, *_ = sorted(means, key=lambda loss: means[loss])
    measure = MEASURES[name]
    first, then = (f"{titles[loss]} with {measure.alone(means[loss])}" for loss in (best, second))
    return f"Lowest test {measure.label}: {first}, then {then}; {_apart(known, best, titles)}."


def over_shared_seeds(of_losses: Mapping[str, Mapping[int, float]]) -> dict[str, dict[int, float]]:
    """Keep the seeds that all losses with any number share, so that no loss is better for its luck with seeds.

    Args:
        of_losses: Values of a metric by loss and seed.

    Returns:
        The same without NaN and without the other seeds; empty where no seed is shared.

    Example:
        >>> over_shared_seeds({"a": {0: 0.1, 1: 0.2}, "b": {1: 0.3}, "c": {}})
        {'a': {1: 0.2}, 'b': {1: 0.3}}
    """
    known = {loss: {seed for seed, value in held.items() if not isnan(value)} for loss, held in of_losses.items()}
    with_any = {loss: seeds for loss, seeds in known.items() if seeds}
    shared = set.intersection(*with_any.values()) if with_any else set()
    return {loss: {seed: of_losses[loss][seed] for seed in sorted(shared)} for loss in with_any if shared}


def _apart(known: Mapping[str, Mapping[int, float]], best: str, titles: Mapping[str, str]) -> str:
    """Tell the others from the best, paired over seeds and corrected for their number."""
    found = paired_differences({loss: dict(values) for loss, values in known.items()}, baseline=best)
    seeds = max(len(values) for values in known.values())
    if seeds < 2:
        return "one seed cannot tell losses apart"
    alike = [titles[loss] for loss in known if loss != best and (loss not in found or found[loss].verdict != "worse")]
    if not alike:
        return f"over {seeds} seeds all others are worse beyond chance"
    return f"over {seeds} seeds not distinguishable from it: {', '.join(alike)}"
