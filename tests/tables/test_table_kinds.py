# SPDX-License-Identifier: Apache-2.0
"""The page of tables says what happens to at least 25 kinds of files, and it is so."""

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "table_kinds.py"


@pytest.fixture(scope="module")
def kinds():
    spec = importlib.util.spec_from_file_location("table_kinds", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["table_kinds"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["table_kinds"]


def test_the_page_tells_what_happens_to_every_kind_of_file(kinds):
    if kinds.page() != kinds.PAGE.read_text("utf-8"):
        pytest.fail("docs/tables.md is out of date: python scripts/table_kinds.py")
    assert len(kinds.KINDS) >= 25


def test_files_of_one_content_give_one_value(kinds):
    cells = [line.split(" | ")[-1] for line in kinds.PAGE.read_text("utf-8").split(kinds.BEGIN)[1].splitlines()]
    assert sum("300 rows, ECE 0.151933" in cell for cell in cells) > 25
    assert {cell[:5] for cell in cells[2 : len(kinds.KINDS) + 2]} == {"read:", "refus"}
