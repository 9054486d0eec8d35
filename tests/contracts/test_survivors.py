# SPDX-License-Identifier: Apache-2.0
"""What is said of mutants that may survive is said of code that is there."""

import re
from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib")  # of Python 3.11
ROOT = Path(__file__).parents[2]
SURVIVORS = tomllib.loads((ROOT / "tests/mutants.toml").read_text(encoding="utf-8"))["survivor"]


def test_survivors_name_files_functions_and_lines_that_exist():
    assert len(SURVIVORS) > 100
    for entry in SURVIVORS:
        source = (ROOT / "src/adafocal" / entry["file"]).read_text(encoding="utf-8")
        name = entry["function"].rpartition(".")[2]

        assert not name or re.search(rf"(def|class) {re.escape(name)}\b", source), entry
        assert entry.get("before", "") in ["", *map(str.strip, source.splitlines())], entry
        assert entry["reason"].endswith("."), entry
