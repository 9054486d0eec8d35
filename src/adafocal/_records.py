# SPDX-License-Identifier: Apache-2.0
"""Reads the YAML, JSON and CSV files of run and study folders, and says in one sentence what is wrong with one.

A shape says what a file must hold, as far as a reader relies on it: a type or a tuple of them; ``[shape]`` for a list;
``{name: shape}`` for a mapping, whose other names are free and where ``name?`` may be missing; ``{str: shape}`` for a
mapping from any names. ``[shape, ...]`` is a list of at least one.
"""

import csv
import json
from contextlib import suppress
from math import nan
from pathlib import Path
from typing import Any

from adafocal._locks import is_ours
from adafocal.errors import AdafocalError, InvalidValueError, MissingFileError

SETTINGS_FILE, BEGINNING = "config.yaml", "provenance.json"
EVENTS = "events.out.tfevents.*"  # TensorBoard's
# What a run writes besides these two, in the order in which it is removed: what says that it is finished goes first.
WRITTEN = (
    "summary.json",
    "checkpoints/last.ckpt",
    "checkpoints/best.ckpt",
    "hpc_ckpt_*.ckpt",
    f"tensorboard/{EVENTS}",
    "tensorboard/hparams.yaml",
    "metrics.csv",
    "splits.npz",
    "validation.parquet",
    "scaling.parquet",
    "test.parquet",
    "examples.json",
    "cases.csv",
    "cases.npz",
    "report.html",
    "ood/*.json",
)
FOLDERS = ("checkpoints", "tensorboard", "ood")
STUDY_FILES = ("study.yaml", "provenance.json", "comparison.json", "results.csv")

NUMBER = (int, float)
UNSURE = (int, float, type(None))  # null where a number is not defined
PART = dict.fromkeys(("error", "ece", "ece_equal_mass", "nll", "overconfidence"), UNSURE)
MEAN = {"mean": UNSURE}
SEGMENTATION = {
    **dict.fromkeys(("dice", "hausdorff95", "betti0_error", "betti1_error", "betti2_error"), MEAN),
    "voxels_pooled": {"ece": UNSURE, "ece_predicted_foreground": UNSURE},
    "voxels_per_case": {"ece": UNSURE},
}
ESTIMATE = {"value": UNSURE, "low": UNSURE, "high": UNSURE}

SETTINGS = {
    "loss": str,
    "loss_args?": (dict, type(None)),
    "model": str,
    "seed": int,
    "epochs": int,
    "n_bins": int,
    "data": {"name": str, "noise?": NUMBER},
    "optimizer?": dict,
}
# What readers do without, but every run has written: only a folder with it is taken for a run of ours to be removed.
OWN_SETTINGS = SETTINGS | {"data": {"name": str, "noise": NUMBER}, "optimizer": dict}
PROVENANCE = {"date": str, "command": [str], "versions?": dict, "hardware?": dict}
SUMMARY = {
    "loss": str,
    "seed": int,
    "class_names": [str, ...],
    "sizes": {"train": int, "validation": int, "test": int},
    "temperature": NUMBER,
    "validation?": PART,
    "test": PART,
    "test_scaled": {"ece": UNSURE, "nll": UNSURE},
    "segmentation?": SEGMENTATION,
}
EXAMPLES = {
    "n": int,
    "mistakes": int,
    "examples": [{"row": int, "label": int, "predicted": int, "confidence": NUMBER, "text?": str}],
}
ROC = {"false_positive_rate": [NUMBER], "true_positive_rate": [NUMBER]}
HISTOGRAM = {"edges": [NUMBER], "id": [NUMBER], "ood": [NUMBER]}
MEASURES = ("auroc", "aupr_out", "aupr_in", "fpr95")
DETECTION = {"ood": str, "score": str, "n_ood": int, "roc?": ROC, "histogram?": HISTOGRAM} | dict.fromkeys(
    MEASURES, ESTIMATE
)
DETECTIONS = {"level?": NUMBER, "results": [DETECTION]}
COMPARED = {
    "loss": str,
    "title": str,
    "runs": [{"seed": int, "folder": str}, ...],
    "metrics": {str: {"mean": UNSURE, "std": UNSURE}},
    "versus_baseline": {str: {"mean": UNSURE, "low": UNSURE, "high": UNSURE, "verdict": str}},
}
COMPARISON = {
    "baseline": str,
    "experiments": [{"name": str, "title": str, "varied": dict, "settings": dict, "losses": [COMPARED, ...]}, ...],
    "failures?": [{"experiment": str, "loss": str, "seed": int, "reason": str}],
    "notes?": [str],
    "ranks?": (dict, type(None)),
}
STUDY = {"losses": [str], "seeds": [int], "baseline": str, "experiments": {str: dict}}


def is_beginning(entry: Path) -> bool:
    """Whether this is what a run or study that was killed before it wrote its settings may have left."""
    if entry.name == BEGINNING:
        with suppress(AdafocalError):
            return bool(read_provenance(entry.parent))
    return is_ours(entry.name)


def own_files(folder: Path) -> list[Path]:
    """Give the files of a run, or of a study and its runs, that nothing else may write; pages are not among them."""
    patterns = [SETTINGS_FILE, *STUDY_FILES, *(pattern for pattern in WRITTEN if pattern != "report.html")]
    places = [folder, *folder.glob("runs/*/*")]
    return [path for place in places for pattern in patterns for path in place.glob(pattern)]


def read_settings(folder: Path) -> dict[str, Any]:
    """Read ``config.yaml`` of a run."""
    return read_record(folder / "config.yaml", SETTINGS)


def read_summary(folder: Path) -> dict[str, Any]:
    """Read ``summary.json`` of a finished run."""
    return read_record(folder / "summary.json", SUMMARY)


def read_provenance(folder: Path) -> dict[str, Any]:
    """Read ``provenance.json`` of a run or study."""
    return read_record(folder / "provenance.json", PROVENANCE)


def read_history(folder: Path) -> list[dict[str, float]]:
    """Read ``metrics.csv`` of a run: one mapping per epoch from column to number, NaN where there is none."""
    path = folder / "metrics.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file, strict=True)) or [[]]
    except FileNotFoundError:
        raise MissingFileError(f"{str(path)!r} must be there, got no such file.") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidValueError(f"{str(path)!r} must be a whole CSV file of a run, got one with {error}.") from error
    for place, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise InvalidValueError(
                f"{str(path)!r} must be a whole CSV file of a run, got {len(row)} fields for {len(header)} columns in "
                f"row {place}."
            )
    return [{name: _float(value) for name, value in zip(header, row, strict=True)} for row in rows]


def read_record(path: Path, shape: Any) -> dict[str, Any]:
    """Read a JSON or YAML file that holds a mapping.

    Args:
        path: The file; its suffix says which.
        shape: What it must hold.

    Returns:
        The mapping.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or what it holds has another shape.
    """
    try:
        record = _parse(path, path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        raise MissingFileError(f"{str(path)!r} must be there, got no such file.") from None
    except (ValueError, RecursionError) as error:
        reason = "nesting without end" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise InvalidValueError(f"{str(path)!r} must be a whole {_kind(path)} file, got one with {reason}.") from error
    wrong = misfit(record, shape)
    if wrong is not None:
        raise InvalidValueError(f"{str(path)!r} must be a file that adafocal wrote, got one {wrong}.")
    found: dict[str, Any] = record
    return found


def misfit(value: Any, shape: Any, name: str = "") -> str | None:
    """Say where a value is not of a shape; None if it is."""
    types = shape if isinstance(shape, tuple) else (shape if isinstance(shape, type) else type(shape),)
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types and object not in types):
        return f"with {f'{value!r:.40} as `{name}`' if name else f'{type(value).__name__} in place of names'}"
    if isinstance(shape, list):
        if shape[1:] and not value:
            return f"with nothing as `{name}`"
        inner = [(one, shape[0], f"{name}[{place}]") for place, one in enumerate(value)]
    elif isinstance(shape, dict) and str in shape:
        inner = [(one, shape[str], f"{name}.{key}".lstrip(".")) for key, one in value.items()]
    elif isinstance(shape, dict):
        named = {key.rstrip("?"): (f"{name}.{key}".strip(".?"), of) for key, of in shape.items()}
        missing = next((named[key][0] for key in shape if key in named and key not in value), None)
        if missing is not None:
            return f"without `{missing}`"
        inner = [(value[key], of, inside) for key, (inside, of) in named.items() if key in value]
    else:
        return None
    return next((wrong for part in inner if (wrong := misfit(*part)) is not None), None)


def _parse(path: Path, text: str) -> Any:
    if path.suffix == ".json":
        return json.loads(text)

    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidValueError(f"{error}") from error


def _kind(path: Path) -> str:
    return "JSON" if path.suffix == ".json" else "YAML"


def _float(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return nan
