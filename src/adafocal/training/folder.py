# SPDX-License-Identifier: Apache-2.0
"""The run folder: made once, by the first process, and kept for runs of the same settings."""

import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from adafocal._checks import require
from adafocal._files import write_text
from adafocal.errors import InvalidValueError
from adafocal.training.config import CARRIED_OUT, TrainConfig, plain
from adafocal.training.provenance import provenance

require("lightning.pytorch", extra="train")

from lightning.pytorch.utilities import rank_zero_only  # noqa: E402


def process_rank() -> int:
    """Give the number of this process in a distributed run; 0 for the only one."""
    return int(getattr(rank_zero_only, "rank", None) or 0)


def first_process() -> bool:
    """Whether this is the process that writes: the only one, or the first of a distributed run."""
    return process_rank() == 0


def prepare_folder(config: TrainConfig, folder: Path, *, overwrite: bool) -> None:
    """Make the run folder with its settings and provenance, or accept one that holds the same settings."""
    settings = folder / "config.yaml"
    if overwrite and settings.exists():
        shutil.rmtree(folder)
    if settings.exists():
        if _computed(yaml.safe_load(settings.read_text(encoding="utf-8"))) != _computed(plain(config)):
            raise InvalidValueError(
                f"`run_dir` must be new, or hold a run of the same settings, got {str(folder)!r}: "
                "choose another folder or add --overwrite."
            )
        return
    if folder.exists() and any(entry.name != "log.txt" for entry in folder.iterdir()):
        raise InvalidValueError(f"`run_dir` must be new or a run folder, got {str(folder)!r}, which holds other files.")
    write_text(folder / "provenance.json", json.dumps(provenance(), indent=2) + "\n")
    write_text(settings, yaml.safe_dump(plain(config), sort_keys=False))


def _computed(settings: dict[str, Any]) -> dict[str, Any]:
    """Give the settings that say what a run computes, without those of how it is carried out."""
    return {name: value for name, value in settings.items() if name not in CARRIED_OUT}


def is_finished(folder: Path) -> bool:
    """Say whether a run has ended and written its results."""
    return (folder / "summary.json").exists()


def read_summary(folder: Path) -> dict[str, Any]:
    """Read the results of a finished run."""
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return summary
