# SPDX-License-Identifier: Apache-2.0
"""Which runs a study holds, and in which folder each lives."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from adafocal._checks import check_choice
from adafocal._files import write_text
from adafocal.losses.catalogue import LOSSES
from adafocal.recipes import get_recipe
from adafocal.training.config import TrainConfig, plain
from adafocal.training.provenance import provenance


@dataclass(frozen=True)
class Run:
    """One run of a study.

    Attributes:
        config: Its settings.
        folder: Its run folder.
    """

    config: TrainConfig
    folder: Path

    @property
    def finished(self) -> bool:
        """Whether its results are there."""
        return (self.folder / "summary.json").exists()


@dataclass(frozen=True)
class Study:
    """A grid of losses and seeds over otherwise equal settings.

    Attributes:
        recipe: Name of the recipe that the settings started from.
        config: Settings that all runs share.
        losses: Names of the losses.
        seeds: Seeds; the runs of one seed share data split, initialisation and order of samples.
        baseline: The loss that the others are compared with.
        folder: The study folder.

    Raises:
        ValueError: If a loss is unknown or named twice, a seed appears twice, or the baseline is not among the losses.
    """

    recipe: str
    config: TrainConfig
    losses: tuple[str, ...]
    seeds: tuple[int, ...]
    baseline: str
    folder: Path

    def __post_init__(self) -> None:
        """Refuse what is no grid."""
        for loss in self.losses:
            check_choice("losses", loss, tuple(LOSSES))
        for name, values in (("losses", self.losses), ("seeds", self.seeds)):
            if not values or len(set(values)) < len(values):
                raise ValueError(f"`{name}` must hold at least one value and none twice, got {list(values)}.")
        check_choice("baseline", self.baseline, self.losses)

    @property
    def runs(self) -> list[Run]:
        """All runs, seed by seed, so that a study that is cut short still compares the losses."""
        return [self._run(loss, seed) for seed in self.seeds for loss in self.losses]

    def _run(self, loss: str, seed: int) -> Run:
        config = get_recipe(self.recipe).with_loss(self.config, loss)
        return Run(replace(config, seed=seed), self.folder / "runs" / f"{loss}-s{seed}")

    def write(self) -> None:
        """Write ``study.yaml``; a study folder of other shared settings is refused, more losses or seeds are welcome.

        Raises:
            ValueError: If the folder holds a study of other settings, or other files.
        """
        path = self.folder / "study.yaml"
        settings = {"recipe": self.recipe, "settings": plain(replace(self.config, seed=0))}
        if path.exists():
            earlier = yaml.safe_load(path.read_text(encoding="utf-8"))
            if {name: earlier[name] for name in settings} != settings:
                raise ValueError(
                    f"`study_dir` must be new, or hold a study of the same settings, got {str(self.folder)!r}: "
                    "choose another folder."
                )
        elif self.folder.exists() and any(self.folder.iterdir()):
            raise ValueError(f"`study_dir` must be new or a study folder, got {str(self.folder)!r} with other files.")
        grid = {"losses": list(self.losses), "seeds": list(self.seeds), "baseline": self.baseline}
        write_text(self.folder / "provenance.json", json.dumps(provenance(), indent=2) + "\n")
        write_text(path, yaml.safe_dump({**settings, **grid}, sort_keys=False))


def study_runs(folder: Path, losses: Sequence[str], seeds: Sequence[int]) -> dict[tuple[str, int], Path]:
    """Give the folders of the finished runs of a study, by loss and seed."""
    places = {(loss, seed): folder / "runs" / f"{loss}-s{seed}" for loss in losses for seed in seeds}
    return {key: place for key, place in places.items() if (place / "summary.json").exists()}
