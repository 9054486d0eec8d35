# SPDX-License-Identifier: Apache-2.0
"""What pages promise to eyes and to programs that read them aloud: measured on the style sheet and the templates."""

import itertools
import re
from importlib.resources import files

import pytest

from adafocal._text import short
from adafocal.report.html import clean, is_base64
from adafocal.report.svg import VARIABLES, drawn, series, themed

CSS = files("adafocal.report").joinpath("page.css").read_text(encoding="utf-8")
LIGHT, DARK = (dict(re.findall(r"(--[\w-]+): (#\w+)", part)) for part in re.findall(r":root \{(.*?)\}", CSS, re.S)[:2])
SERIES = [f"--series-{place}" for place in range(8)]


def luminance(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    channels = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first, second):
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_of_black_and_white_is_21():
    assert contrast("#000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["--paper", "--panel"])
def test_texts_and_lines_stand_out_from_their_ground(theme, ground):
    texts = {name: contrast(theme[name], theme[ground]) for name in ("--ink", "--soft", "--accent", "--good", "--bad")}
    lines = {name: contrast(theme[name], theme[ground]) for name in SERIES}

    assert {name: ratio for name, ratio in texts.items() if ratio < 4.5} == {}  # WCAG 2.1 AA, text
    assert {name: ratio for name, ratio in lines.items() if ratio < 3} == {}  # WCAG 2.1 AA, graphics


def test_figures_use_the_colours_of_the_light_page():
    assert {variable: colour for colour, variable in VARIABLES.items()} == {
        name: LIGHT[name] for name in VARIABLES.values()
    }


def test_24_lines_differ_in_colour_or_dashes():
    styles = [(style["color"], str(style["linestyle"])) for style in map(series, range(24))]

    assert len(set(styles)) == 24
    assert all(a[0] != b[0] and a[1] != b[1] for a, b in itertools.pairwise(styles))


@pytest.mark.parametrize("mark", ["\u202e", "\u2066", "\u200f", "\x00", "\x1b", "\ufeff", "\u2028", "\ud800"])
def test_marks_that_reorder_or_hide_text_are_replaced(mark):
    assert clean(f"a{mark}b") == "a\ufffdb"


def test_letters_of_any_script_and_joiners_are_kept():
    text = "אבג ... नि\u200dक 👩\u200d🔬 é\n"

    assert clean(text) == text


def test_a_long_name_is_cut_and_put_on_one_line():
    assert short("x" * 500) == "x" * 79 + "…"
    assert short("  two\nlines ") == "two lines"


def test_a_name_in_a_figure_is_no_formula_and_not_hidden():
    assert drawn(r"$\frac{1}{$") == r"\$\frac{1}{\$"
    assert drawn("_loss") == " _loss"


@pytest.mark.parametrize("text", ['" onerror="alert(1)', "abc def", "", "=", "a===", None, 3])
def test_only_base64_enters_an_address(text):
    assert not is_base64(text)


def test_base64_enters_an_address():
    assert is_base64("iVBORw0KGgo=")


def test_a_drawing_loses_identifiers_that_nothing_refers_to_and_digits_that_nobody_sees():
    svg = (
        '<?xml?><svg width="1pt" height="2pt"><g id="axes_1">\n <path id="m1" d="M 1.23456 2.5 \nL 3 4.005"/></g></svg>'
    )

    assert themed(svg) == (
        '<svg aria-hidden="true" focusable="false"><g><path id="m1" d="M 1.23 2.5 L 3 4.00"/></g></svg>'
    )
