# SPDX-License-Identifier: Apache-2.0
"""Tables of paired runs say what their rows say."""

import csv
import importlib
import sys
from pathlib import Path
from statistics import mean, stdev

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "gpu"
TASKS = ("mnist", "digits", "cifar10")
SHIFTS = {"cross_entropy": 0.0, "adafocal": 0.05, "adafocal_two_speed": 0.02}


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module("paired_tables")
    sys.modules.pop("paired_tables", None)


def value(script, loss, seed, measure, place):
    """One number of a run: its own for each measure and seed, and moved by the loss."""
    spread = 0.001 * ((seed * 7 + place * 3) % 5) + 0.0004 * ((seed + len(loss)) % 3)
    return 0.2 + SHIFTS[loss] + spread + (1.0 if measure in script.NATS else 0.0)


@pytest.fixture
def files(script, tmp_path):
    measures = [*script.TRAINED, *script.AFTER, *script.AFTER_BEST]
    rows = [
        {"task": task, "loss": loss, "seed": seed, "kept": kept, "epoch": 19, "epochs": 20, "data": "test"}
        | {name: value(script, loss, seed, name, place) for place, name in enumerate(measures)}
        | {"best": "matrix, 30" if seed else "temperature"}
        for task in TASKS
        for loss in SHIFTS
        for seed in range(4)
        for kept in script.EPOCHS
        if (task, loss, seed) != ("cifar10", "adafocal", 3)  # a run that is missing
    ]
    paths = [tmp_path / "first.csv", tmp_path / "second.csv"]
    for path, some in zip(paths, ([{**rows[0], "ece": 9.9}, *rows[1:20]], [rows[0], *rows[20:]]), strict=True):
        with path.open("w", newline="") as file:
            file.write("# {}\n")
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(some)
    return paths


def cells(table, task, loss):
    """Find a row of a table in which a task is named once."""
    seen = ""
    for line in table.splitlines():
        row = [cell.strip() for cell in line.strip("|").split("|")]
        seen = row[0] or seen
        if seen == task and row[1] == loss:
            return row[2:]
    raise AssertionError((task, loss, table))


def test_levels_are_means_and_deviations_and_the_last_file_counts(script, files):
    found = script.tables(script.read(files))

    ece = [value(script, "cross_entropy", seed, "ece", script.TRAINED.index("ece")) for seed in range(4)]
    row = cells(found["mnist, as trained"], "`cross_entropy`", "last")
    assert row[2] == f"{100 * mean(ece):.1f} ± {100 * stdev(ece):.1f}"
    assert row[1].startswith("1.2")  # nats are no percent
    assert (
        cells(found["mnist, after the best scaling"], "`cross_entropy`", "refined, 20")[-1] == "matrix 3, temperature 1"
    )
    assert cells(found["runs"], "CIFAR-10", "20") == ["4", "3", "4"]


def test_voxels_have_a_table_of_their_foreground(script, files):
    runs = script.read(files)
    for seeds in (seeds for key, seeds in runs.items() if key[0] == "digits"):
        for seed, row in seeds.items():
            row |= {"dice": f"{0.8 + 0.01 * seed}", "ece_foreground": "0.05", "best_ece_foreground": "0.03"}
    found = script.tables(runs)

    assert cells(found["digits, foreground"], "`adafocal`", "last")[:3] == ["81.5 ± 1.3", "5.00 ± 0.00", "3.00 ± 0.00"]
    assert "mnist, foreground" not in found


def test_differences_are_paired_and_corrected_over_the_tasks(script, files):
    from scipy import stats

    runs = script.read(files)
    place = script.TRAINED.index("ece")
    own = [
        [value(script, loss, seed, "ece", place) for seed in range(4)] for loss in ("adafocal_two_speed", "adafocal")
    ]
    test = stats.ttest_rel(*own)
    low, high = test.confidence_interval(0.95)
    found = script.compared(runs, "last", ("adafocal_two_speed", "ece"), ("adafocal", "ece"))
    assert found.keys() == {"mnist", "digits", "cifar10"}
    assert found["mnist"].mean == pytest.approx(mean(own[0]) - mean(own[1]))
    assert (found["mnist"].low, found["mnist"].high) == pytest.approx((low, high))
    alone = stats.ttest_rel(own[0][:3], own[1][:3]).pvalue  # of CIFAR-10, where a seed is missing
    assert found["mnist"].p_value == pytest.approx(max(3 * min(test.pvalue, alone), test.pvalue), rel=1e-6)
    assert found["mnist"].verdict == "better"

    row = cells(script.tables(runs)["last, minus the paper's rule"], "MNIST", "two-speed")
    assert row[2] == f"**−{abs(100 * found['mnist'].mean):.1f} [{100 * low:.1f}, {100 * high:.1f}]**".replace("-", "−")


def test_a_loss_as_trained_is_held_against_cross_entropy_scaled(script, files):
    runs = script.read(files)
    found = script.compared(runs, "last", ("adafocal", "nll"), ("cross_entropy", "best_nll"))
    places = script.TRAINED.index("nll"), len(script.TRAINED + script.AFTER) + script.AFTER_BEST.index("best_nll")
    expected = [
        value(script, "adafocal", seed, "nll", places[0]) - value(script, "cross_entropy", seed, "best_nll", places[1])
        for seed in range(4)
    ]
    assert found["digits"].mean == pytest.approx(mean(expected))

    table = script.tables(runs)["last, as trained minus cross-entropy scaled"]
    assert cells(table, "digits", "`cross_entropy`")  # cross-entropy itself, unscaled, is held against it too
    assert "| `cross_entropy` |" not in script.tables(runs)["last, scaled minus cross-entropy scaled"]


def test_goals_that_are_missed_are_bold(script, files):
    row = cells(script.tables(script.read(files))["last, goals"], "MNIST", "two-speed")
    assert not row[0].startswith("**")  # less than the paper's rule
    assert row[0].endswith(" ×")
    assert row[1].startswith("**+1.")  # 0.02 of 1.2 nats is more than a percent
    assert row[2].startswith("**+2.")


def test_arrows_of_an_overview_are_the_corrected_verdicts(script, files):
    runs = script.read(files)
    found = script.tables(runs)

    verdict = script.compared(runs, "last", ("adafocal_two_speed", "ece"), ("adafocal", "ece"))["mnist"].verdict
    assert verdict == "better"
    row = next(line for line in found["last, ECE"].splitlines() if line.startswith("| MNIST |"))
    shown = [cell.strip() for cell in row.strip("|").split("|")][1:]
    assert [cell[-1] for cell in shown[:1] + shown[2:3]] == ["↓", "↓"]
    assert shown[1] == f"{100 * mean(value(script, 'adafocal', seed, 'ece', 2) for seed in range(4)):.1f}"  # the base
    scaled = mean(value(script, "cross_entropy", seed, "best_ece", 13) for seed in range(4))
    assert shown[3] == f"{100 * scaled:.1f}\u00a0↓"
    nats = next(line for line in found["last, NLL"].splitlines() if line.startswith("| MNIST |"))
    assert "| 1.25\u00a0↑ |" in nats  # the paper's rule as trained, against cross-entropy scaled


def test_a_comparison_of_one_loss_has_no_column_for_it(script, files):
    runs = script.read(files)
    one = script.differences(runs, "last", ("adafocal", ["ece"]), ["ece"], ["adafocal_two_speed"])
    many = script.differences(runs, "last", ("adafocal", ["ece"]), ["ece"])

    assert one.splitlines()[0] == "| task | ECE |"
    assert one.splitlines()[2].split("|")[2].strip() == cells(many, "CIFAR-10", "two-speed")[0]


def test_average_ranks_stand_in_one_table(script, files):
    rows = script.tables(script.read(files))["last, ranks"].splitlines()

    assert rows[0] == "| measure | CE | paper's | two-speed | Friedman p |"
    assert rows[2].startswith("| ECE | 1.0 | 3.0 | 2.0 | 0.05 |")
    assert rows[-1].startswith("Critical difference of two ranks: ")


def test_a_page_is_filled_and_a_stale_one_is_told(script, files, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("Before\n\n<!-- generated: paired runs -->\nold\n<!-- end -->\nafter\n")
    arguments = [*map(str, files), "--page", str(page)]
    assert script.main([*arguments, "--check"]) == 1
    assert script.main(arguments) == 0
    assert script.main([*arguments, "--check"]) == 0
    text = page.read_text()
    assert text.startswith("Before\n\n<!-- generated: paired runs -->\n| task | epochs |")
    assert text.endswith("<!-- end -->\nafter\n")

    page.write_text("<!-- generated: paired nothing -->\n<!-- end -->\n")
    with pytest.raises(KeyError):
        script.main(arguments)
