# SPDX-License-Identifier: Apache-2.0
"""What ``comparison.json`` of a study holds, from which with the run folders alone the page is made.

Fields stand in the order of the file; what is not defined is NaN here and null there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite, nan
from pathlib import Path

from adafocal._notebook import table_html
from adafocal._records import Some, Unsure, read_record
from adafocal._text import shown
from adafocal.errors import InvalidValueError
from adafocal.measures import ON_PAGES, Measure


@dataclass(frozen=True)
class Spread:
    """A metric over seeds.

    Attributes:
        mean: Mean over seeds.
        std: Sample standard deviation over seeds; NaN for one seed.
        n: Number of seeds.
        low: Lower end of the t interval of the mean; NaN for one seed.
        high: Upper end of it.
    """

    mean: Unsure
    std: Unsure
    n: int = 0
    low: Unsure = nan
    high: Unsure = nan


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A metric of one loss minus that of the baseline, paired over seeds.

    Attributes:
        mean: Mean difference; negative is better where lower is better.
        low: Lower end of the 95 % t interval.
        high: Upper end of the 95 % t interval.
        p_value: Two-sided p-value of the paired t test, Holm-corrected over the losses compared; NaN for one seed.
        verdict: ``better``, ``worse`` or ``not distinguishable`` at the corrected 5 % level.
    """

    mean: Unsure
    low: Unsure
    high: Unsure
    p_value: Unsure = nan
    verdict: str


@dataclass(frozen=True)
class ComparedRun:
    """A run, and its folder relative to the comparison."""

    seed: int
    folder: str


@dataclass(frozen=True, kw_only=True)
class ComparedLoss:
    """A loss on one experiment: spread and difference to the baseline by metric, and the best scalings of its runs."""

    loss: str
    title: str
    seeds: tuple[int, ...] = ()
    runs: Some[ComparedRun]
    metrics: Mapping[str, Spread]
    versus_baseline: Mapping[str, Difference]
    best_scaling: str = ""


@dataclass(frozen=True, kw_only=True)
class ComparedExperiment:
    """Losses on one data set and model.

    ``settings`` are those that all runs share, ``finding`` says who is best, ``scaled`` are losses after their best
    scaling, which have the runs of the loss.
    """

    name: str
    title: str
    varied: Mapping[str, object]
    dataset: str = ""
    model: str = ""
    settings: Mapping[str, object]
    finding: str = ""
    losses: Some[ComparedLoss]
    scaled: tuple[ComparedLoss, ...] = ()

    @property
    def rows(self) -> tuple[ComparedLoss, ...]:
        """What tables show: the losses, and losses after their best scaling."""
        return (*self.losses, *self.scaled)


@dataclass(frozen=True)
class FailedRun:
    """A run that did not finish, and why."""

    experiment: str
    loss: str
    seed: int
    reason: str


@dataclass(frozen=True)
class Ranked:
    """A loss and its average rank."""

    loss: str
    title: str
    rank: float


@dataclass(frozen=True)
class RankTable:
    """Average ranks by one metric, best first; ``groups`` are losses that are not told apart.

    Ranks further apart than Nemenyi's ``critical_difference`` differ at the 5 % level, all pairs taken together;
    ``p_value`` is that of Friedman's test that all losses rank alike.
    """

    losses: tuple[Ranked, ...]
    n_experiments: int
    p_value: Unsure
    critical_difference: float
    groups: tuple[tuple[str, ...], ...]

    @property
    def ranks(self) -> dict[str, float]:
        """Average rank by loss, best first."""
        return {entry.loss: entry.rank for entry in self.losses}


@dataclass(frozen=True)
class Comparison:
    """Losses compared with a baseline.

    Attributes:
        baseline: The loss that the others are compared with.
        experiments: What they are compared on.
        failures: Runs that did not finish.
        ranks: By metric; None for too few losses or experiments.
        notes: Sentences on what could not be compared.
    """

    baseline: str
    experiments: Some[ComparedExperiment]
    failures: tuple[FailedRun, ...] = ()
    ranks: Mapping[str, RankTable | None] | None = None
    notes: tuple[str, ...] = ()

    @property
    def rank_tables(self) -> dict[str, RankTable]:
        """The ranks that there are."""
        return {metric: table for metric, table in (self.ranks or {}).items() if table is not None}

    @property
    def titles(self) -> dict[str, str]:
        """The losses of all experiments as tables name them, and after them those that are scaled."""
        losses = {entry.loss: entry.title for experiment in self.experiments for entry in experiment.losses}
        return losses | {entry.loss: entry.title for experiment in self.experiments for entry in experiment.scaled}

    def _repr_html_(self) -> str:
        baseline = self.titles.get(self.baseline, self.baseline)
        notes = [
            f"Mean ± standard deviation over seeds; verdicts against {baseline}, at the 5 % level, corrected.",
            *self.notes,
        ]
        return "".join([*(_shown(one) for one in self.experiments), table_html("", (), (), notes)])


def _shown(experiment: ComparedExperiment) -> str:
    """Lay out the measures that all losses have, with verdicts."""
    losses = experiment.rows
    held = {key: one for key, one in ON_PAGES.items() if all(key in entry.metrics for entry in losses)}
    rows = [[entry.title, *(_cell(entry, key, one) for key, one in held.items())] for entry in losses]
    return table_html(experiment.title, ["", *(one.on_page for one in held.values())], rows)


def _cell(entry: ComparedLoss, key: str, measure: Measure) -> str:
    spread, versus = entry.metrics[key], entry.versus_baseline.get(key)
    said = measure.page_text(spread.mean) + (f" ± {measure.page_text(spread.std)}" if isfinite(spread.std) else "")
    return f"{said} ({versus.verdict})" if versus and versus.verdict in ("better", "worse") else said


def read_comparison(path: Path) -> Comparison:
    """Read the ``comparison.json`` of a study.

    Raises:
        ValueError: With the file, if it is damaged, compares nothing, or names of losses do not fit together.
    """
    record = read_record(path, Comparison)
    for table in record.rank_tables.values():
        known = {entry.loss for entry in table.losses}
        if not all(group and known.issuperset(group) for group in table.groups):
            raise InvalidValueError(f"{shown(str(path))} must hold groups of losses that are ranked, got others.")
    return record


@dataclass(frozen=True)
class Plan:
    """``study.yaml``: which experiments, losses and seeds a study holds."""

    losses: tuple[str, ...]
    seeds: tuple[int, ...]
    baseline: str
    experiments: Mapping[str, Mapping[str, object]] = field(kw_only=True)
