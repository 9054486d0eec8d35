# SPDX-License-Identifier: Apache-2.0
"""Names of classes go into every format and come back, and with what is made of a table."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import adafocal as af
from adafocal.cli import main

NAMES = [
    ("cat", "dog", "bird"),
    ("big_cat", "big_dog", "big_bird"),
    ("scale", "_", "__"),
    ("logit_a", "prob_b", "label"),
    ("Katze, alt", 'd"og', "été"),
]
NO_HEADINGS = [("1", "2", "3"), ("", "x", "y"), (" a", "b", "c"), ("a\nb", "c", "d"), ("²", "3", "x")]


def record(classes=NAMES[0], *, kind="logits", n=40):
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(n, 3, generator=generator)
    labels = torch.randint(3, (n,), generator=generator)
    return af.Predictions(**{kind: values if kind == "logits" else values.softmax(1)}, labels=labels, classes=classes)


@pytest.mark.parametrize("suffix", [".parquet", ".npz", ".csv"])
@pytest.mark.parametrize("kind", ["logits", "probs"])
@pytest.mark.parametrize("classes", NAMES)
def test_names_come_back_from_every_format(classes, kind, suffix, tmp_path):
    saved = record(classes, kind=kind)
    saved.save(tmp_path / f"p{suffix}")
    found = af.Predictions.load(tmp_path / f"p{suffix}")

    assert found.classes == classes
    assert torch.equal(found.labels, saved.labels)
    torch.testing.assert_close(getattr(found, kind), getattr(saved, kind), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("classes", NO_HEADINGS)
def test_names_that_are_no_headings_are_left_out_of_csv_alone(classes, tmp_path):
    saved = record(classes)
    for suffix, expected in ((".parquet", classes), (".npz", classes), (".csv", None)):
        saved.save(tmp_path / f"p{suffix}")
        found = af.Predictions.load(tmp_path / f"p{suffix}")
        assert found.classes == expected, suffix
        assert torch.equal(found.labels, saved.labels), suffix


@pytest.mark.parametrize("start", [".parquet", ".npz", ".csv"])
@pytest.mark.parametrize("end", [".parquet", ".npz", ".csv"])
@pytest.mark.parametrize("method", ["temperature", "histogram"])
def test_a_scaled_table_keeps_the_names(start, end, method, tmp_path):
    """Histogram binning turns logits into probabilities."""
    record(n=90).save(tmp_path / f"p{start}")
    table, fitted, scaled = (str(tmp_path / name) for name in (f"p{start}", "fitted.json", f"scaled{end}"))
    assert main(["scale", "fit", table, "--method", method, "-o", fitted]) == 0
    assert main(["scale", "apply", fitted, table, "-o", scaled]) == 0
    found = af.Predictions.load(scaled)

    assert found.kind == ("logits" if method == "temperature" else "probs")
    assert found.classes == NAMES[0]
    assert torch.equal(found.labels, record(n=90).labels)


def test_logits_by_name_are_read_where_there_is_nothing_else(tmp_path):
    def load(header):
        (tmp_path / "p.csv").write_text(",".join(header) + "\n" + ",".join(["0.5"] * len(header)) + "\n")
        return af.Predictions.load(tmp_path / "p.csv")

    assert load(["logit_cat", "logit_dog"]).classes == ("cat", "dog")
    assert load(["logit_scale", "logit_bias", "prob_cat", "prob_dog"]).classes == ("cat", "dog")
    assert load(["logit_scale", "logit_0", "logit_1"]).classes is None
    with pytest.raises(ValueError, match="columns must include"):
        load(["logit_scale", "label"])


@pytest.mark.parametrize("spelled", ["class_cat", "cat", "0"])
def test_labels_may_be_the_classes_as_columns_name_them_or_less_what_all_begin_with(spelled, tmp_path):
    (tmp_path / "p.csv").write_text(f"prob_class_cat,prob_class_dog,label\n0.75,0.25,{spelled}\n")
    found = af.Predictions.load(tmp_path / "p.csv")

    assert found.classes == ("class_cat", "class_dog")
    assert found.labels.tolist() == [0]


def test_other_arrays_and_metadata_of_the_name_are_no_names(tmp_path):
    held = {"logits": np.eye(3), "label": np.arange(3)}
    np.savez(tmp_path / "p.npz", **held, classes=np.arange(10))
    assert af.Predictions.load(tmp_path / "p.npz").classes is None

    field = pa.field("logits", pa.list_(pa.float64())).with_metadata({"classes": "of a zoo"})
    table = pa.table([pa.array(held["logits"].tolist())], schema=pa.schema([field]))
    pq.write_table(table, tmp_path / "p.parquet")
    assert af.Predictions.load(tmp_path / "p.parquet").classes is None


@pytest.mark.parametrize(("kept", "said"), [('["cat", "dog"]', "each of the 2 classes"), ("[1]", "a list of names")])
def test_names_that_do_not_fit_are_refused(kept, said, tmp_path):
    field = pa.field("logits", pa.list_(pa.float64())).with_metadata({"adafocal.classes": kept})
    pq.write_table(pa.table([pa.array(np.eye(3).tolist())], schema=pa.schema([field])), tmp_path / "p.parquet")
    with pytest.raises(ValueError, match=said):
        af.Predictions.load(tmp_path / "p.parquet")


def test_a_run_on_data_with_names_writes_them(tmp_path, capsys):
    rows = [(f"{place % 7}.5", str(place % 5), ("ash", "elm", "oak")[place % 3]) for place in range(90)]
    with (tmp_path / "trees.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("height", "colour", "label"), *rows])
    line = ["train", "--data.path", str(tmp_path / "trees.csv"), "--epochs", "1", "--progress", "false"]
    assert main([*line, "--run_dir", str(tmp_path / "run")]) == 0
    for suffix in (".parquet", ".csv", ".npz"):
        assert main(["predict", str(tmp_path / "run"), "-o", str(tmp_path / f"p{suffix}")]) == 0
        assert af.Predictions.load(tmp_path / f"p{suffix}").classes == ("ash", "elm", "oak")
    assert (tmp_path / "p.csv").read_text().startswith("logit_ash,logit_elm,logit_oak,label\n")

    capsys.readouterr()
    stored = str(tmp_path / "run" / "test.parquet")
    assert main(["evaluate", stored, "--positive-class", "elm", "--json", str(tmp_path / "e.json")]) == 0
    assert "elm" in json.dumps(json.loads((tmp_path / "e.json").read_text("utf-8")))
