# SPDX-License-Identifier: Apache-2.0
"""Tables of predictions in files: one reader per format, rows piece by piece, nothing guessed from values.

===========================  ==========================================================
columns.py                   which columns hold predictions, found by name
piece.py                     Piece: consecutive rows in the right shapes; the errors of rows
csv.py, npz.py, parquet.py   one reader per format, and a writer of the last two
read.py                      the reader for a suffix; names the file in what is raised
scan.py                      files, folders and globs to pieces
===========================  ==========================================================
"""
