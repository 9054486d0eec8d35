# SPDX-License-Identifier: Apache-2.0
"""From rows of tables to measures: in memory where they fit, else as sums, here or by many workers.

===========================  ==========================================================
measure.py                   the calibration of all rows and of each group
tasks.py                     the same as independent tasks
===========================  ==========================================================
"""
