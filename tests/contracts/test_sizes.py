# SPDX-License-Identifier: Apache-2.0
"""A file has one idea and under 300 lines; a function under 40 lines of code."""

import ast
import os
from pathlib import Path

import adafocal

PACKAGE = Path(adafocal.__file__).parent
LONG_FILES: dict[str, str] = {}  # path: since when, and why
LONG_FUNCTIONS: dict[str, str] = {}


def code_lines(function: ast.FunctionDef) -> int:
    """Count the lines of the body that hold code, without the docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return len({line for node in body for part in ast.walk(node) if hasattr(part, "lineno") for line in (part.lineno,)})


def test_files_stay_under_300_lines():
    paths = list(PACKAGE.rglob("*.py"))
    long = {str(path.relative_to(PACKAGE)) for path in paths if len(path.read_text("utf-8").splitlines()) > 300}

    assert len(paths) == n_python_files(PACKAGE)
    assert long == set(LONG_FILES)


def n_python_files(folder):
    """Count without the search that is under test."""
    return sum(name.endswith(".py") for _, _, names in os.walk(folder) for name in names)


def test_functions_stay_under_40_lines_of_code():
    long = {
        f"{path.relative_to(PACKAGE)}:{node.name}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and code_lines(node) > 40
    }

    assert long == set(LONG_FUNCTIONS)


def test_every_file_names_its_licence():
    folders = [PACKAGE.parents[1] / folder for folder in ("src", "tests", "benchmarks", "examples", "scripts", "docs")]
    paths = [path for folder in folders for path in folder.rglob("*.py")]

    assert len(paths) == sum(map(n_python_files, folders))
    assert [
        str(path) for path in paths if not path.read_text("utf-8").startswith("# SPDX-License-Identifier: Apache-2.0")
    ] == []


def test_files_of_tests_have_names_of_their_own():
    """Pytest takes two of one name in different folders for one module."""
    names = [path.name for path in (PACKAGE.parents[1] / "tests").rglob("test_*.py")]

    assert len(names) == sum(
        name.startswith("test_") and name.endswith(".py")
        for _, _, files in os.walk(PACKAGE.parents[1] / "tests")
        for name in files
    )
    assert sorted({name for name in names if names.count(name) > 1}) == []
