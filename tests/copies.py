# SPDX-License-Identifier: Apache-2.0
"""Copies of the library to which a test adds things, and what is run in them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def copied(folder, *names):
    """Copy the sources, what their contracts need, and these files or folders."""
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("tests/conftest.py", "tests/shape_checker.py", "tests/contracts", "pyproject.toml", *names):
        copy_into(folder, name)
    return folder


def copy_into(folder, name):
    made = folder / name
    made.parent.mkdir(parents=True, exist_ok=True)
    (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, made)


def write(folder, places):
    """Edit files: each place is a name and the function of the text of today that gives the new one."""
    for name, edit in places.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(edit(today(name)), "utf-8")


def today(name):
    """Read a file of the library as it is; empty where there is none."""
    return (ROOT / name).read_text("utf-8") if (ROOT / name).exists() else ""


def run(folder, *arguments):
    environment = dict(os.environ, PYTHONPATH=str(folder / "src"), COLUMNS="200")
    return subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True)


def pytest_of(folder, chosen, *files):
    options = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--doctest-modules", "-k", chosen)
    return run(folder, "-m", "pytest", *options, *files)
