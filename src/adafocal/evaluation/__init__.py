# SPDX-License-Identifier: Apache-2.0
"""From rows of tables to measures: in memory where they fit, else as sums, here or by many workers.

===========================  ==========================================================
measure.py                   the calibration of all rows and of each group
tasks.py                     the same as independent tasks
event.py                     what is calibrated
as_json.py                   what was measured, as plain values
compare.py                   several models compared: differences with intervals, and verdicts
comparison.py                Comparison: what was found, and its first sentence
matching.py                  which rows of several tables are the same
differences.py               how far a difference scatters
whole.py                     tables that are read whole
gate.py                      limits that fail a build
monitor.py, windows.py       calibration over time, with an alarm
===========================  ==========================================================
"""
