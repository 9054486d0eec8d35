# SPDX-License-Identifier: Apache-2.0
"""What pages and recipes copy from catalogues and results is what these say."""

from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_generated_part_is_up_to_date(generated):
    files = generated.generated()

    assert len(files) == 10
    stale = [path.name for path, text in files.items() if path.read_text("utf-8") != text]
    assert stale == [], "run `python scripts/generated.py`"


def test_a_loss_that_a_page_lacks_is_noticed(generated, monkeypatch):
    monkeypatch.setattr(generated, "LOSSES", dict(list(generated.LOSSES.items())[:-1]))

    page = ROOT / "docs" / "losses.md"
    assert generated.generated()[page] != page.read_text("utf-8")


def test_a_number_of_paired_runs_that_the_page_has_otherwise_is_noticed(generated):
    text = generated.PAIRED.read_text("utf-8")
    begin = text.index("<!-- generated: paired last, ECE -->")
    row = next(line for line in text[begin:].splitlines() if line.startswith("| MNIST |"))

    assert generated.paired(text.replace(row, row.replace("|", "| 9", 2))) == text


def test_the_numbers_of_a_recipe_are_those_of_its_runs(generated):
    text = generated.measured("cifar10.csv", "ResNet-18")

    rows = (ROOT / "docs" / "results" / "cifar10.csv").read_text("utf-8").splitlines()
    errors = [100 * float(row.split(",")[4]) for row in rows if ",cross_entropy," in row]
    assert len(errors) == 3
    assert f"{sum(errors) / 3:.2f} ± " in next(line for line in text.splitlines() if line.startswith("cross_entropy"))


def test_a_field_keeps_its_place_a_new_one_comes_last_and_one_without_measure_goes(generated, monkeypatch):
    text, entries = generated.SUMMARY.read_text("utf-8"), generated.CATALOGUE
    ks, accuracy = entries["ks"], entries["accuracy"]
    fewer = {name: entry for name, entry in entries.items() if name != "ks"}
    monkeypatch.setattr(generated, "CATALOGUE", dict(reversed(fewer.items())))
    without = generated.summary(text)

    assert without == text.replace("    ks: float\n", "").replace(f"        ks: {ks.about}\n", "")
    named = {"name": "first", "interval": "ends", "about": "Long " * 30 + "words.", "about_ends": "Ends."}
    monkeypatch.setattr(generated, "CATALOGUE", {"first": replace(accuracy, **named), **fewer})
    added = generated.summary(without)
    assert "    atb: float\n    first: float\n    ends: tuple[float, float]\n\n    def " in added
    assert max(map(len, added.splitlines())) <= 120
    assert generated.summary(added) == added
