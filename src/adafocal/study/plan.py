# SPDX-License-Identifier: Apache-2.0
"""Which experiments and runs a study holds, and in which folder each lives."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from urllib.parse import quote

import yaml

from adafocal._checks import check_choice
from adafocal._files import safe_name, write_text
from adafocal._records import read_record
from adafocal.errors import InvalidValueError
from adafocal.recipes import get_recipe
from adafocal.results.comparison import Plan
from adafocal.results.folder import FOLDERS, PLAN, PROVENANCE, TABLES, RunFolder, is_beginning
from adafocal.study.losses import StudyLoss, check_apart, read_loss
from adafocal.training.config import TrainConfig, dotted, plain
from adafocal.training.folder import computes_the_same
from adafocal.training.provenance import provenance

LONGEST_NAME = 120  # file systems end at 255 bytes


@dataclass(frozen=True)
class Experiment:
    """A recipe, perhaps with changed settings: one row of the papers' tables, on which losses are compared.

    Attributes:
        recipe: Name of the recipe that the settings started from.
        config: Settings that all runs share.
        varied: The settings that set it apart from the study's other experiments of this recipe, by dotted name.
    """

    recipe: str
    config: TrainConfig
    varied: Mapping[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of its folder: ``digits``, or ``digits--data.noise=0.3``; the same for the same settings."""
        recipe = get_recipe(self.recipe)
        first = self.config.data.name if recipe.neutral and "data.name" not in self.varied else recipe.name
        name = "--".join([first, *(f"{key}={_quoted(value)}" for key, value in self.varied.items())])
        if len(name) > LONGEST_NAME:
            name = f"{name[: LONGEST_NAME - 10]}--{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        return safe_name(name)

    @property
    def title(self) -> str:
        """Name in tables."""
        varied = [f"{key} {_text(value)}" for key, value in self.varied.items()]
        return ", ".join([get_recipe(self.recipe).title_of(self.config, varied=self.varied), *varied])

    def run_config(self, loss: StudyLoss, seed: int) -> TrainConfig:
        """Settings of one run."""
        config = get_recipe(self.recipe).with_loss(self.config, loss.loss)
        return replace(config, loss_args={**config.loss_args, **loss.loss_args}, seed=seed)


@dataclass(frozen=True)
class Run:
    """One run of a study.

    Attributes:
        experiment: Name of its experiment.
        config: Its settings.
        folder: Its run folder.
        loss: Name of its loss in the study.
        scaled: Whether the best scaling after it is wanted too.
    """

    experiment: str
    config: TrainConfig
    folder: Path
    loss: str
    scaled: bool = False

    @property
    def name(self) -> str:
        """Experiment, loss and seed, as its folder says."""
        return f"{self.experiment}/{self.folder.name}"

    @property
    def results(self) -> RunFolder:
        """What it has written so far."""
        return RunFolder(self.folder)

    @property
    def finished(self) -> bool:
        """Whether its results are there."""
        return self.results.finished

    @property
    def epochs_left(self) -> int:
        """Epochs that it has to go."""
        return self.config.epochs - self.results.epochs_done


@dataclass(frozen=True)
class Study:
    """A grid: experiments times losses times seeds.

    Attributes:
        experiments: What the losses are compared on.
        losses: The losses by name, with arguments as in ``focal(gamma=1)`` where these are not the experiment's.
        seeds: Seeds; the runs of one seed share data split, initialisation and order of samples.
        baseline: The loss that the others are compared with.
        folder: The study folder.
        named: Losses that have a name of their own, by that name.

    Raises:
        TypeError: If an argument of an own loss is of the wrong type.
        ValueError: If a loss is unknown or anything is named twice, the baseline is not among the losses, or a run
            wants several devices.
        RuntimeError: If an own loss cannot be imported.
    """

    experiments: tuple[Experiment, ...]
    losses: tuple[str, ...]
    seeds: tuple[int, ...]
    baseline: str
    folder: Path
    named: Mapping[str, StudyLoss] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what is no grid."""
        for loss in self.losses:
            self.entry(loss).check()
        names = [experiment.name.casefold() for experiment in self.experiments]
        for name, values in (("experiments", names), ("losses", self.losses), ("seeds", self.seeds)):
            if not values or len(set(values)) < len(values):
                raise InvalidValueError(f"`{name}` must hold at least one value and none twice, got {list(values)}.")
        check_apart(map(self.entry, self.losses))
        check_choice("baseline", self.baseline, self.losses)
        for config in (experiment.config for experiment in self.experiments):
            if config.devices != 1 or config.num_nodes != 1:
                raise InvalidValueError(
                    "`devices` and `num_nodes` must be 1 in a study, whose runs share the machine, "
                    f"got {config.devices} and {config.num_nodes}: start such runs with `adafocal train`."
                )

    @property
    def runs(self) -> list[Run]:
        """All runs, seed by seed, so that a study that is cut short still compares the losses."""
        return [
            Run(
                experiment.name,
                experiment.run_config(self.entry(loss), seed),
                self.run_folder(experiment.name, loss, seed),
                loss,
                scaled=loss == self.scaled,
            )
            for seed in self.seeds
            for experiment in self.experiments
            for loss in self.losses
        ]

    @property
    def scaled(self) -> str:
        """The loss that is shown after its best scaling as well: plain cross-entropy, or else the baseline."""
        return "cross_entropy" if "cross_entropy" in self.losses else self.baseline

    def entry(self, loss: str) -> StudyLoss:
        """What the name of a loss stands for."""
        return self.named[loss] if loss in self.named else read_loss(loss)

    def run_folder(self, experiment: str, loss: str, seed: int) -> Path:
        """Place of a run's folder, whether or not it is there."""
        one = self.entry(loss)
        named = [one.loss, *(f"{key}={_quoted(value)}" for key, value in one.loss_args.items())]
        parts = [one.title] if one.title else named
        return self.folder / "runs" / experiment / f"{safe_name('--'.join(parts))}-s{seed}"

    def places(self) -> list[str]:
        """List the folders in the study folder that hold files, whether or not they are there."""
        runs = [run.folder.relative_to(self.folder) for run in self.runs]
        return [TABLES, *(str(run / part) for run in runs for part in ("", *FOLDERS))]

    def check_folder(self) -> None:
        """Refuse a folder that holds runs of other settings, or other files; more of anything else is welcome.

        Raises:
            ValueError: If the folder holds either.
        """
        check_own(self.folder, PLAN, Plan, "a study folder")
        for run in self.runs:
            if run.results.begun and not computes_the_same(run.results.settings.everything, run.config):
                raise InvalidValueError(
                    f"`study_dir` must be new, or hold runs of the same settings, got {str(self.folder)!r}, whose "
                    f"{run.name} has others: choose another folder."
                )

    def write(self) -> None:
        """Write the plan, ``study.yaml``, and ``provenance.json``.

        Raises:
            ValueError: If the folder holds runs of other settings, or other files.
        """
        self.check_folder()
        experiments = {
            experiment.name: {
                "recipe": experiment.recipe,
                "varied": json.loads(json.dumps(experiment.varied)),
                "settings": plain(experiment.config),
            }
            for experiment in self.experiments
        }
        grid = {"losses": list(self.losses), "seeds": list(self.seeds), "baseline": self.baseline}
        if self.named:
            names = {name: {"loss": one.loss, "loss_args": dict(one.loss_args)} for name, one in self.named.items()}
            grid["named"] = json.loads(json.dumps(names))
        write_text(self.folder / PROVENANCE, json.dumps(provenance(), indent=2) + "\n")
        write_text(self.folder / PLAN, yaml.safe_dump({**grid, "experiments": experiments}, sort_keys=False))


def check_own(folder: Path, mark: str, record: type, kind: str) -> None:
    """Refuse to write into a folder of somebody else's: one with files of which none is our ``mark``.

    Raises:
        ValueError: If it is one; a folder whose first writing was cut short is not.
    """
    if (folder / mark).exists():
        read_record(folder / mark, record)
    elif folder.exists() and any(not is_beginning(entry) for entry in folder.iterdir()):
        raise InvalidValueError(f"`study_dir` must be new or {kind}, got {str(folder)!r} with other files.")


def grid_points(grid: Mapping[str, object]) -> list[dict[str, object]]:
    """Combine the values of a grid in every way: ``{"epochs": [1, 2]}`` has two.

    Args:
        grid: A list of values by dotted name of a setting, or nested by its parts.

    Returns:
        One mapping from name to value per combination, the last name fastest; an empty grid has one, the empty one.

    Raises:
        ValueError: If values are no list, the list is empty, or it holds a value twice.
    """
    names: dict[str, list[object]] = {}
    for name, values in dotted(grid).items():
        if not isinstance(values, list) or not values or any(value in values[:i] for i, value in enumerate(values)):
            raise InvalidValueError(
                f"`grid.{name}` must be a list of at least one value and none twice, got {values!r}."
            )
        names[name] = values
    return [dict(zip(names, values, strict=True)) for values in product(*names.values())]


def _quoted(value: object) -> str:
    return quote(_text(value), safe=",+", errors="backslashreplace")


def _text(value: object) -> str:
    """Write a value as a reader does; lists by commas."""
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return ",".join(map(_text, value))
    return json.dumps(value, sort_keys=True)
