# SPDX-License-Identifier: Apache-2.0
"""Data that are damaged, odd or lead elsewhere: one sentence."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from adafocal import AdafocalError
from adafocal.data import DataConfig, load_splits
from adafocal.data.volume_files import read_cases

IMAGES = np.random.default_rng(0).integers(0, 255, (40, 4, 4, 3), dtype=np.uint8)
LABELS = np.arange(40) % 2


def refused(path, match):
    with pytest.raises(AdafocalError, match=match) as caught:
        load_splits(DataConfig(name="other", path=str(path)), seed=0)
    assert "\n" not in str(caught.value)


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"image": IMAGES.astype(float)}, "uint8 images"),
        ({"image": IMAGES[0, 0]}, "row per sample"),
        ({"image": np.zeros((40, 5), dtype=np.uint8)}, "uint8 images"),
        ({"image": np.zeros((40, 0, 4), dtype=np.uint8)}, "uint8 images"),
        ({"image": np.array(3)}, "row per sample"),
        ({"image": np.arange(40)}, "must hold images or texts"),
        ({"label": LABELS[:10]}, "row per sample"),
        ({"label": LABELS[:, None]}, "row per sample"),
        ({"label": LABELS + 0.5}, "names or class indices"),
        ({"label": LABELS - 5}, "names or class indices"),
        ({"label": LABELS.astype(complex)}, "names or class indices"),
        ({"label": LABELS.astype(np.uint64) + 2**63}, "below 1,000,000, or names, .* got 9223372036854775809"),
    ],
)
def test_odd_arrays_are_refused(change, match, tmp_path):
    np.savez(tmp_path / "data.npz", **{"image": IMAGES, "label": LABELS} | change)
    refused(tmp_path / "data.npz", match)


def test_damaged_archives_and_tables_are_named(tmp_path):
    np.savez(tmp_path / "data.npz", image=IMAGES, label=LABELS)
    (tmp_path / "data.npz").write_bytes((tmp_path / "data.npz").read_bytes()[:-50])
    refused(tmp_path / "data.npz", "`data.path` must be a readable npz file, got .*data.npz")
    (tmp_path / "train.parquet").write_bytes(b"PAR1")
    refused(tmp_path / "train.parquet", "`data.path` must be a readable Parquet file, got .*train.parquet")


@pytest.mark.parametrize(
    ("column", "values", "match"),
    [
        ("text", ["a", None] * 20, "no missing values"),
        ("label", [0, None] * 20, "no missing values"),
        ("label", [0.5, 1.0] * 20, "names or class indices"),
        ("label", [0, 2**36 + 1] * 20, "below 1,000,000, or names, .* got 68719476737"),
        ("label", [0, 1_000_000] * 20, "below 1,000,000, or names, .* got 1000000"),
        ("label", [[0], [1]] * 20, "names or class indices"),
        ("label", [{"a": 1}] * 40, "names or class indices"),
        ("text", [["a"], ["b"]] * 20, "must hold images or texts"),
    ],
)
def test_odd_columns_are_refused(column, values, match, tmp_path):
    columns = {"text": ["a b", "c d"] * 20, "label": [0, 1] * 20} | {column: values}
    pq.write_table(pa.table(columns), tmp_path / "train.parquet")
    refused(tmp_path, match)


def test_images_without_their_bytes_are_refused(tmp_path):
    image = [{"bytes": png(pixels), "path": "a.png"} for pixels in IMAGES]
    image[7] = {"bytes": None, "path": "/etc/hostname"}
    pq.write_table(pa.table({"image": image, "label": LABELS}), tmp_path / "train.parquet")
    refused(tmp_path, "`image` must hold images, got .*/etc/hostname.* without their bytes")


@pytest.mark.parametrize("content", [b"", b"no image", png(IMAGES[0])[:40], png(IMAGES[0])[:60]])
def test_a_damaged_image_is_named(content, tmp_path):
    for row in range(40):
        (tmp_path / f"{row % 2}").mkdir(exist_ok=True)
        (tmp_path / f"{row % 2}" / f"{row:02}.png").write_bytes(content if row == 20 else png(IMAGES[row]))
    refused(tmp_path, "Images must be readable, got (image 10|the first) with ")


@pytest.mark.parametrize("name", ["../../secret.png", "/etc/passwd"])
def test_a_list_of_images_does_not_lead_out_of_its_folder(name, tmp_path):
    (tmp_path / "train" / "a").mkdir(parents=True)
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "val_annotations.txt").write_text(f"{name}\ta\t0\n")
    refused(tmp_path, "Images must lie in ")


@pytest.mark.parametrize("name", ["../../secret.nii.gz", "/etc/passwd"])
def test_a_decathlon_does_not_lead_out_of_its_folder(name, tmp_path):
    listed = {"labels": {"0": "a", "1": "b"}, "training": [{"image": name, "label": "labelsTr/a.nii.gz"}]}
    (tmp_path / "dataset.json").write_text(json.dumps(listed))
    with pytest.raises(AdafocalError, match="must lie in"):
        read_cases(tmp_path)


@pytest.mark.parametrize(
    ("image", "label"),
    [
        (np.zeros((3, 4, 5), dtype=complex), np.zeros((3, 4, 5))),
        (np.zeros((3, 4, 5)), np.full((3, 4, 5), np.nan)),
        (np.zeros((3, 4, 5)), np.full((3, 4, 5), "a")),
        (np.zeros((0, 4, 5)), np.zeros((0, 4, 5))),
        (np.zeros((3, 4)), np.zeros((3, 4))),
        (np.zeros((3, 4, 5)), np.full((3, 4, 5), 1e9)),
    ],
)
def test_odd_volumes_are_refused(image, label, tmp_path):
    np.savez(tmp_path / "v.npz", names=np.array(["a"]), a_image=image, a_label=label)
    with pytest.raises(AdafocalError, match="Case 'a' must have"):
        list(read_cases(tmp_path)[0])
