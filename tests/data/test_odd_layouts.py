# SPDX-License-Identifier: Apache-2.0
"""Layouts and files that lack something: read as far as they say what they are, or refused in one sentence."""

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from adafocal.data import DataConfig
from adafocal.data import features as encoders
from adafocal.data.foreign import foreign_source, foreign_split
from adafocal.data.load import read_sources
from adafocal.data.sources import HubColumn
from adafocal.data.splits import DataSplits, Split
from data.own_sets import load, measured, photos, picture, refused, write_table


def test_a_folder_with_one_folder_of_images_is_read_for_prediction(tmp_path):
    trained = load(photos(tmp_path / "trained"))
    picture(tmp_path / "other" / "inner" / "one.png")
    config = DataConfig(name="mine", path=str(tmp_path / "other"))
    found = foreign_split(foreign_source(config, "test", like=trained, config=config), like=trained, config=config)

    assert len(found) == 1


def test_volumes_are_not_read_as_something_else(tmp_path):
    names = np.array(["a", "b"])
    cases = {f"{name}_{what}": np.zeros((4, 4, 4), np.uint8) for name in names for what in ("image", "label")}
    np.savez(tmp_path / "cases.npz", names=names, **cases)

    with pytest.raises(ValueError, match=r"`data\.path` must hold images, texts or numbers, got volumes in"):
        read_sources(DataConfig(name="mine", path=str(tmp_path / "cases.npz")))


@pytest.fixture
def arrays():
    return {"image": np.zeros((12, 4, 4), np.uint8), "label": np.arange(12) % 2}


def test_a_part_of_arrays_without_labels_is_left_out_as_one_of_a_table_is(tmp_path, arrays):
    np.savez(tmp_path / "train.npz", **arrays)
    np.savez(tmp_path / "test.npz", image=arrays["image"])
    found = load(tmp_path)

    assert sum(len(part) for part in found.parts.values()) == 12
    assert "Parts that are not used: test" in found.notes


@pytest.mark.parametrize("n", [11, 13])
def test_groups_beside_arrays_have_a_row_per_sample(tmp_path, arrays, n):
    np.savez(tmp_path / "d.npz", **arrays, who=np.arange(n))
    refused(tmp_path / "d.npz", "`image` and `who` must have a row per sample", group_column="who")


def test_arrays_that_lack_what_others_of_the_set_have_are_named(tmp_path, arrays):
    np.savez(tmp_path / "train.npz", **arrays)
    np.savez(tmp_path / "test.npz", img=arrays["image"], label=arrays["label"])
    refused(tmp_path, "columns must include img, got image, label")


def test_files_of_one_part_have_the_same_columns_of_the_same_types(tmp_path):
    (tmp_path / "d").mkdir()
    for number, kind in enumerate((pa.int64(), pa.float64())):
        table = pa.table({"width": pa.array([1, 2], kind), "label": ["a", "b"]})
        pq.write_table(table, tmp_path / "d" / f"train-{number}.parquet")
    refused(tmp_path / "d", "`width` must have one type, got int64 and double")
    pq.write_table(pa.table({"width": [1, 2]}), tmp_path / "d" / "train-1.parquet")
    refused(tmp_path / "d", "`label` must have one type, got string and no column")


def test_categories_that_only_another_file_has_are_told(tmp_path):
    columns = measured()
    write_table(tmp_path / "d" / "train.csv", columns)
    strange = {**columns, "colour": ["violet"] * len(columns["colour"])}
    write_table(tmp_path / "d" / "test.csv", strange)

    assert any(
        "`colour`" in note and note.endswith(f": {len(strange['colour'])}") for note in load(tmp_path / "d").notes
    )


def test_each_table_is_encoded_once(tmp_path, monkeypatch):
    calls, call = [], encoders.FeatureEncoding.__call__
    monkeypatch.setattr(encoders.FeatureEncoding, "__call__", lambda self, held: (calls.append(1), call(self, held))[1])
    load(write_table(tmp_path / "d.csv", measured()), scaling_size=5)

    assert len(calls) == 1


def test_a_model_of_rows_from_a_function_is_given_neither_texts_nor_tables(tmp_path):
    split = Split(torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64), torch.arange(4))
    like = DataSplits(split, split, split, ("left", "right"))
    config = DataConfig(name="made:data")
    table = DataConfig(name="mine", path=str(write_table(tmp_path / "d.csv", measured())))
    source = foreign_source(table, "test", like=like, config=config)

    with pytest.raises(ValueError, match="given by the same function as those that the model was trained on"):
        foreign_split(source, like=like, config=config)


def test_an_array_of_file_names_names_images_and_is_no_text(tmp_path):
    photos(tmp_path)
    names = np.array([f"{folder}/{number:02}.png" for folder in ("ants", "bees") for number in range(20)])
    np.savez(tmp_path / "d.npz", image=names, label=np.repeat([0, 1], 20))

    assert load(tmp_path / "d.npz").train.inputs.shape[1:] == (3, 5, 6)


def test_an_image_of_the_hub_without_its_bytes_is_no_text():
    stored = [{"bytes": b"png", "path": None}, {"bytes": None, "path": "/elsewhere/a.png"}]
    column = HubColumn(datasets.Dataset.from_dict({"image": stored}), "image")

    assert column[0] == b"png"
    with pytest.raises(ValueError, match=r"`image` must hold images, got .* without their bytes"):
        column[1]
