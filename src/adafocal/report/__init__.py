# SPDX-License-Identifier: Apache-2.0
"""The page of a run or study, made from its files alone; and what is said of predictions in files.

===========================  ==========================================================
contents.py                  reads run and study folders
figures.py                   drawing functions: data and an axis in, nothing out
ranks_figure.py              the critical-difference diagram
segmentation_figures.py      slices, surfaces and persistence diagrams of a segmentation's cases
segmentation_table.py        overlap, distance, topology and voxel calibration as a table
svg.py                       a matplotlib figure as SVG that follows light and dark
page.py                      write_page: one self-contained HTML file
evaluation.py                measures predictions in files, in memory or as a stream
evaluation_tasks.py          the same as independent tasks, for many machines
evaluation_page.py           the HTML file of what was measured
terminal.py                  tables and reliability diagram as text
===========================  ==========================================================
"""

from adafocal.report.page import write_page

__all__ = ["write_page"]
