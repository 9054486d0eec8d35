# SPDX-License-Identifier: Apache-2.0
"""Small data sets of everyday kinds, written in every layout, and how they are read or refused."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from PIL import Image

from adafocal.data import DataConfig, load_splits


def load(path, **settings):
    """Read and split what lies at a path."""
    return load_splits(DataConfig(name="mine", path=str(path), **settings), seed=0)


def refused(path, sentence, **settings):
    """Read what is to be refused, in one sentence."""
    with pytest.raises(ValueError, match=sentence) as caught:
        load(path, **settings)
    assert "\n" not in str(caught.value)


def picture(path, value=(0, 0, 0), size=(6, 5), mode="RGB", **options):
    """Write one plain image; size is width and height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path, **options)
    return path


def photos(folder, classes=("ants", "bees"), n=20, size=(6, 5)):
    """Write n images per class, whose red tells the class and whose green the number."""
    for place, name in enumerate(classes):
        for number in range(n):
            picture(folder / name / f"{number:02}.png", (100 * place, number, 0), size)
    return folder


def measured(n=60, seed=0):
    """Give a table of two numbers, a category and a class that they tell."""
    generator = np.random.default_rng(seed)
    kind = np.array(["left", "right"])[np.arange(n) % 2]
    width = generator.normal(size=n) + 3 * (np.arange(n) % 2)
    return {
        "width": width.round(4).tolist(),
        "height": generator.integers(0, 1000, n).tolist(),
        "colour": [("red", "green", "blue")[place] for place in generator.integers(0, 3, n)],
        "label": kind.tolist(),
    }


def spoken(n=60):
    """Give a table of texts with two classes."""
    return {
        "text": [f"word{row} {'good' if row % 2 else 'bad'} day" for row in range(n)],
        "label": ["no", "yes"] * (n // 2),
    }


def write_table(path, columns):
    """Write columns in the format that the suffix names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".csv", ".tsv"):
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter="," if path.suffix == ".csv" else "\t")
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
    elif path.suffix == ".jsonl":
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".npz":
        np.savez(path, **{name: np.array(values) for name, values in columns.items()})
    elif path.suffix == ".parquet":
        pa.parquet.write_table(pa.table(columns), path)
    else:
        pa.feather.write_feather(pa.table(columns), path)
    return path


FORMATS = (".csv", ".tsv", ".jsonl", ".npz", ".parquet", ".feather")
