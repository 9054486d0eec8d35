# SPDX-License-Identifier: Apache-2.0
"""Studies: a grid of losses and seeds, trained, compared, and written to one folder.

===========================  ==========================================================
plan.py                      Study: which runs, and where each lives
execute.py                   run them in worker processes, resume what was cut
statistics.py                mean, spread, and paired differences with a verdict
results.py                   results.csv and comparison.json
===========================  ==========================================================
"""
