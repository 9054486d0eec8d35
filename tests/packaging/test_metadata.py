# SPDX-License-Identifier: Apache-2.0
"""The files around the package agree with each other."""

import re
from pathlib import Path

import pytest
import yaml

import adafocal

ROOT = Path(__file__).parents[2]
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def lower_bounds():
    """Give the lower bound of each requirement of the package and of its extras, but those for development."""
    required = PROJECT.split("[project]")[1].split("# What builds the documentation")[0]
    return dict(re.findall(r'"([A-Za-z][\w-]+)(?:\[\w+\])?>=([\d.]+)"', required))


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))

    assert f'\nversion = "{adafocal.__version__}"\n' in PROJECT
    assert citation["version"] == adafocal.__version__


def test_the_citation_has_what_its_format_requires_and_names_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))

    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    assert all("name" in author or "family-names" in author for author in citation["authors"])
    [paper] = [entry for entry in citation["references"] if "AdaFocal" in entry["title"]]
    assert [author["family-names"] for author in paper["authors"]] == ["Ghosh", "Schaaf", "Gormley"]
    assert (paper["type"], paper["year"]) == ("conference-paper", 2022)


def test_the_lowest_constraints_are_the_lower_bounds():
    lines = (ROOT / "constraints-lowest.txt").read_text(encoding="utf-8").lower().splitlines()
    pinned = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    bounds = {name.lower(): bound for name, bound in lower_bounds().items() if name not in ("timm",)}
    assert pinned.pop("pyparsing"), "a dependency of matplotlib's, not ours"

    assert len(bounds) == len(pinned) == sum("==" in line for line in lines) - 1
    assert bounds.keys() == pinned.keys()
    wrong = {name for name, bound in bounds.items() if not (pinned[name] + ".").startswith(bound + ".")}
    assert wrong == set()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_the_workflow_calls_make_and_pins_its_actions(path):
    text = path.read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"].values()
    steps = [step for job in jobs for step in job["steps"]]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert [step["uses"] for step in steps if not re.search(r"@v\d+\.\d+\.\d+$", step.get("uses", "@v1.0.0"))] == []
    assert [t for t in re.findall(r"\bmake ([\w-]+)", text) if f"\n{t}:" not in makefile] == []
    assert re.search(r"\bmake \w+|\.ci/run", text)
    assert all("timeout-minutes" in job for job in jobs)


def test_the_workflows_are_found():
    assert [path.stem for path in WORKFLOWS] == ["docs", "release", "tests"]
