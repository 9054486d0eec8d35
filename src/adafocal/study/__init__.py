# SPDX-License-Identifier: Apache-2.0
"""Studies: a grid of recipes, settings, losses and seeds, trained, compared, and written to one folder.

===========================  ==========================================================
plan.py                      Study: which experiments and runs, and where each lives
execute.py                   run what is missing, resume what was cut
overview.py                  what a terminal shows meanwhile: runs that ended, time to go
statistics.py                mean, spread, and paired differences with a verdict
ranks.py                     average ranks across experiments, critical difference
result.py                    a finished run, and the same after its best scaling
results.py                   results.csv and comparison.json
compare.py                   finished studies and runs against one another
losses.py                    what the names of its losses stand for, with arguments
best_scaling.py              the best scaling after training, as a rival of the losses
latex.py                     text that LaTeX compiles
tables.py                    the papers' tables as CSV, LaTeX and Markdown
terminal.py                  plan and comparison as a terminal shows them
===========================  ==========================================================
"""
