# SPDX-License-Identifier: Apache-2.0
"""``adafocal compare``: tables of all kinds in, a sentence, a table, JSON and a page out."""

import json

import numpy as np
import pandas as pd
import pytest

from adafocal.cli import main


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """Two models of three classes on the same 300 rows, one table of words in another order, and answers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    generator = np.random.default_rng(0)
    logits = 2 * generator.normal(size=(300, 3))
    chances = np.exp(0.6 * logits)
    chances /= chances.sum(axis=1, keepdims=True)
    labels = (generator.random(300)[:, None] > chances.cumsum(axis=1)).sum(axis=1)
    ids = [f"q{row}" for row in range(300)]
    frame(logits, labels, id=ids, doc=np.arange(300) // 10, w=np.linspace(0.1, 2, 300)).to_parquet("before.parquet")
    frame(0.6 * logits, labels, id=ids, doc=np.arange(300) // 10, w=np.linspace(0.1, 2, 300)).to_csv("after.csv")
    order = generator.permutation(300)[:250]
    frame(0.6 * logits[order], labels[order], id=[ids[row] for row in order]).to_csv("fewer.csv")
    for name, power in (("answers", 1.0), ("surer", 0.5)):
        pd.DataFrame({"confidence": chances[:, 0] ** power, "correct": labels == 0}).to_csv(f"{name}.csv")
    return tmp_path


def frame(logits, labels, **more):
    return pd.DataFrame({**{f"logit_{place}": logits[:, place] for place in range(3)}, "label": labels, **more})


def ran(capsys, *arguments):
    assert main(["compare", *arguments]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def refused(capsys, *arguments):
    assert main(["compare", *arguments]) == 2
    return capsys.readouterr().err.strip().removeprefix("adafocal compare: ")


def test_the_first_line_names_the_better_one_and_the_table_says_by_how_much(tables, capsys):
    out = ran(capsys, "before.parquet", "after.csv")

    assert out.startswith("after is better than before in NLL, Brier score")
    assert "300 matched rows, 3 classes; calibrated event: the top label is right" in out
    assert "debiased ECE %" in out
    assert "p-value" in out
    assert "not distinguishable" in out
    assert "Rows are matched by their order." in out


def test_rows_are_matched_by_id_and_the_rest_is_counted(tables, capsys):
    out = ran(capsys, "before.parquet", "fewer.csv", "--id", "id", "--json", "out.json")

    assert "250 rows are matched by their id." in out
    assert "Rows without a partner are left out: 50 of before." in out
    assert "numbers out.json" in out
    held = json.loads((tables / "out.json").read_text())
    assert held["matched_by"] == "id"
    assert [one["left_out"] for one in held["compared"]] == [50, 0]
    assert held["files"] == {"before": ["before.parquet"], "fewer": ["fewer.csv"]}


def test_without_ids_tables_of_different_sizes_are_independent_samples(tables, capsys):
    assert "Rows are not matched (300 rows in before and 250 in fewer)" in ran(capsys, "before.parquet", "fewer.csv")
    assert "Rows are not matched, as asked." in ran(capsys, "before.parquet", "after.csv", "--unpaired")


def test_json_goes_to_standard_output_alone_and_the_rest_to_standard_error(tables, capsys):
    assert main(["compare", "before.parquet", "after.csv", "--json", "-", "--weight", "w", "--cluster", "doc"]) == 0
    printed = capsys.readouterr()

    held = json.loads(printed.out)
    assert held["compared"][0]["n_clusters"] == 30
    assert held["sentence"] in " ".join(printed.err.split())


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_nothing_is_cut_off_at_any_width(tables, capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    out = ran(capsys, "before.parquet", "after.csv", "--names", "cross-entropy", "a model with a long name")

    assert "…" not in out
    lines = out.splitlines()
    assert max(map(len, lines)) <= int(columns)
    kept = "".join("".join(lines).split())
    assert "".join(held for held in "cross-entropy" if held) in kept


def test_names_are_those_of_files_as_far_as_they_tell_them_apart(tables, capsys):
    for folder in ("a", "b"):
        (tables / folder).mkdir()
        (tables / folder / "test.v2.csv").write_bytes((tables / "after.csv").read_bytes())
    assert ran(capsys, "a/test.v2.csv", "before.parquet").startswith("before is worse than test.v2 in NLL")
    assert ran(capsys, "a/test.v2.csv", "b/test.v2.csv").startswith("b/test.v2.csv and a/test.v2.csv hold the same")
    assert ran(capsys, "after.csv", "after.csv").startswith("after.csv (2) and after.csv hold the same rows")
    assert ran(capsys, "a", "b", "before.parquet").startswith("b and a hold the same rows: no difference; before is ")


def test_names_and_baselines_are_checked(tables, capsys):
    files = ["before.parquet", "after.csv"]

    assert refused(capsys, *files, "--names", "one") == "`names` must be as many as there are tables, 2, got 1."
    assert refused(capsys, *files, "--names", "x", "x") == "`names` must be there once and not empty, got ['x', 'x']."
    assert refused(capsys, *files, "--baseline", "x") == "`baseline` must be one of before, after, got 'x'."
    assert refused(capsys, files[0]) == "`FILE` must name at least two tables, got 1."
    assert refused(capsys, *files, "--id", "id", "--unpaired") == (
        "`--id` must not be given with `--unpaired`, got 'id'."
    )
    assert refused(capsys, *files, "--n_bins", "0") == "`n_bins` must be an integer >= 1, got 0."
    assert "must not be a file that it is made from" in refused(capsys, *files, "--json", "after.csv")
    assert refused(capsys, *files, "--html", "-").startswith("`html` must name a file, got '-'")
    assert "columns must include `no`" in refused(capsys, *files, "--id", "no")
    assert ran(capsys, *files, "--baseline", "after").startswith("before is worse than after in NLL")


def test_answers_are_compared_and_not_with_predictions(tables, capsys):
    assert "surer against answers" in ran(capsys, "answers.csv", "surer.csv")
    assert refused(capsys, "answers.csv", "before.parquet").startswith(
        "tables must tell of one event, got 'the answer is right' in 'answers' and 'the top label is right' in 'before'"
    )


def test_the_event_may_be_a_class_or_a_single_column(tables, capsys):
    out = ran(capsys, "before.parquet", "after.csv", "--positive-class", "2")
    assert "calibrated event: the label is class 2" in out
    assert "mean probability minus share %" in out
    for name in ("answers", "surer"):
        held = pd.read_csv(f"{name}.csv")
        pd.DataFrame({"score": held.confidence, "label": np.where(held.correct, "spam", "ham")}).to_csv(f"{name}-s.csv")
    single = ["answers-s.csv", "surer-s.csv", "--probs", "score"]
    assert "the label is spam, by score" in ran(capsys, *single, "--positive-class", "spam")
    assert "must be a label that occurs" in refused(capsys, *single, "--positive-class", "eggs")


def test_missing_and_repeated_ids_are_refused_with_the_table(tables, capsys):
    held = pd.read_csv("after.csv")
    held.assign(id=[None, None, *held.id[2:]]).to_csv("missing.csv")
    held.assign(id=[*held.id[:2], *held.id[:298]]).to_csv("twice.csv")

    assert "no missing values, got 2 of 300 rows in missing" in refused(
        capsys, "before.parquet", "missing.csv", "--id", "id"
    )
    assert "each value once, got 2 on several rows of twice" in refused(
        capsys, "before.parquet", "twice.csv", "--id", "id"
    )


def test_several_columns_may_be_the_id(tables, capsys):
    held = pd.read_csv("after.csv")
    for name in ("one", "two"):
        held.assign(row=np.arange(300) % 10).to_csv(f"{name}.csv")

    assert "each value once" in refused(capsys, "one.csv", "two.csv", "--id", "doc")
    assert "300 rows are matched by their id." in ran(capsys, "one.csv", "two.csv", "--id", "doc,row")


def test_evaluate_says_that_it_pools_several_files(tables, capsys):
    said = "2 files are pooled into one set of rows: `adafocal compare` compares files."
    files = ["before.parquet", "after.csv"]
    assert main(["evaluate", *files, "--json", "out.json", "--html", "out.html"]) == 0

    assert said in capsys.readouterr().out
    assert said in json.loads((tables / "out.json").read_text())["notes"]
    assert said in (tables / "out.html").read_text()
    assert main(["evaluate", files[0], "--json", "out.json"]) == 0
    assert "pooled" not in capsys.readouterr().out
    assert json.loads((tables / "out.json").read_text())["notes"] == []
