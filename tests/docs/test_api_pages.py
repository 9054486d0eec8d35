# SPDX-License-Identifier: Apache-2.0
"""Every public name is on a page of the Python interface; the site builds and asks nothing of other hosts."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import adafocal

ROOT = Path(__file__).parents[2]
API = ROOT / "docs" / "api"
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(API.glob("*.rst"))}
PARTS = sorted(
    module.name
    for module in pkgutil.iter_modules(adafocal.__path__)
    if module.name not in ("cli", "__main__") and not module.name.startswith("_")
)


def undocumented(part):
    """Give the public names of a part of the package that its page would not show."""
    page, module = PAGES.get(part, ""), importlib.import_module(f"adafocal.{part}")
    if f".. automodule:: adafocal.{part}\n   :members:\n" not in page:
        return [f"adafocal.{part}"]
    by_hand = set(re.findall(r"^\.\. py:data:: (\w+)$", page, re.MULTILINE))
    elsewhere = set(re.findall(r":exclude-members: (\w+)$", page, re.MULTILINE))
    shown = {name for name in getattr(module, "__all__", []) if documents_itself(getattr(module, name))}
    return sorted(set(getattr(module, "__all__", [])) - shown - by_hand - elsewhere)


def documents_itself(value):
    return (inspect.isclass(value) or inspect.isroutine(value)) and inspect.getdoc(value) is not None


def test_every_part_has_a_page():
    assert len(PARTS) == len(PAGES) - 1
    assert set(PARTS) | {"index"} == set(PAGES)


@pytest.mark.parametrize("part", PARTS)
def test_every_public_name_is_on_the_page_of_its_part(part):
    assert undocumented(part) == []


def test_every_name_of_the_package_itself_is_in_the_table():
    named = re.findall(r"^   \* - ``af\.(\w+)``$", PAGES["index"], re.MULTILINE)

    losses = {name for name in adafocal.__all__ if name.endswith("Loss")}
    assert "   * - ``af.FocalLoss`` and every other loss\n" in PAGES["index"]
    assert sorted(named) == sorted(set(adafocal.__all__) - losses)
    assert losses == {spec.cls.__name__ for spec in adafocal.losses.LOSSES.values()} - {"CrossEntropyLoss"}


def test_what_a_page_leaves_out_is_on_another():
    left_out = [name for page in PAGES.values() for name in re.findall(r":exclude-members: (\w+)$", page, re.MULTILINE)]

    assert sorted(left_out) == ["DataConfig", "PersistenceDiagram"]
    assert "DataConfig" in importlib.import_module("adafocal.data").__all__
    assert "PersistenceDiagram" in importlib.import_module("adafocal.topology").__all__


def test_a_missing_name_is_noticed(monkeypatch):
    monkeypatch.setitem(PAGES, "ood", PAGES["ood"].replace(".. py:data:: SCORES", ""))

    assert undocumented("ood") == ["SCORES"]


@pytest.mark.slow
def test_the_site_builds_without_warnings_holds_every_name_and_asks_nothing_of_other_hosts(tmp_path):
    from sphinx.util.inventory import InventoryFile

    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--quiet", str(ROOT / "docs"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    inventory = InventoryFile.loads((tmp_path / "objects.inv").read_bytes(), uri="")
    held = {
        name for kind in ("py:class", "py:exception", "py:function", "py:data") for name in inventory.data.get(kind, {})
    }
    names = {f"adafocal.{part}.{name}" for part in PARTS for name in public(part)}
    pages = list(tmp_path.rglob("*.html"))
    texts = [path.read_text(encoding="utf-8") for path in (*pages, *tmp_path.rglob("*.css"))]
    outside = [asked for text in texts for asked in OUTSIDE.findall(text)]

    assert names - held == {"adafocal.training.DataConfig", "adafocal.losses.PersistenceDiagram"}
    assert len(pages) >= len([*ROOT.glob("docs/*.md"), *API.glob("*.rst")])
    assert outside == []


def public(part):
    return getattr(importlib.import_module(f"adafocal.{part}"), "__all__", [])


OUTSIDE = re.compile(
    r"<(?:script|img|iframe|source)[^>]*\bsrc=[\"'](?:https?:)?//[^\"']*"
    r"|<link[^>]*\bhref=[\"'](?:https?:)?//[^\"']*"
    r"|url\([\"']?(?:https?:)?//[^)]*|@import[^;]*//[^;]*"
)


def test_a_request_to_another_host_would_be_noticed():
    asking = '<script src="https://x/a.js"><link rel=stylesheet href="//x/a.css">url(https://x/f.woff) @import "//x/b";'

    assert len(OUTSIDE.findall(asking)) == 4
    assert OUTSIDE.findall('<a href="https://x"> <script src="_static/a.js">') == []
