# SPDX-License-Identifier: Apache-2.0
"""The page of a run or study, made from its files alone; and of what was measured: only lays out and draws.

===========================  ==========================================================
figures.py                   drawing functions: data and an axis in, nothing out
plots.py                     the contents of a run or experiment onto axes
segmentation_figures.py      slices, surfaces and persistence diagrams of a segmentation's cases
svg.py                       a matplotlib figure as SVG that follows light and dark
panels.py                    figures of the page, with their numbers in words
tables.py                    tables of the page
examples.py                  the most confident mistakes
html.py                      templates to a page: escaping, security policy, sorting
page.py                      write_page: one self-contained HTML file
ood_page.py                  the HTML file of what ``adafocal ood`` measured, and its sections on the page
paper.py                     write_figures: files that fit a two-column paper
comparison_page.py           the HTML file of a comparison of models
comparison_terminal.py       the same as text
evaluation_page.py           the HTML file of what was measured
terminal.py                  tables and reliability diagram as text
===========================  ==========================================================
"""

from adafocal.report.figures import (
    draw_class_reliability,
    draw_counts,
    draw_critical_difference,
    draw_curves,
    draw_gammas,
    draw_reliability,
    draw_risk_coverage,
    draw_roc,
    draw_score_histograms,
)
from adafocal.report.page import write_page
from adafocal.report.paper import write_figures

__all__ = [
    "draw_class_reliability",
    "draw_counts",
    "draw_critical_difference",
    "draw_curves",
    "draw_gammas",
    "draw_reliability",
    "draw_risk_coverage",
    "draw_roc",
    "draw_score_histograms",
    "write_figures",
    "write_page",
]
