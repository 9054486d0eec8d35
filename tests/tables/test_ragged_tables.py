# SPDX-License-Identifier: Apache-2.0
"""Tables whose rows have choices of different number: each row's own softmax, nothing of single classes."""

import json
import math

import pyarrow
import pyarrow.parquet
import pytest
import torch

from adafocal import Predictions
from adafocal.calibration import evaluate
from adafocal.cli import main
from adafocal.scaling import fit_temperature

PROBS = [[0.7, 0.3], [0.2, 0.3, 0.5], [0.1, 0.2, 0.3, 0.4], [0.6, 0.4]]
LABELS = [0, 1, 3, 1]
NLL = -sum(math.log(row[label]) for row, label in zip(PROBS, LABELS, strict=True)) / 4


def written(tmp_path, suffix, kind="probs", rows=PROBS):
    path = tmp_path / f"ragged{suffix}"
    if suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.table({kind: rows, "label": LABELS}), path)
    else:
        path.write_text("\n".join(json.dumps({kind: p, "label": y}) for p, y in zip(rows, LABELS, strict=True)))
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
@pytest.mark.parametrize("kind", ["probs", "logits"])
def test_rows_have_the_numbers_of_their_own_choices(tmp_path, suffix, kind):
    rows = [[math.log(p) for p in row] for row in PROBS] if kind == "logits" else PROBS
    read = Predictions.load(written(tmp_path, suffix, kind, rows), ragged=True)
    summary = evaluate(read)
    assert summary.accuracy == 0.5
    assert summary.nll == pytest.approx(NLL, rel=1e-6)
    assert pytest.approx(read.confidence.tolist(), rel=1e-6) == [0.7, 0.5, 0.4, 0.6]
    assert read.probs[0].tolist()[2:] == [0, 0]
    assert math.isnan(summary.classwise_ece)


def test_tables_are_refused_unless_they_are_said_to_be_ragged(tmp_path, capsys):
    path = written(tmp_path, ".jsonl")
    assert main(["evaluate", str(path)]) == 2
    assert "got 3 in row 1" in (said := capsys.readouterr().err)
    assert ": ragged where each row has choices of its own" in said
    assert main(["evaluate", str(path), "--ragged", "--by", "label"]) == 0


def test_choices_that_are_not_there_stay_away_under_scaling(tmp_path):
    for kind, values in (("probs", PROBS), ("logits", [[math.log(p) for p in row] for row in PROBS])):
        read = Predictions.load(written(tmp_path, ".jsonl", kind, values), ragged=True)
        after = fit_temperature(read).apply(read)
        assert after.ragged
        assert (after.probs == 0).equal(read.probs == 0)
        assert after.probs.sum(dim=1).tolist() == pytest.approx([1.0] * 4, rel=1e-6)


def test_parts_of_different_widths_are_joined():
    parts = [
        Predictions(probs=[[0.5, 0.5]], labels=[0], ragged=True),
        Predictions(probs=[[0.2, 0.2, 0.6]], labels=[2], ragged=True),
    ]
    joined = Predictions.concatenate(parts)
    assert joined.probs.tolist()[0] == [0.5, 0.5, 0.0]
    assert joined[torch.tensor([1])].ragged
    masked = Predictions.concatenate(
        [Predictions(logits=one.probs.log(), labels=one.labels, ragged=True) for one in parts]
    )
    assert masked.logits[0, 2] == -math.inf
    assert masked.probs.isfinite().all()


def test_a_label_must_be_a_choice_of_its_row():
    with pytest.raises(
        ValueError, match="`labels` must be a choice that the row has, whose prob is not 0, got 2 in row 0"
    ):
        Predictions(probs=[[0.5, 0.5, 0.0]], labels=[2], ragged=True)
    with pytest.raises(ValueError, match="whose logit is not -inf, got 1 in row 0"):
        Predictions(logits=[[0.5, -math.inf]], labels=[1], ragged=True)


def test_outcomes_and_single_columns_are_not_ragged(tmp_path, capsys):
    path = tmp_path / "o.csv"
    path.write_text("confidence,correct\n0.5,1\n")
    assert main(["evaluate", str(path), "--ragged"]) == 2
    assert "`ragged` must go with logits or probabilities of several choices, got outcomes" in capsys.readouterr().err
    assert main(["evaluate", str(path), "--likelihood", "sum"]) == 2
    assert "`likelihood` must go with an evaluation log, got 'sum'" in capsys.readouterr().err
