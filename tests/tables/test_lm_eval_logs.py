# SPDX-License-Identifier: Apache-2.0
"""Sample files of lm-evaluation-harness 0.4.13, made by ``scripts/lm_eval_logs.py``: numbers are those it prints."""

import gzip
import json
import math
from pathlib import Path

import pytest
import torch

from adafocal import Outcomes, Predictions
from adafocal.calibration import evaluate
from adafocal.cli import main
from adafocal.scaling import fit_temperature, fit_vector

LOGS = Path(__file__).parent / "logs"
PRINTED = json.loads((LOGS / "printed.json").read_text())
STAMP = "2026-11-28T04-59-04.562430"


def log(task):
    return LOGS / f"samples_{task}_{STAMP}.jsonl"


def refused(capsys, *arguments):
    assert main(["evaluate", *map(str, arguments)]) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("task", "rule", "measure"),
    [("animals", None, "acc"), ("animals", "sum", "acc"), ("animals", "character", "acc_norm"), ("birds", "sum", "acc"),
     ("birds", "character", "acc_norm"), ("birds", "byte", "acc_bytes")],
)  # fmt: skip
def test_accuracy_is_the_one_that_the_harness_prints(task, rule, measure):
    read = Predictions.load(log(task), likelihood=rule)
    assert PRINTED[task][f"{measure},none"] == evaluate(read).accuracy
    assert read.ragged
    assert read.n == PRINTED[task]["sample_len"]


def test_probabilities_are_the_softmax_of_the_log_likelihoods_of_each_row():
    rows = [json.loads(line) for line in log("animals").read_text().splitlines()]
    read = Predictions.load(log("animals"))
    assert {len(row["filtered_resps"]) for row in rows} == {2, 3, 4, 5}
    losses, squares = [], []
    for row, probs, label in zip(rows, read.probs, read.labels, strict=True):
        scores = torch.tensor([float(pair[0]) for pair in row["filtered_resps"]], dtype=torch.float64)
        wanted = scores.softmax(0)
        torch.testing.assert_close(probs[: len(wanted)], wanted)
        assert probs[len(wanted) :].eq(0).all()
        assert int(label) == int(row["target"])
        losses.append(-wanted[label].log())
        squares.append((wanted - torch.eye(len(wanted))[label]).square().sum())
    summary = evaluate(read)
    assert summary.nll == pytest.approx(float(sum(losses)) / len(rows), rel=1e-12)
    assert summary.brier == pytest.approx(float(sum(squares)) / len(rows), rel=1e-12)
    assert summary.n_classes == 0
    assert math.isnan(summary.classwise_ece)
    assert math.isnan(summary.brier_calibration)


def test_tasks_are_groups_and_the_page_and_json_hold_no_class(tmp_path, capsys):
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    files = [str(log("animals")), str(log("birds"))]
    assert main(["evaluate", *files, "--by", "task", "--json", str(out), "--html", str(page)]) == 0
    found = json.loads(out.read_text())
    assert {task: PRINTED[task]["acc,none"] for task in ("animals", "birds")} == {
        task: group["accuracy"] for task, group in found["groups"].items()
    }
    assert found["classwise_ece"] is None
    assert any("--likelihood sum" in note for note in found["notes"])
    assert any("no measure of single classes" in note for note in found["notes"])
    shown = capsys.readouterr().out
    assert "each with its own choices" in shown
    assert "nan" not in (shown + page.read_text()).lower().replace("finance", "")


def test_pieces_of_any_size_and_packed_files_give_the_same_numbers(tmp_path, monkeypatch, capsys):
    packed = tmp_path / f"{log('animals').name}.gz"
    packed.write_bytes(gzip.compress(log("animals").read_bytes()))
    whole = evaluate(Predictions.load(log("animals")))
    monkeypatch.setattr("adafocal.tables.scan.PIECE", 7)
    out = tmp_path / "out.json"
    assert main(["evaluate", str(packed), "--json", str(out), "--no_remedy", "--by", "task,doc.subject"]) == 0
    found = json.loads(out.read_text())
    assert found["ece"] == pytest.approx(whole.ece, abs=1e-12)
    assert found["nll"] == pytest.approx(whole.nll, rel=1e-12)
    assert list(found["groups"]) == ["animals, legs", "animals, wings"]


def test_stated_confidences_need_a_name_and_one_filter(capsys):
    assert "must hold log-likelihoods of several choices, got an answer in words in row 0" in refused(
        capsys, log("sums")
    )
    asked = (log("sums"), "--confidence", "doc.sure")
    assert "got 'strict-match' and 'flexible-extract' in row 6" in refused(capsys, *asked)
    assert "`filter` must be a filter of the log, got 'no'" in refused(capsys, *asked, "--filter", "no")
    for name in ("strict-match", "flexible-extract"):
        read = Outcomes.load(log("sums"), confidence="doc.sure", filter=name)
        assert read.correct.double().mean() == pytest.approx(PRINTED["sums"][f"exact_match,{name}"])
    assert read.confidence.tolist() == pytest.approx([0.5, 0.6, 0.7] * 2)


def test_outcomes_of_choices_are_those_of_the_top_choice():
    read, top = Predictions.load(log("animals")), Outcomes.load(log("animals"))
    torch.testing.assert_close(top.confidence, read.confidence)
    assert top.correct.equal(read.correct)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(["words"], "got one log-likelihood in row 0"), (["several"], "`target` must name one of 3 choices, got '[0, 1]'"),
     (["animals", "--likelihood", "token"], "`likelihood` must be sum, character or byte"),
     (["animals", "--likelihood", "tokens"], "`likelihood` must be one of"),
     (["animals", "--filter", "x"], "`filter` must be a filter of the log, got 'x'"),
     (["animals", "--label", "target"], "`label` must not be given for an evaluation log"),
     (["animals", "--positive_class", "1"], "`positive_class` must not be given for ragged choices"),
     (["animals", "--by", "doc.subjet"], "did you mean 'doc.subject'?")],
)  # fmt: skip
def test_what_cannot_be_told_is_refused(capsys, arguments, sentence):
    assert sentence in refused(capsys, log(arguments[0]), *arguments[1:])


def changed(tmp_path, change):
    rows = [json.loads(line) for line in log("animals").read_text().splitlines()]
    change(rows[1])
    path = tmp_path / log("animals").name
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_measures_that_disagree_with_the_likelihoods_are_refused(tmp_path, capsys):
    path = changed(tmp_path, lambda row: row.update(acc=1.0 - row["acc"]))
    assert "`acc` must be what the log-likelihoods tell" in refused(capsys, path)
    assert Predictions.load(path, likelihood="character").n == 24


def test_samples_that_lack_something_or_end_early_are_refused(tmp_path, capsys):
    assert "samples must hold target as the first does" in refused(
        capsys, changed(tmp_path, lambda row: row.pop("target"))
    )
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(log("animals").read_bytes()[:3000])
    assert "lines must be JSON" in refused(capsys, cut)


def test_older_versions_wrote_requests_without_names(tmp_path):
    def older(row):
        row["arguments"] = [list(one.values()) for one in row["arguments"].values()]

    path = changed(tmp_path, older)
    assert Predictions.load(path).logits.equal(Predictions.load(log("animals")).logits)


def test_targets_may_be_texts_of_choices(tmp_path):
    def named(row):
        row["target"] = row["doc"]["choices"][int(row["target"])]

    path = changed(tmp_path, named)
    assert Predictions.load(path).labels.equal(Predictions.load(log("animals")).labels)


def test_a_temperature_scales_choices_of_any_number_and_nothing_else_does(tmp_path, capsys):
    fitted, scaled = tmp_path / "t.json", tmp_path / "scaled.parquet"
    assert main(["scale", "fit", str(log("animals")), "--output", str(fitted), "--likelihood", "character"]) == 0
    assert main(["scale", "apply", str(fitted), str(log("birds")), "--output", str(scaled)]) == 0
    assert "fitted on 24 rows of logits of ragged choices" in capsys.readouterr().out
    read, temperature = Predictions.load(log("animals")), fit_temperature(Predictions.load(log("animals")))
    after = temperature.apply(read)
    assert after.probs.isfinite().all()
    assert (after.probs == 0).equal(read.probs == 0)
    back = Predictions.load(scaled, ragged=True)
    assert back.predicted.equal(Predictions.load(log("birds")).predicted)
    with pytest.raises(ValueError, match="same classes in every row for vector scaling, got ragged choices"):
        fit_vector(read)


def test_models_are_compared_on_their_logs(tmp_path, capsys):
    sharp = tmp_path / "sharp.jsonl"
    rows = [json.loads(line) for line in log("animals").read_text().splitlines()]
    for row in rows:
        row["filtered_resps"] = [[str(3 * float(pair[0])), pair[1]] for pair in row["filtered_resps"]]
    sharp.write_text("\n".join(map(json.dumps, rows)))
    assert main(["compare", str(log("animals")), str(sharp), "--id", "doc_id"]) == 0
    shown = capsys.readouterr().out
    assert "24" in shown
    assert "--likelihood sum" in shown
