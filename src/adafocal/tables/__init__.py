# SPDX-License-Identifier: Apache-2.0
"""Tables of predictions, wherever they lie: one reader per format, rows piece by piece, nothing guessed from values.

=============================  ==========================================================
columns.py                     which columns hold predictions, found by name
labels.py, numbers.py          what words and numbers in them mean
piece.py, assemble.py          Piece: consecutive rows in the right shapes; how it is made from columns
source.py, remote.py           where a table lies, here or elsewhere, and how it is packed
csv.py, dialect.py             text tables, by csv_arrow.py or csv_rows.py, and how they are written
jsonl.py, feather.py, npz.py,
parquet.py                     one reader per format, and the writers
lm_eval.py, inspect_ai.py      logs of language models, by rows of log_rows.py
rewrite.py                     a table anew with other predictions
arrow.py                       from Arrow's columns to arrays
read.py                        the reader for a suffix; names the file in what is raised
scan.py                        files, folders, globs and addresses to pieces
=============================  ==========================================================
"""
