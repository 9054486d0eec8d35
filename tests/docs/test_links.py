# SPDX-License-Identifier: Apache-2.0
"""Links and paths in the documentation lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)\s]+)\)")
PATH = re.compile(r"`((?:benchmarks|docs|examples|scripts|src|tests)/[\w./-]+)`")

PLACEHOLDER = re.compile(r"NAME|PAGE")


def slug(heading):
    """Give the anchor of a heading as GitHub and the site make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(path):
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)}


def broken(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        place, _, anchor = target.partition("#")
        path = (page.parent / place) if place else page
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path)):
            yield target


def test_pages_and_links_are_found():
    assert len(PAGES) >= 22
    assert sum(len(LINK.findall(page.read_text(encoding="utf-8"))) for page in PAGES) >= 20


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_the_page_leads_somewhere(page):
    assert list(broken(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_path_that_the_page_names_exists(page):
    named = [path for path in PATH.findall(page.read_text(encoding="utf-8")) if not PLACEHOLDER.search(path)]

    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_line_of_the_page_is_a_comment_by_mistake(page):
    """The site leaves out a line that begins with a percent sign, as one does that broke after a number."""
    assert [line for line in page.read_text(encoding="utf-8").splitlines() if line.lstrip().startswith("%")] == []


def test_a_broken_link_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One two\n[a](page.md) [b](page.md#one-two) [c](missing.md) [d](#three)\n")

    assert list(broken(page)) == ["missing.md", "#three"]
