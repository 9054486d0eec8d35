# SPDX-License-Identifier: Apache-2.0
import json

import pytest
import torch

from adafocal import Predictions
from adafocal.cli import main
from adafocal.ood import auroc, energy_score


def predictions(n, *, c=3, spread=3.0, shift=0.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    hidden = spread * torch.randn(n, 6, generator=generator) + shift
    weight = torch.randn(6, c, generator=torch.Generator().manual_seed(9))
    return Predictions(logits=hidden @ weight, labels=torch.arange(n) % c, features=hidden)


@pytest.fixture
def folder(tmp_path):
    predictions(80).save(tmp_path / "test.parquet")
    predictions(100, seed=3).save(tmp_path / "train.npz")
    predictions(60, spread=1.0, seed=1).save(tmp_path / "near.parquet")
    predictions(70, shift=20.0, seed=2).save(tmp_path / "<b>far.npz")
    return tmp_path


def run(folder, *more, ood=("near.parquet",)):
    files = [str(folder / name) for name in ood]
    return main(["ood", "--id", str(folder / "test.parquet"), "--ood", *files, "--n_resamples", "20", *more])


def test_a_table_is_printed_for_each_set(folder, capsys):
    assert run(folder, ood=("near.parquet", "<b>far.npz")) == 0
    out = capsys.readouterr().out
    assert "near (60) against in-distribution (80), [95 % intervals]" in out
    assert "<b>far (70) against in-distribution (80), [95 % intervals]" in out
    assert out.count("energy") == 2
    assert "mahalanobis" not in out


def test_json_holds_the_numbers_that_the_library_gives(folder):
    assert run(folder, "--train", str(folder / "train.npz"), "--k", "5", "--json", str(folder / "out.json")) == 0
    written = json.loads((folder / "out.json").read_text())
    assert [row["score"] for row in written["results"]] == [
        "msp", "entropy", "margin", "max_logit", "energy", "mahalanobis", "knn", "vim",
    ]  # fmt: skip
    energy = written["results"][4]
    test, near = (Predictions.load(folder / name) for name in ("test.parquet", "near.parquet"))
    assert energy["auroc"]["value"] == pytest.approx(auroc(energy_score(test), energy_score(near)).item())
    assert energy["auroc"]["low"] < energy["auroc"]["value"] < energy["auroc"]["high"]
    assert (energy["ood"], energy["n_id"], energy["n_ood"]) == ("near", 80, 60)
    measures = {"auroc", "aupr_out", "aupr_in", "fpr95"}
    assert set(energy) == {"ood", "score", "n_id", "n_ood", "roc", "histogram"} | measures


def test_the_page_is_one_file_with_curves_and_escaped_names(folder):
    page = folder / "page.html"
    assert run(folder, "--scores", "msp", "energy", "--html", str(page), ood=("near.parquet", "<b>far.npz")) == 0
    html = page.read_text()
    assert html.count("<svg") == 6  # for each of two sets: curves, and a histogram of each of two scores
    assert "&lt;b&gt;far (70 samples)" in html
    assert "<b>" not in html
    assert "http" not in html.replace("http-equiv", "").replace("http://www.w3.org/", "")


def test_files_of_one_name_are_told_apart(folder, capsys):
    (folder / "other").mkdir()
    predictions(50, seed=5).save(folder / "other" / "near.parquet")
    assert run(folder, "--json", str(folder / "o.json"), ood=("near.parquet", "other/near.parquet")) == 0
    names = {row["ood"] for row in json.loads((folder / "o.json").read_text())["results"]}
    assert names == {str(folder / "near.parquet"), str(folder / "other" / "near.parquet")}


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--scores", "vim"], "adafocal ood: `train` must be given for the vim score, got None.\n"),
        (["--level", "1.5"], "adafocal ood: `level` must be a number > 0 and < 1, got 1.5.\n"),
        (["--train", "no.npz"], "adafocal ood: `path` must be an existing file, got 'no.npz'.\n"),
    ],
)
def test_bad_options_are_answered_with_one_sentence(folder, capsys, unchecked_shapes, more, sentence):
    assert run(folder, *more) == 2
    assert capsys.readouterr().err == sentence


def test_files_with_other_classes_are_refused(folder, capsys, unchecked_shapes):
    predictions(10, c=5).save(folder / "wide.csv")
    assert run(folder, ood=("wide.csv",)) == 2
    assert "must have the 3 classes of the in-distribution predictions, got 5 in 'wide'." in capsys.readouterr().err
