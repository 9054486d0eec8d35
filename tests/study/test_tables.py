# SPDX-License-Identifier: Apache-2.0
import csv
import io
from dataclasses import replace

import pytest

from adafocal.results.comparison import ComparedExperiment, ComparedLoss, ComparedRun, Comparison, Spread
from adafocal.study.tables import TABLES, as_csv, as_latex, as_markdown, latex, make_table, markdown, write_tables


def entry(loss, title, *, error, ece, ece_scaled, temperature):
    values = {"error": error, "ece": ece, "ece_scaled": ece_scaled, "temperature": temperature}
    metrics = {name: Spread(value, 0.0) for name, value in values.items()}
    return ComparedLoss(loss=loss, title=title, runs=(ComparedRun(0, "."),), metrics=metrics, versus_baseline={})


def experiment(**more):
    return ComparedExperiment(title="", settings={}, **more)


def comparison(*, varied=({"data.noise": 0.1}, {"data.noise": 0.3}), second_data="my_data", second_model="mlp"):
    ce = entry("cross_entropy", "Cross-entropy", error=0.05, ece=0.0435, ece_scaled=0.0135, temperature=2.5)
    ada = entry("adafocal", "Ada_Focal & co", error=0.0539, ece=0.0051, ece_scaled=0.01351, temperature=1.0)
    first = experiment(name="first", varied=varied[0], dataset="digits", model="mlp", losses=(ce, ada))
    second = experiment(name="second", varied=varied[1], dataset=second_data, model=second_model, losses=(ada,))
    return Comparison("adafocal", (first, second))


def test_cells_show_before_after_and_temperature_with_the_best_of_each_in_bold():
    lines = as_markdown(make_table(comparison(), TABLES["ece"])).splitlines()

    assert lines == [
        "Test ECE in percent, before → after temperature scaling (temperature); means over seeds.",
        "",
        r"| data | network | Cross-entropy | Ada\_Focal & co |",
        "| --- | --- | ---: | ---: |",
        "| Digits | MLP | 4.35 → **1.35** (2.50) | **0.51** → **1.35** (1.00) |",
        r"| my\_data | MLP |  | 0.51 → 1.35 (1.00) |",
    ]


def test_latex_is_a_plain_tabular_with_escaped_text():
    text = as_latex(make_table(comparison(), TABLES["error"]))

    assert text.splitlines() == [
        "% Test error in percent; means over seeds.",
        r"\begin{tabular}{llrr}",
        r"\hline",
        r"data & network & Cross-entropy & Ada\_Focal \& co \\",
        r"\hline",
        r"Digits & MLP & \textbf{5.00} & 5.39 \\",
        r"my\_data & MLP &  & 5.39 \\",
        r"\hline",
        r"\end{tabular}",
    ]
    assert r"4.35 $\to$ \textbf{1.35} (2.50)" in as_latex(make_table(comparison(), TABLES["ece"]))


def test_csv_holds_plain_numbers():
    rows = list(csv.reader(io.StringIO(as_csv(make_table(comparison(), TABLES["ece"])))))

    assert rows[0][:4] == ["data", "network", "Cross-entropy: ECE %", "Cross-entropy: ECE % after T"]
    assert [float(cell) for cell in rows[1][2:]] == pytest.approx([4.35, 1.35, 2.5, 0.51, 1.351, 1.0])
    assert rows[2][2:5] == ["", "", ""]


def test_rows_of_one_data_set_and_network_are_told_apart_by_their_settings():
    table = make_table(comparison(second_data="digits"), TABLES["error"])

    assert table.labels == ["data", "network", "setting"]
    assert [labels[2] for labels, _ in table.rows] == ["data.noise 0.1", "data.noise 0.3"]


def test_what_has_a_meaning_in_the_format_is_escaped():
    assert latex(r"a_b & 50 % of $x^2$ {\#~}") == (
        r"a\_b \& 50 \% of \$x\textasciicircum{}2\$ \{\textbackslash{}\#\textasciitilde{}\}"
    )
    assert markdown("a|b*<i>") == r"a\|b\*\<i\>"


def test_every_table_is_written_in_every_format(tmp_path):
    write_tables(tmp_path / "tables", comparison())
    names = sorted(path.name for path in (tmp_path / "tables").iterdir())

    assert names == [f"{table}.{kind}" for table in ("ece", "error", "scaling") for kind in ("csv", "md", "tex")]


def test_one_loss_alone_is_not_the_best():
    alone = replace(make_table(comparison(), TABLES["error"]), losses=["Cross-entropy"])
    alone = replace(alone, rows=[(labels, row[:1]) for labels, row in alone.rows])

    assert "**" not in as_markdown(alone)
