# SPDX-License-Identifier: Apache-2.0
"""The page of a comparison: a sentence first, everything escaped, nothing asked of other hosts."""

import re
from html.parser import HTMLParser

import pytest
import torch

import adafocal as af
from adafocal.report.comparison_page import write_comparison_page


def records(names, n=300):
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(n, 3, generator=generator)
    labels = torch.multinomial((0.6 * logits).softmax(dim=1), 1, generator=generator)[:, 0]
    scales = torch.linspace(1, 0.5, len(names)).tolist()
    return {
        name: af.Predictions(logits=scale * logits, labels=labels) for name, scale in zip(names, scales, strict=True)
    }


class Texts(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.texts.append(data.strip())


def page_of(tmp_path, names):
    found = af.compare(records(names))
    write_comparison_page(tmp_path / "page.html", found, files={name: [f"{name}.csv"] for name in names}, command="x")
    return found, (tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_page_opens_with_the_sentence_and_shows_each_difference(tmp_path):
    found, page = page_of(tmp_path, ["before", "after"])
    main = re.search(r"<main.*", page, re.S)[0]
    texts = [text for text in Texts(main).texts if text]

    assert texts[:2] == ["after against before", found.sentence]
    assert page.count("<svg") == 4  # both in one, each for itself, risk and coverage
    assert page.count('<span class="verdict better">better</span>') == sum(
        one.verdict == "better" for one in found["after"].versus_baseline.values()
    )
    assert "https://" not in page
    assert "src=" not in page
    assert len(page) < 400_000


def test_names_are_text_whatever_they_look_like(tmp_path):
    _, page = page_of(tmp_path, ["<script>alert(1)</script>", "$x$ _\u202e", "_third & last"])

    assert "<script>alert" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert Texts(page).tags.count("script") == 1
    assert len(re.findall(r'<table id="differences-\d"', page)) == 2


def test_many_models_stay_small(tmp_path):
    _, page = page_of(tmp_path, [f"model {place}" for place in range(30)])

    assert page.count("<svg") == 26
    assert len(page) < 2_000_000


@pytest.mark.parametrize("positive", [None, 1])
def test_words_follow_the_event(tmp_path, positive):
    found = af.compare(records(["a", "b"]), positive_class=positive)
    write_comparison_page(tmp_path / "page.html", found, files={})
    page = (tmp_path / "page.html").read_text(encoding="utf-8")

    assert ("Over-confidence %" in page) == (positive is None)
    assert ("Mean probability minus share %" in page) == (positive == 1)
