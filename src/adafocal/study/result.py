# SPDX-License-Identifier: Apache-2.0
"""A finished run as studies compare it, and the same run after its best scaling."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from adafocal.losses.catalogue import loss_title
from adafocal.measures import IN_SHORT, OF_RUNS
from adafocal.results.folder import RunFolder
from adafocal.results.run import BestScaling


@dataclass(frozen=True)
class Result:
    """A finished run, as it is compared.

    Attributes:
        experiment: Name of its experiment.
        loss: Name under which it is compared.
        title: The same in tables.
        seed: Its seed.
        run: Its folder.
        metrics: Test metrics by name.
        scaled: Whether they are those after its best scaling.
        method: Its best scaling; empty where none helps, None where that is not known.
    """

    experiment: str
    loss: str
    title: str
    seed: int
    run: RunFolder
    metrics: Mapping[str, float]
    scaled: bool = False
    method: str | None = None


def read_result(run: RunFolder, *, experiment: str) -> Result:
    """Read a finished run."""
    metrics = {name: run.summary.value(measure) for name, measure in OF_RUNS.items()}
    title = loss_title(run.loss, run.settings.loss_args)
    result = Result(experiment, run.loss, title, run.settings.seed, run, metrics)
    return result if run.summary.best_scaling is None else with_best(result, run.summary.best_scaling)


def with_best(result: Result, best: BestScaling) -> Result:
    """A run with what is left after its best scaling beside what it has as trained."""
    after = {f"{name}_best_scaled": best.value(OF_RUNS[name]) for name in IN_SHORT}
    return replace(result, metrics={**result.metrics, **after}, method=best.method)


def after_best(result: Result, best: BestScaling) -> Result:
    """A run after its best scaling, as a row of its own."""
    return replace(result, metrics=best.metrics, scaled=True, method=best.method)
