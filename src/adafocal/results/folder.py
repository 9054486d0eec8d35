# SPDX-License-Identifier: Apache-2.0
"""Folders of runs and studies: the names of their files, and what these hold, each read at most once."""

import os
import zipfile
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from adafocal._checks import require
from adafocal._locks import is_ours
from adafocal._notebook import table_html
from adafocal._reading import load_predictions
from adafocal._records import read_columns, read_named_columns, read_record
from adafocal._text import short
from adafocal.errors import AdafocalError, InvalidValueError
from adafocal.losses.catalogue import loss_title
from adafocal.measures import ON_PAGES
from adafocal.ood.records import read_detections
from adafocal.predictions import Predictions
from adafocal.results.comparison import read_comparison
from adafocal.results.outcome import Outcome, outcome_of
from adafocal.results.run import BestScaling, Mistakes, Provenance, Settings, Summary
from adafocal.scaling import Temperature
from adafocal.tables.columns import Names

SETTINGS, PROVENANCE, SUMMARY, HISTORY = "config.yaml", "provenance.json", "summary.json", "metrics.csv"
ROWS, EXAMPLES, CASES, CASE_TABLE, PAGE = "splits.npz", "examples.json", "cases.npz", "cases.csv", "report.html"
SCALED = "best_scaling.json"
CASE = "case"  # the column of predictions of voxels that says of what case they are
LAST, BEST = Path("checkpoints/last.ckpt"), Path("checkpoints/best.ckpt")
STUDYS_LOG = "log.txt"
EVENTS = "events.out.tfevents.*"  # TensorBoard's
DETECTIONS = "ood/*.json"
# What a run writes besides settings and provenance, in the order in which it is removed: what says that it is finished
# goes first.
WRITTEN = (
    SUMMARY,
    str(LAST),
    str(BEST),
    "hpc_ckpt_*.ckpt",
    f"tensorboard/{EVENTS}",
    "tensorboard/hparams.yaml",
    HISTORY,
    ROWS,
    *(f"{part}.parquet" for part in ("validation", "scaling", "test")),
    EXAMPLES,
    CASE_TABLE,
    CASES,
    SCALED,
    PAGE,
    DETECTIONS,
)
FOLDERS = ("checkpoints", "tensorboard", "ood")
PLAN, COMPARISON, TABLE, TABLES = "study.yaml", "comparison.json", "results.csv", "tables"


@dataclass(frozen=True)
class _Folder(os.PathLike[str]):
    """``folder / SUMMARY`` is the path of a file; what the files hold is read when it is asked for, once."""

    path: Path

    def __truediv__(self, name: str | Path) -> Path:
        return self.path / name

    def __fspath__(self) -> str:
        return str(self.path)

    provenance = cached_property(lambda self: read_record(self / PROVENANCE, Provenance))


@dataclass(frozen=True)
class RunFolder(_Folder):
    """The folder of a run.

    Attributes:
        path: Where it is.
        keeps: Whether predictions stay in memory once they were read: those of all runs of a study would fill it.
        provenance: Versions, hardware, revision, command, date.
        settings: The resolved settings.
        summary: The results.
        history: One mapping per epoch, column to number.
        mistakes: The most confident mistakes; None where there is no such file.
        best_scaling: What the best scaling makes of the test part; None where nobody has asked.
        cases: Scores of each test case by its name, where voxels were labelled; else nothing.
        detections: What was measured on out-of-distribution data, by file name.
    """

    keeps: bool = False
    _kept: dict[str, Predictions] = field(default_factory=dict, init=False, repr=False, compare=False)

    settings = cached_property(lambda self: read_record(self / SETTINGS, Settings))
    summary = cached_property(lambda self: read_record(self / SUMMARY, Summary))
    history = cached_property(lambda self: read_columns(self / HISTORY))
    mistakes = cached_property(
        lambda self: read_record(self / EXAMPLES, Mistakes) if (self / EXAMPLES).exists() else None
    )
    best_scaling = cached_property(
        lambda self: read_record(self / SCALED, BestScaling) if (self / SCALED).exists() else self.summary.best_scaling
    )
    cases = cached_property(lambda self: read_named_columns(self / CASE_TABLE) if (self / CASE_TABLE).exists() else {})
    detections = cached_property(
        lambda self: {file.stem: read_detections(file) for file in sorted(self.path.glob(DETECTIONS))}
    )

    def _repr_html_(self) -> str:
        """What the run has reached."""
        if not self.finished:
            return table_html(f"A run in {self.path} that is not finished: {self.epochs_done} epochs.", (), ())
        rows = [(measure.on_page, measure.page_text(self.summary.value(measure))) for measure in ON_PAGES.values()]
        return table_html(f"Run in {self.path}, seed {self.summary.seed}", ("", self.title), rows)

    @property
    def begun(self) -> bool:
        """Whether it holds settings, which makes it a folder of ours."""
        return (self / SETTINGS).exists()

    @property
    def finished(self) -> bool:
        """Whether the run has ended and written its results."""
        return (self / SUMMARY).exists()

    @property
    def epochs_done(self) -> int:
        """Epochs that the run has behind it."""
        try:
            with (self / HISTORY).open("rb") as file:
                return max(0, sum(1 for _ in file) - 1)
        except FileNotFoundError:
            return 0

    @cached_property
    def test_rows(self) -> "np.ndarray[tuple[int, ...], np.dtype[np.generic]]":
        """Which rows of the source the test part holds; empty where that is not known."""
        path = self / ROWS
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as rows:
                return np.asarray(rows.get("test", []))
        except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise InvalidValueError(
                f"{str(path)!r} must be a whole npz file of a run, got one with {error}."
            ) from error

    def predictions(self, part: str = "test") -> Predictions:
        """Read the predictions of a part."""
        held = self._kept.get(part) or self._read(part)
        if self.keeps:
            self._kept[part] = held
        return held

    def _read(self, part: str) -> Predictions:
        path = self / f"{part}.parquet"
        of_cases = self.cases and path.exists() and CASE in require("pyarrow.parquet").read_schema(path).names
        return load_predictions(path, Names(features=True, unlabelled=True, cluster=CASE if of_cases else None))

    @property
    def part_for_scaling(self) -> str:
        """Name of the part that scalings are fitted to: the second validation part, or else the first."""
        return "scaling" if (self / "scaling.parquet").exists() else "validation"

    @cached_property
    def outcome(self) -> Outcome:
        """What is shown of the test predictions."""
        found = outcome_of(self.predictions(), n_bins=self.settings.n_bins)
        if found.n_classes != len(self.summary.class_names):
            raise InvalidValueError(
                f"{str(self.path)!r} must hold the files of one run, got {found.n_classes} classes in test.parquet and "
                f"{len(self.summary.class_names)} in {SUMMARY}."
            )
        return found

    @cached_property
    def scaled_outcome(self) -> Outcome:
        """The same after temperature scaling."""
        scaled = Temperature(self.summary.temperature).apply(self.predictions())
        return outcome_of(scaled, n_bins=self.settings.n_bins)

    @property
    def loss(self) -> str:
        """Name of the loss."""
        return self.settings.loss

    @property
    def title(self) -> str:
        """The loss as tables name it, on one line and not too long."""
        return short(loss_title(self.loss, self.settings.loss_args))

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, each on one line and not too long."""
        return [short(name) for name in self.summary.class_names]


@dataclass(frozen=True)
class StudyFolder(_Folder):
    """The folder of a study or of a comparison; it keeps what was read of its runs.

    Attributes:
        path: Where it is.
        provenance: Versions, hardware, revision, command, date.
        comparison: What was compared.
    """

    _runs: dict[str, RunFolder] = field(default_factory=dict, init=False, repr=False, compare=False)

    comparison = cached_property(lambda self: read_comparison(self / COMPARISON))

    def _repr_html_(self) -> str:
        """The comparison, where there is one."""
        if (self / COMPARISON).exists():
            return self.comparison._repr_html_()
        return table_html(f"A study in {self.path} that has compared nothing yet.", (), ())

    def run(self, folder: Path) -> RunFolder:
        """Open the run of a folder, the same one each time."""
        return self._runs.setdefault(os.path.abspath(folder), RunFolder(folder))


def study_folder(folder: "str | os.PathLike[str]") -> StudyFolder:
    """Open the study folder of a path; one that is open already keeps what was read of it."""
    return folder if isinstance(folder, StudyFolder) else StudyFolder(Path(folder))


def is_beginning(entry: Path) -> bool:
    """Whether this is what a run or study that was killed before it wrote its settings may have left."""
    return holds(entry, Provenance) if entry.name == PROVENANCE else is_ours(entry.name)


def holds(path: Path, kind: type) -> bool:
    """Whether a file can be read as a record of this kind."""
    try:
        return read_record(path, kind) is not None
    except (AdafocalError, OSError):
        return False


def own_files(folder: Path) -> list[Path]:
    """List the files of a run, or of a study and its runs, that nothing else may write; pages are not among them."""
    patterns = [SETTINGS, PROVENANCE, PLAN, COMPARISON, TABLE, *(name for name in WRITTEN if name != PAGE)]
    places = [folder, *folder.glob("runs/*/*")]
    return [path for place in places for pattern in patterns for path in place.glob(pattern)]
