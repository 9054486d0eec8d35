# SPDX-License-Identifier: Apache-2.0
"""Tables on terminals of any width, and in pipes: nothing is cut, and no two texts are shortened to the same."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from adafocal._measure import Measure, p_text
from adafocal._text import told_apart
from adafocal.cli.console import PlainConsole
from adafocal.measures import OF_GROUPS, OF_PREDICTIONS

NAMES = [f"a hospital of the north whose name is long, and longer than a line may be, ward {place}" for place in "AB"]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    rng = np.random.default_rng(0)
    probs = rng.dirichlet([1.0, 1.0, 1.0], 300)
    site = np.array([*NAMES, "south"])[rng.integers(0, 3, 300)]
    path = tmp_path_factory.mktemp("width") / "p.npz"
    np.savez(path, probs=probs, label=rng.integers(0, 3, 300), site=site)
    return path


def printed(file, columns=None):
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    environment |= {"PYTHONPATH": ":".join(sys.path), "PYTHONIOENCODING": "utf-8"}
    environment |= {} if columns is None else {"COLUMNS": str(columns)}
    command = [sys.executable, "-m", "adafocal.cli", "evaluate", str(file), "--by", "site"]
    return subprocess.run(command, env=environment, capture_output=True, check=True).stdout.decode()


def squeezed(text):
    return "".join(text.split())


@pytest.mark.parametrize(
    "columns", [40, 80, None, *(pytest.param(width, marks=pytest.mark.slow) for width in (60, 240))]
)
def test_groups_are_whole_at_any_width_and_in_a_pipe(file, columns):
    text = printed(file, columns)

    # Commands are on one line, to be copied.
    lines = [line for line in text.splitlines() if not line.startswith("  adafocal ")]
    assert columns is None or max(map(len, lines)) <= columns
    assert "…" not in text
    groups = text[text.rindex("3 groups") :]
    for name in (*NAMES, "south"):
        assert name in groups if columns is None else name.split()[-1] in groups
    if columns in (40, 60, 240, None):  # a heading is on one line where columns do not share it
        for measure in OF_GROUPS.values():
            assert measure.heading in groups
    for measure in OF_PREDICTIONS.values():
        assert all(word in text for word in measure.title.split())


def test_a_pipe_holds_each_group_on_one_line(file):
    lines = printed(file).splitlines()

    for name in NAMES:
        (line,) = [line for line in lines if name in line]
        assert len(line.removeprefix(f"  {name}").split()) == 2 + len(OF_GROUPS)


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_every_table_of_the_command_tells_its_headings_apart(columns):
    headings = ["loss", *(f"AdaFocal, calibrated variant {number}" for number in range(9))]
    table = Table(title="a study")
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    table.add_row("cifar10, ResNet-50", *(f"{number}.25 ± 0.12" for number in range(9)))
    out = io.StringIO()
    PlainConsole(file=out, width=columns).print(table)

    text = squeezed(out.getvalue())
    assert all(squeezed(heading) in text for heading in headings[1:])
    assert all(f"{number}.25±0.12" in text for number in range(9))
    assert max(map(len, out.getvalue().splitlines())) <= columns


def test_a_table_that_fits_stays_a_table():
    out = io.StringIO()
    table = Table("name", "value")
    table.add_row("x", "1")
    PlainConsole(file=out, width=40).print(table)

    plain = io.StringIO()
    Console(file=plain, width=40).print(table)
    assert out.getvalue() == plain.getvalue()


def test_names_that_differ_stay_different_when_shortened():
    names = [*NAMES, "x" * 500 + "1" + "y" * 500, "x" * 500 + "2" + "y" * 500, "plain", "\u202ea", "\u202ba"]

    texts = told_apart(names)

    assert len(set(texts)) == len(names)
    assert max(map(len, texts)) <= 84
    assert texts[4] == "plain"
    assert [text[-6:] for text in texts[:2]] == ["ward A", "ward B"]


def test_p_values_print_at_the_resolution_of_the_resampling():
    tested = OF_PREDICTIONS["p_calibrated"]

    assert [tested.alone(value) for value in (0.001, 0.002, 1.0)] == ["≤ 0.001", "0.002", "1.000"]
    assert tested.text(0.001) == tested.page_text(0.001) == "≤ 0.001"
    assert (tested.alone(float("nan")), tested.page_text(float("nan"))) == ("-", "–")
    assert [p_text(value) for value in (0.0, 4e-4, 0.001, 0.0104)] == ["< 0.001", "< 0.001", "0.001", "0.010"]
    assert Measure(name="rate").alone(0.001) == "0.001"


def test_signs_that_a_plain_terminal_lacks_are_spelled_out():
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    PlainConsole(file=out, width=40).print("p ≤ 0.001, 1 ± 2")
    out.flush()

    assert out.buffer.getvalue() == b"p <= 0.001, 1 +- 2\n"
