# SPDX-License-Identifier: Apache-2.0
"""The pages on what comes after training: their tables name what there is."""

import re
from pathlib import Path

from adafocal.ood import FEATURE_SCORES, SCORES
from adafocal.scaling import ARGMAX_PRESERVING, METHODS

DOCS = Path(__file__).parents[2] / "docs"


def page(name):
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def test_the_table_of_scalings_is_the_catalogue():
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| (yes|no) \|", page("scaling"), flags=re.MULTILINE)
    assert dict(rows) == {name: "yes" if name in ARGMAX_PRESERVING else "no" for name in METHODS}


def test_the_table_of_scores_is_the_catalogue():
    assert re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \| [^|]* \|$", page("ood"), flags=re.MULTILINE) == [
        *SCORES,
        *FEATURE_SCORES,
    ]
