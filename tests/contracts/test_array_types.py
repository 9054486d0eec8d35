# SPDX-License-Identifier: Apache-2.0
"""Who checks types may hand arrays to what measures, and is still told of a wrong option."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import adafocal

PROGRAM = """
import numpy as np
from torch import Tensor

from adafocal.calibration import bin_stats, brier_score, expected_calibration_error
from adafocal.metrics import CalibrationError
from adafocal.ood import auroc
from adafocal.selective import aurc

values = np.array([0.5, 0.9])
error: Tensor = expected_calibration_error(values, [True, False], sample_weight=[1, 2], n_bins=3)
brier_score([[0.5, 0.5]], [1])
bin_stats(values, values, [0.5])
aurc(values, values)
auroc(values, values)
CalibrationError().update(values, values, values)
expected_calibration_error(values, values, n_bins="three")
"""


@pytest.mark.slow
def test_a_type_checker_takes_arrays_and_refuses_wrong_options(tmp_path):
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, "utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(tmp_path), str(program)]
    source = str(Path(adafocal.__file__).parents[1])
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "MYPYPATH": source}, check=False
    )
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]

    assert len(errors) == 1, done.stdout
    assert 'Argument "n_bins" to "expected_calibration_error" has incompatible type "str"' in errors[0]
