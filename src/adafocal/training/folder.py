# SPDX-License-Identifier: Apache-2.0
"""The run folder: made once, by the first process, and kept for runs of the same settings."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml

from adafocal._files import write_text
from adafocal._locks import is_ours
from adafocal._records import read_record
from adafocal._settings import ended
from adafocal.errors import AdafocalError, InvalidValueError
from adafocal.ood.records import Detections
from adafocal.results.folder import FOLDERS, PROVENANCE, SETTINGS, STUDYS_LOG, WRITTEN, RunFolder, holds, is_beginning
from adafocal.results.run import Provenance, Settings
from adafocal.training.config import CARRIED_OUT, NESTED, TrainConfig, dotted, from_plain, plain
from adafocal.training.provenance import provenance
from adafocal.training.used import unread

DEFAULTS = dotted(plain(TrainConfig()), within=NESTED)


@dataclass(frozen=True)
class _OwnSettings:
    """What readers do without, but every run has written: only a folder with it is taken for ours to be removed."""

    data: Annotated[Mapping[str, object], frozenset({"noise"})]
    optimizer: Mapping[str, object]


def process_rank() -> int:
    """Number of this process in a distributed run; 0 for the only one."""
    from adafocal._lightning import rank_zero_only  # seconds, which who only plans a run is spared

    return int(getattr(rank_zero_only, "rank", None) or 0)


def first_process() -> bool:
    """Whether this is the process that writes: the only one, or the first of a distributed run."""
    return process_rank() == 0


def check_folder(config: TrainConfig, folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that holds anything but a run of the same settings, or with ``overwrite`` a run; changes nothing.

    Raises:
        ValueError: If it does.
    """
    run = RunFolder(folder)
    if not run.begun:
        if folder.exists() and any(not (entry.name == STUDYS_LOG or is_beginning(entry)) for entry in folder.iterdir()):
            raise InvalidValueError(
                f"`run_dir` must be new or a run folder, got {str(folder)!r}, which holds other files."
            )
    elif overwrite:
        _check_overwrite(folder)
    elif not computes_the_same(run.settings.everything, config):
        raise InvalidValueError(
            f"`run_dir` must be new, or hold a run of the same settings, got {str(folder)!r}: "
            "choose another folder or add --overwrite."
        )


def begin_folder(config: TrainConfig, folder: Path, *, overwrite: bool) -> None:
    """Write settings and provenance into a folder that was checked, unless they are there; ``overwrite`` clears it.

    The settings come last of both, and are the last that is left of an earlier run: whenever the process is killed, the
    folder is one that the same command accepts.
    """
    if RunFolder(folder).begun:
        if not overwrite:
            return
        _clear(folder)
    write_text(folder / PROVENANCE, json.dumps(provenance(), indent=2) + "\n")
    write_text(folder / SETTINGS, yaml.safe_dump(plain(config), sort_keys=False))


def _check_overwrite(folder: Path) -> None:
    for place in (folder, *(folder / name for name in FOLDERS)):
        if place.is_symlink():
            raise InvalidValueError(
                f"`run_dir` must be a folder and hold its own folders to be overwritten, got {str(place)!r}, a link to "
                f"{str(place.resolve())!r}."
            )
    try:
        for name, record in ((SETTINGS, Settings), (SETTINGS, _OwnSettings), (PROVENANCE, Provenance)):
            read_record(folder / name, record)
    except (AdafocalError, OSError) as error:
        raise InvalidValueError(
            f"`run_dir` must hold a run of adafocal to be overwritten, got {str(folder)!r}, which is none that can be "
            f"told ({error}) Choose another folder, or remove it yourself."
        ) from error


def _clear(folder: Path) -> None:
    """Remove what a run wrote, but for its settings and provenance; all else stays, also what links lead to."""
    for pattern in WRITTEN:
        for path in folder.glob(pattern):
            if path.is_symlink() or (path.is_file() and (path.parent.name != "ood" or holds(path, Detections))):
                path.unlink()
    for name in FOLDERS:
        with suppress(OSError):  # not there, or something of somebody else's is in it
            (folder / name).rmdir()


def computes_the_same(settings: Mapping[str, object], config: TrainConfig) -> bool:
    """Say whether a run of the settings in ``config.yaml`` computes what one of ``config`` would.

    How a run is carried out does not count, nor a setting that is not read, nor a newer one at its default.
    """
    skipped = (*CARRIED_OUT, *unread(config))
    held, asked = ({**DEFAULTS, **dotted(one, within=NESTED)} for one in (settings, plain(config)))
    return all(held.get(name) == asked.get(name) for name in held.keys() | asked.keys() if name not in skipped)


def read_config(folder: Path) -> TrainConfig:
    """Read the settings of a run, each of its type.

    Raises:
        ValueError: If ``config.yaml`` is damaged or holds what are no settings.
    """
    settings = RunFolder(folder).settings
    try:
        return from_plain(settings.everything)
    except InvalidValueError as error:
        path = folder / SETTINGS
        raise InvalidValueError(ended(f"{str(path)!r} must hold the settings of a run, got others: {error}")) from error


def is_left_over(folder: Path) -> bool:
    """Say whether a folder holds the lock or a temporary file of a process, killed or alive."""
    places = (folder, *(folder / name for name in FOLDERS))
    return any(is_ours(entry.name) for place in places if place.is_dir() for entry in place.iterdir())
