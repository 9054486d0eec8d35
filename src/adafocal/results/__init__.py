# SPDX-License-Identifier: Apache-2.0
"""What runs and studies leave behind, read as records: for the page, the figures, comparisons and the terminal.

===========================  ==========================================================
folder.py                    RunFolder, StudyFolder: names of files, each read once
run.py                       what the files of a run hold
comparison.py                what ``comparison.json`` of a study holds
outcome.py                   what is shown of test predictions; pools over runs
contents.py                  a run or study folder as the page shows it
===========================  ==========================================================
"""
