# SPDX-License-Identifier: Apache-2.0
"""What pages and recipes copy from catalogues and results is what these say."""

from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_generated_part_is_up_to_date(generated):
    files = generated.generated()

    assert len(files) == 6
    stale = [path.name for path, text in files.items() if path.read_text("utf-8") != text]
    assert stale == [], "run `python scripts/generated.py`"


def test_a_loss_that_a_page_lacks_is_noticed(generated, monkeypatch):
    monkeypatch.setattr(generated, "LOSSES", dict(list(generated.LOSSES.items())[:-1]))

    page = ROOT / "docs" / "losses.md"
    assert generated.generated()[page] != page.read_text("utf-8")


def test_the_numbers_of_a_recipe_are_those_of_its_runs(generated):
    text = generated.measured("cifar10.csv", "ResNet-18")

    rows = (ROOT / "docs" / "results" / "cifar10.csv").read_text("utf-8").splitlines()
    errors = [100 * float(row.split(",")[4]) for row in rows if ",cross_entropy," in row]
    assert len(errors) == 3
    assert f"{sum(errors) / 3:.2f} ± " in next(line for line in text.splitlines() if line.startswith("cross_entropy"))
