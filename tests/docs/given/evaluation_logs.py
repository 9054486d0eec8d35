# SPDX-License-Identifier: Apache-2.0
"""Logs of two tasks of multiple choice, of generated answers, and of Inspect."""

import shutil
from pathlib import Path

import adafocal

held = Path(adafocal.__file__).parents[2] / "tests" / "tables" / "logs"
for folder, pattern in (("logs", "samples_[ab]*"), ("answers", "samples_sums*"), ("inspect", "[st]*.*")):
    Path(folder).mkdir()
    for file in held.glob(pattern):
        shutil.copy(file, folder)
