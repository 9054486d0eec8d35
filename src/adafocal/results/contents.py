# SPDX-License-Identifier: Apache-2.0
"""A run or study folder as the page shows it: experiments, their losses, the runs of each."""

import os
from dataclasses import dataclass
from statistics import fmean

from adafocal._measure import Measure
from adafocal._text import short
from adafocal.errors import InvalidValueError
from adafocal.results.comparison import ComparedExperiment, Comparison
from adafocal.results.folder import COMPARISON, RunFolder, StudyFolder, study_folder
from adafocal.results.outcome import Outcome, pooled
from adafocal.results.run import Provenance


@dataclass(frozen=True)
class LossContents:
    """The runs of one loss in one experiment.

    Attributes:
        title: The loss as tables name it.
        runs: Its finished runs, one per seed.
    """

    title: str
    runs: list[RunFolder]

    @property
    def outcome(self) -> Outcome:
        """The test predictions of all runs."""
        return pooled([run.outcome for run in self.runs])

    def mean(self, measure: Measure) -> float:
        """A measure's mean over the runs, as tables show it: that of pooled runs is smaller, as noise averages out."""
        return fmean(run.summary.value(measure) for run in self.runs)


@dataclass(frozen=True)
class Experiment:
    """Losses on one data set and model.

    Attributes:
        name: Its name in folders.
        title: Its name for readers.
        losses: The losses, in the order of the study.
        comparison: What was compared on it; None for a single run.
    """

    name: str
    title: str
    losses: list[LossContents]
    comparison: ComparedExperiment | None

    @property
    def runs(self) -> list[RunFolder]:
        """All runs."""
        return [run for loss in self.losses for run in loss.runs]


@dataclass(frozen=True)
class Contents:
    """What a page shows: the experiments of a study, or one run.

    Attributes:
        title: Heading of the page.
        experiments: At least one.
        settings: Settings that all runs share.
        provenance: Versions, hardware, revision, command, date.
        comparison: What was compared; None for a single run.
    """

    title: str
    experiments: list[Experiment]
    settings: dict[str, object]
    provenance: Provenance
    comparison: Comparison | None


def read_contents(folder: "str | os.PathLike[str]") -> Contents:
    """Read a finished run folder, or a study folder with at least one finished run.

    Raises:
        ValueError: If the folder is neither, or nothing in it is finished.
    """
    study = study_folder(folder)
    if (study / COMPARISON).exists():
        return _of_study(study)
    run = RunFolder(study.path, keeps=True)
    if not run.begun:
        raise InvalidValueError(f"`folder` must be a run folder or a study folder, got {str(study.path)!r}.")
    if not run.finished:
        raise InvalidValueError(
            f"`folder` must hold a finished run, got {str(study.path)!r}, whose run is not finished."
        )
    title = f"{run.title} on {short(run.settings.data.name)}"
    experiment = Experiment(run.path.name, title, [LossContents(run.title, [run])], comparison=None)
    return Contents(title, [experiment], dict(run.settings.everything), run.provenance, comparison=None)


def _of_study(study: StudyFolder) -> Contents:
    comparison = study.comparison
    experiments = []
    for entry in comparison.experiments:
        runs = [[study.run(study / run.folder) for run in loss.runs] for loss in entry.losses]
        losses = [LossContents(short(loss.title), of) for loss, of in zip(entry.losses, runs, strict=True)]
        experiments.append(Experiment(entry.name, short(entry.title), losses, comparison=entry))
    n_losses = len(dict.fromkeys(loss.title for experiment in experiments for loss in experiment.losses))
    places = experiments[0].title if len(experiments) == 1 else f"{len(experiments)} experiments"
    return Contents(
        title=f"{n_losses} loss{'es' if n_losses > 1 else ''} on {places}",
        experiments=experiments,
        settings={entry.name: entry.settings for entry in comparison.experiments},
        provenance=study.provenance,
        comparison=comparison,
    )
