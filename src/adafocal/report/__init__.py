# SPDX-License-Identifier: Apache-2.0
"""The page of a run or study, made from its files alone.

===========================  ==========================================================
contents.py                  reads run and study folders
figures.py                   drawing functions: data and an axis in, nothing out
svg.py                       a matplotlib figure as SVG that follows light and dark
page.py                      write_page: one self-contained HTML file
===========================  ==========================================================
"""

from adafocal.report.page import write_page

__all__ = ["write_page"]
