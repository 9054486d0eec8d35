# SPDX-License-Identifier: Apache-2.0
"""`adafocal scale apply` writes a table anew: other predictions, the same rows, every other column as it was."""

import csv
import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import torch

from adafocal import Outcomes, Predictions
from adafocal.cli import main
from adafocal.scaling import Temperature, load_scaling

GENERATOR = np.random.default_rng(0)
LOGITS = GENERATOR.normal(size=(50, 3)).round(4)
NOTES = ["plain", "with, comma", 'with "quotes"', "007", "", "1e5", "über", "True", "two\nlines", " spaces "] * 5


@pytest.fixture
def temperature(tmp_path):
    Temperature(2.0).save(tmp_path / "T.json")
    return tmp_path / "T.json"


def apply(scaling, source, output, *options):
    assert main(["scale", "apply", str(scaling), str(source), "-o", str(output), *options]) == 0


def table(kind="logit"):
    columns = {f"{kind}_{place}": LOGITS[:, place] for place in range(3)}
    return {"note": NOTES, **columns, "when": np.arange(50)}


def text(path, header, rows, delimiter=","):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(header)
        writer.writerows(rows)


def test_every_other_column_of_a_csv_keeps_its_text_and_no_label_is_needed(tmp_path, temperature):
    held = table()
    text(tmp_path / "in.csv", list(held), zip(*held.values(), strict=True))
    apply(temperature, tmp_path / "in.csv", tmp_path / "out.csv")

    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == list(held)
    assert [row[0] for row in rows] == NOTES
    assert [row[4] for row in rows] == [str(place) for place in range(50)]
    np.testing.assert_allclose(np.array([row[1:4] for row in rows], float), LOGITS / 2, rtol=1e-6)


def test_quotes_stand_only_where_they_are_needed(tmp_path, temperature):
    text(tmp_path / "in.csv", ("id", "logit_0", "logit_1"), [("007", 1.0, 2.0)])
    apply(temperature, tmp_path / "in.csv", tmp_path / "out.csv")

    assert (tmp_path / "out.csv").read_text() == "id,logit_0,logit_1\n007,0.5,1\n"


@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".arrow", ".npz", ".jsonl", ".tsv", ".csv.gz"])
@pytest.mark.parametrize("output", [".parquet", ".npz", ".csv"])
def test_formats_go_into_one_another(suffix, output, tmp_path, temperature):
    held, path = table(), tmp_path / f"in{suffix}"
    arrow = pa.table(held)
    if suffix == ".parquet":
        pq.write_table(arrow, path, row_group_size=7)
    elif suffix in (".feather", ".arrow"):
        pyarrow.feather.write_feather(arrow, path)
    elif suffix == ".npz":
        np.savez(path, **{name: np.asarray(column) for name, column in held.items()})
    elif suffix == ".jsonl":
        rows = [
            dict(zip(held, map(lambda v: v.item() if isinstance(v, np.generic) else v, row), strict=True))
            for row in zip(*held.values(), strict=True)
        ]
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    elif suffix == ".tsv":
        text(path, list(held), zip(*held.values(), strict=True), delimiter="\t")
    else:
        text(tmp_path / "in.csv", list(held), zip(*held.values(), strict=True))
        path.write_bytes(gzip.compress((tmp_path / "in.csv").read_bytes()))
    out = tmp_path / f"out{output}"
    apply(temperature, path, out)

    np.testing.assert_allclose(Predictions.load(out).logits.numpy(), LOGITS / 2, rtol=1e-6, atol=1e-6)
    if output == ".parquet":
        assert pq.read_table(out).column_names == list(held)
        assert pq.read_table(out)["note"].to_pylist() == NOTES
        whole = [str(value) for value in pq.read_table(out)["when"].to_pylist()]
        assert whole == [str(place) for place in range(50)]


def test_lists_stay_lists_and_probabilities_that_take_the_place_of_logits_are_named_so(tmp_path):
    labels = GENERATOR.integers(0, 3, 50)
    pq.write_table(pa.table({"id": range(50), "logits": list(LOGITS), "label": labels}), tmp_path / "in.parquet")
    held = {**table(), "label": labels}
    text(tmp_path / "in.csv", list(held), zip(*held.values(), strict=True))
    for name in ("in.parquet", "in.csv"):
        assert main(["scale", "fit", str(tmp_path / name), "--method", "isotonic", "-o", str(tmp_path / "s.json")]) == 0
        apply(tmp_path / "s.json", tmp_path / name, tmp_path / "out.parquet")
        found = pq.read_table(tmp_path / "out.parquet")
        expected = load_scaling(tmp_path / "s.json").apply(Predictions.load(tmp_path / name)).probs
        np.testing.assert_allclose(Predictions.load(tmp_path / "out.parquet").probs, expected, atol=1e-6)
        names = ["probs"] if name == "in.parquet" else ["prob_0", "prob_1", "prob_2"]
        assert [column for column in found.column_names if column.startswith("prob")] == names
        assert not [column for column in found.column_names if column.startswith("logit")]


@pytest.mark.parametrize("kind", ["probs", "logits"])
def test_one_column_stays_one_column(kind, tmp_path, temperature):
    values = GENERATOR.uniform(0.01, 0.99, 40).round(4) if kind == "probs" else GENERATOR.normal(size=40).round(4)
    text(tmp_path / "in.csv", ("score", "y"), zip(values, GENERATOR.integers(0, 2, 40), strict=True))
    apply(temperature, tmp_path / "in.csv", tmp_path / "out.csv", f"--{kind}", "score", "--label", "y")

    found = np.genfromtxt(tmp_path / "out.csv", delimiter=",", names=True)["score"]
    expected = values / 2 if kind == "logits" else 1 / (1 + np.exp(-np.log(values / (1 - values)) / 2))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_outcomes_are_scaled_by_every_method(tmp_path):
    generator = np.random.default_rng(7)
    confidence = generator.uniform(0.2, 0.98, 300)
    correct = generator.uniform(size=300) < confidence**2
    Outcomes(confidence=confidence, correct=correct).save(tmp_path / "in.csv")
    for method in ("temperature", "vector", "isotonic", "histogram", "dirichlet"):
        assert main(["scale", "fit", str(tmp_path / "in.csv"), "--method", method, "-o", str(tmp_path / "s.json")]) == 0
        apply(tmp_path / "s.json", tmp_path / "in.csv", tmp_path / "out.csv")
        after = Outcomes.load(tmp_path / "out.csv")
        assert after.correct.tolist() == correct.tolist()
        before_gap, gap = confidence.mean() - correct.mean(), float(after.confidence.mean()) - correct.mean()
        # One temperature moves confidences to or from one half, and cannot shift them.
        assert abs(gap) < (1.0 if method == "temperature" else 0.25) * before_gap, method


def test_a_fault_in_a_late_row_leaves_the_old_file(tmp_path, temperature, capsys):
    text(tmp_path / "in.csv", ("logit_0", "logit_1"), [*([(1.0, 2.0)] * 40), (1.0, "x")])
    (tmp_path / "out.csv").write_text("old")

    assert main(["scale", "apply", str(temperature), str(tmp_path / "in.csv"), "-o", str(tmp_path / "out.csv")]) == 2
    assert "`logit_1` must be a number, got 'x' in row 40 of" in capsys.readouterr().err
    assert (tmp_path / "out.csv").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["T.json", "in.csv", "out.csv"]


def test_pieces_of_any_size_give_the_same_file(tmp_path, temperature, monkeypatch):
    held = table()
    text(tmp_path / "in.csv", list(held), zip(*held.values(), strict=True))
    apply(temperature, tmp_path / "in.csv", tmp_path / "whole.csv")
    monkeypatch.setattr("adafocal.tables.rewrite.NUMBERS", 20)
    apply(temperature, tmp_path / "in.csv", tmp_path / "parts.csv")

    whole, parts = (Predictions.load(tmp_path / f"{name}.csv") for name in ("whole", "parts"))
    assert torch.equal(whole.logits, parts.logits)
    with (tmp_path / "parts.csv").open(newline="", encoding="utf-8") as file:
        assert [row[0] for row in csv.reader(file)] == ["note", *NOTES]


def test_what_a_format_cannot_hold_is_refused_by_name_and_nothing_is_written(tmp_path, temperature, capsys):
    held = {
        "struct": [{"a": 1}, {"a": 2}],
        "tags": [["x"], []],
        "bytes": pa.array([b"\xff", b""]),
        "codes": pa.array(["u", None]).dictionary_encode(),
        "when": pa.array([1, 2], pa.timestamp("us")),
        "dec": pa.array([1, None], pa.decimal128(5, 2)),
        "pairs": [[1, 2], [3, 4]],
        "none": pa.nulls(2),
    }
    refused = {".csv": {"struct", "tags", "bytes"}, ".npz": {"struct", "tags", "codes", "dec", "none"}}
    for name, column in held.items():
        table = pa.table({"logits": [[1.0, 2.0], [0.0, 2.0]], name: column})
        pq.write_table(table, tmp_path / "in.parquet")
        apply(temperature, tmp_path / "in.parquet", tmp_path / "out.parquet")
        assert pq.read_table(tmp_path / "out.parquet")[name].to_pylist() == table[name].to_pylist()
        for suffix, names in refused.items():
            out = tmp_path / f"{name}{suffix}"
            status = main(["scale", "apply", str(temperature), str(tmp_path / "in.parquet"), "-o", str(out)])
            assert (status, out.exists()) == ((2, False) if name in names else (0, True)), (name, suffix)
            said = capsys.readouterr().err
            assert (f"`{name}` must hold plain values" in said) == (name in names)
