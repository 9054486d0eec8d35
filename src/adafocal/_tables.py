# SPDX-License-Identifier: Apache-2.0
"""Tables of predictions on disk: which columns hold what, and reading and writing whole files."""

import csv
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adafocal._checks import require
from adafocal.errors import InvalidTypeError, InvalidValueError, MissingFileError

SUFFIXES = (".parquet", ".npz", ".csv")
SINGULAR = {"logits": "logit", "probs": "prob", "features": "feature"}


@dataclass(frozen=True)
class Columns:
    """Names of the columns that hold predictions.

    Attributes:
        kind: ``logits`` or ``probs``.
        values: One list column, or one column per class.
        label: The column of class indices.
        features: One list column, one column per feature, or none.
    """

    kind: str
    values: tuple[str, ...]
    label: str
    features: tuple[str, ...] = ()


def find_columns(
    names: Sequence[str], *, logits: str | None = None, probs: str | None = None, label: str | None = None
) -> Columns:
    """Find the columns of predictions by name; nothing is guessed from values.

    Unless named, the predictions are the list column ``logits`` or ``probs`` or the columns ``logit_0 …`` or
    ``prob_0 …``, and the class index is ``label`` or ``labels``. A given name may be one column, a prefix ``NAME_0 …``
    or names joined by commas, one per class.

    Args:
        names: All column names of the table.
        logits: Name of the logits.
        probs: Name of the probabilities.
        label: Name of the class index.

    Raises:
        TypeError: If both ``logits`` and ``probs`` are given.
        ValueError: If a column is missing, or two sets of columns fit.
    """
    if logits is not None and probs is not None:
        raise InvalidTypeError("`logits` or `probs` must be given, and not both.")
    asked = {"logits": logits, "probs": probs}
    kinds = [kind for kind, name in asked.items() if name is not None] or list(asked)
    found = {kind: _find(names, asked[kind] or kind, SINGULAR[kind]) for kind in kinds}
    found = {kind: columns for kind, columns in found.items() if columns}
    have = ", ".join(names) or "no column"
    if not found:
        wanted = "`logits` or `probs` (or `logit_0 …` or `prob_0 …`)"
        if len(kinds) == 1:
            wanted = f"`{asked[kinds[0]]}`"
        raise InvalidValueError(f"columns must include {wanted}, got {have}.")
    if len(found) > 1:
        raise InvalidValueError("columns must hold logits or probabilities, or one must be named, got both.")
    labels = [name for name in ((label,) if label is not None else ("label", "labels")) if name in names]
    if len(labels) != 1:
        wanted = "either `label` or `labels`" if label is None else f"`{label}`"
        raise InvalidValueError(f"columns must include {wanted}, got {have}.")
    ((kind, values),) = found.items()
    return Columns(kind, values, labels[0], _find(names, "features", "feature"))


def _find(names: Sequence[str], name: str, singular: str) -> tuple[str, ...]:
    if name in names:
        return (name,)
    if "," in name:
        parts = tuple(part.strip() for part in name.split(","))
        return parts if all(part in names for part in parts) else ()
    for prefix in (f"{name}_", f"{singular}_"):
        numbered = {column for column in names if column.startswith(prefix) and column[len(prefix) :].isdigit()}
        wanted = tuple(f"{prefix}{index}" for index in range(len(numbered)))
        if numbered and not numbered.issuperset(wanted):
            missing = next(column for column in wanted if column not in numbered)
            raise InvalidValueError(f"columns must be numbered from {prefix}0 without a gap, got no `{missing}`.")
        if numbered:
            return wanted
    return ()


def known_suffix(path: str | Path) -> str:
    """Give the suffix of a table of predictions, or raise."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise InvalidValueError(f"`path` must end in {', '.join(SUFFIXES)}, got {str(path)!r}.")
    return suffix


def write_table(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Write arrays named ``logits`` or ``probs``, ``labels``, ``features`` to a file of a known suffix."""
    {".parquet": _write_parquet, ".npz": _write_npz, ".csv": _write_csv}[known_suffix(path)](arrays, path)


def read_table(path: str | Path) -> dict[str, np.ndarray]:
    """Read what :func:`write_table` wrote, or the same columns from elsewhere.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the suffix is unknown, the file is damaged, or columns are missing.
    """
    suffix = known_suffix(path)
    if not Path(path).is_file():
        raise MissingFileError(f"`path` must be an existing file, got {str(path)!r}.")
    return {".parquet": _read_parquet, ".npz": read_npz, ".csv": _read_csv}[suffix](Path(path))


def class_after_class(rows: np.ndarray) -> np.ndarray:
    """Lay a matrix of shape (N, C) out in memory class after class, as sums over samples of few classes like it."""
    return np.ascontiguousarray(rows.T).T


def _write_npz(arrays: dict[str, np.ndarray], path: Path) -> None:
    np.savez(path, **arrays)  # type: ignore[arg-type]


def read_npz(
    path: Path,
    *,
    logits: str | None = None,
    probs: str | None = None,
    label: str | None = None,
    by: str | None = None,
) -> dict[str, np.ndarray]:
    """Read the arrays of predictions from an npz file; names as in :func:`find_columns`, and the array ``by``."""
    try:
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as arrays:
            columns = find_columns(arrays.files, logits=logits, probs=probs, label=label)
            names = {columns.kind: columns.values, "labels": (columns.label,), "features": columns.features}
            if by is not None:
                if by not in arrays.files:
                    raise InvalidValueError(
                        f"columns must include `{by}`, got {', '.join(arrays.files)} in {str(path)!r}."
                    )
                names = {columns.kind: columns.values, "labels": (columns.label,), by: (by,)}
            return {name: stack([arrays[part] for part in parts]) for name, parts in names.items() if parts}
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError) as error:
        raise InvalidValueError(f"`path` must be a readable npz file, got {str(path)!r}: {reason(error)}.") from error
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise InvalidValueError(f"`path` must hold plain arrays, got pickled objects in {str(path)!r}.") from error
        raise


def stack(parts: list[np.ndarray]) -> np.ndarray:
    """Join columns, one per class, into a matrix; a single column stays as it is."""
    return parts[0] if len(parts) == 1 else np.stack(parts, axis=1)


def _write_parquet(arrays: dict[str, np.ndarray], path: Path) -> None:
    pa, pq = require("pyarrow", extra="report"), require("pyarrow.parquet", extra="report")
    columns = {}
    for name, array in arrays.items():
        if array.ndim == 1:
            columns["label"] = pa.array(array)
        else:
            columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(array.reshape(-1)), array.shape[1])
    pq.write_table(pa.table(columns), path)


def _read_parquet(path: Path) -> dict[str, np.ndarray]:
    pa, pq = require("pyarrow", extra="report"), require("pyarrow.parquet", extra="report")
    try:
        with pq.ParquetFile(path) as file:
            columns = find_columns(file.schema_arrow.names)
            table = file.read(columns=[*columns.values, columns.label, *columns.features])
    except (pa.ArrowException, OSError) as error:
        raise InvalidValueError(
            f"`path` must be a readable Parquet file, got {str(path)!r}: {reason(error)}."
        ) from error
    names = {columns.kind: columns.values, "labels": (columns.label,), "features": columns.features}
    return {name: stack([arrow_values(table[part], part) for part in parts]) for name, parts in names.items() if parts}


class RowError(InvalidValueError):
    """A fault of one row, counted from 0."""

    def __init__(self, what: str, row: int) -> None:
        super().__init__(f"{what} in row {row}.")
        self.what = what
        self.row = row

    def after(self, first_row: int, path: str | Path) -> InvalidValueError:
        """Give the same fault with its row counted from the start of the file."""
        return InvalidValueError(f"{self.what} in row {first_row + self.row} of {str(path)!r}.")


def arrow_values(column: Any, name: str) -> np.ndarray:
    """Turn an Arrow column of numbers or of number lists of one length into an array.

    Raises:
        RowError: If a value is missing or a list is of another length than the first.
        TypeError: If the column does not hold numbers.
    """
    pa = require("pyarrow", extra="report")
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if array.null_count:
        raise RowError(f"`{name}` must have no missing values, got null", _first(array.is_null()))
    inner = array.type.value_type if _is_list(pa, array.type) else array.type
    if not (pa.types.is_integer(inner) or pa.types.is_floating(inner)):
        raise InvalidTypeError(f"`{name}` must hold numbers or lists of numbers of one length, got type {array.type}.")
    # `to_numpy` would import pandas where it is installed, which takes longer than reading millions of rows.
    if inner is array.type:
        return np.from_dlpack(array)
    width = _width(array, name)
    flat = array.flatten()
    if flat.null_count:
        raise RowError(f"`{name}` must have no missing values, got null", _first(flat.is_null()) // width)
    return np.from_dlpack(flat).reshape(len(array), width)


def _is_list(pa: Any, kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _width(array: Any, name: str) -> int:
    if hasattr(array.type, "list_size"):
        return int(array.type.list_size)
    lengths = np.diff(np.from_dlpack(array.offsets))
    other = np.flatnonzero(lengths != lengths[:1])
    if len(other):
        raise RowError(f"`{name}` must have rows of one length, {lengths[0]}, got {lengths[other[0]]}", int(other[0]))
    return int(lengths[0]) if len(lengths) else 0


def _first(mask: Any) -> int:
    return int(np.flatnonzero(mask.to_numpy(zero_copy_only=False))[0])


def _write_csv(arrays: dict[str, np.ndarray], path: Path) -> None:
    header: list[str] = []
    for name, array in arrays.items():
        header += ["label"] if array.ndim == 1 else [f"{SINGULAR[name]}_{index}" for index in range(array.shape[1])]
    text = [array.reshape(len(array), -1).astype(str) for array in arrays.values()]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(np.concatenate(text, axis=1).tolist())


def csv_header(path: Path) -> list[str]:
    """Read the column names of a CSV file."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        return [name.strip() for name in next(csv.reader(file), [])]


def _read_csv(path: Path) -> dict[str, np.ndarray]:
    header = csv_header(path)
    columns = find_columns(header)
    rows: list[list[float]] = []
    names = {columns.kind: columns.values, "labels": (columns.label,), "features": columns.features}
    wanted = [header.index(part) for parts in names.values() for part in parts]
    with path.open(newline="", encoding="utf-8-sig") as file:
        for number, row in enumerate(csv.reader(file), start=-1):
            if number >= 0 and row:
                rows.append(csv_numbers(row, header, wanted, number))
    table = np.asarray(rows, dtype=np.float64).reshape(len(rows), len(wanted))
    blocks = np.split(table, np.cumsum([len(parts) for parts in names.values()])[:-1], axis=1)
    read = {name: block for name, block in zip(names, blocks, strict=True) if names[name]}
    labels = read.pop("labels")[:, 0]
    return {name: block.astype(np.float32) for name, block in read.items()} | {"labels": csv_labels(labels)}


def csv_numbers(row: list[str], header: list[str], wanted: Sequence[int], number: int) -> list[float]:
    """Read the wanted cells of a CSV row as numbers, or raise :class:`RowError`."""
    if len(row) != len(header):
        raise RowError(f"rows must have {len(header)} values as the header has, got {len(row)}", number)
    try:
        return [float(row[index]) for index in wanted]
    except ValueError:
        for index in wanted:
            try:
                float(row[index])
            except ValueError:
                raise RowError(f"`{header[index]}` must be a number, got {row[index]!r}", number) from None
        raise


def csv_labels(labels: np.ndarray) -> np.ndarray:
    """Turn class indices read as float64 into integers, or raise :class:`RowError`."""
    broken = np.flatnonzero(~np.isfinite(labels) | (labels != np.round(labels)))
    if len(broken):
        row = int(broken[0])
        raise RowError(f"`label` must be an integer class index, got {labels[row]}", row)
    return labels.astype(np.int64)


def reason(error: Exception) -> str:
    """Give the first line of a library's message, to end a sentence with."""
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
