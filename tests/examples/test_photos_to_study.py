# SPDX-License-Identifier: Apache-2.0
"""The quick start's way from a folder of photos to a study, on real handwritten letters laid out as folders."""

import json

import numpy as np
import pytest
from PIL import Image

from adafocal.cli import main

LOSSES = ["cross_entropy", "focal", "flsd53", "adafocal"]


@pytest.fixture
def letters(data_root, tmp_path):
    """Lay out 200 images of each of the first five letters as one folder per class."""
    with np.load(data_root / "emnist_letters" / "test.npz") as stored:
        images, labels = stored["image"], stored["label"]
    for number, name in enumerate("abcde"):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for row in np.flatnonzero(labels == number)[:200]:
            Image.fromarray(images[row]).save(folder / f"{row}.png")
    return tmp_path


@pytest.mark.slow
def test_a_folder_of_photos_becomes_a_study_whose_page_names_it(letters, monkeypatch, capsys):
    monkeypatch.chdir(letters)
    assert main(["data", "show", "--data.path", "photos", "-o", "photos.html"]) == 0
    assert "train 700, validation 100, test 200" in capsys.readouterr().out

    study = ["study", "--data.path", "photos", "--losses", *LOSSES, "--epochs", "4", "--workers", "1"]
    assert main(study) == 0

    folder = letters / "runs" / "study-photos"
    compared = json.loads((folder / "comparison.json").read_text("utf-8"))
    [experiment] = compared["experiments"]
    assert (experiment["title"], experiment["dataset"], experiment["model"]) == (
        "photos, Small CNN", "photos", "small_cnn",
    )  # fmt: skip
    assert {entry["loss"]: entry["seeds"] for entry in experiment["losses"]}.items() >= {
        loss: [0, 1, 2] for loss in LOSSES
    }.items()
    # Five letters by chance: 80 % wrong. Four epochs are enough to tell them apart better than not at all.
    assert all(entry["metrics"]["error"]["mean"] < 0.6 for entry in experiment["losses"])
    page = (folder / "report.html").read_text("utf-8")
    assert "losses on photos, Small CNN" in page
    assert "Trained on photos with neutral data settings." in page
    assert "digits" not in page.lower().replace("two digits", "")
    assert "photos" in (folder / "tables" / "ece.tex").read_text("utf-8")
    assert (folder / "results.csv").read_text("utf-8").splitlines()[1].startswith("photos,images,")
