# SPDX-License-Identifier: Apache-2.0
import importlib
import subprocess
import sys

import pytest

from adafocal._moved import MOVED


@pytest.mark.parametrize("old", MOVED)
def test_an_old_path_is_the_module_at_its_new_place_and_says_so(old):
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"^`{old}` has moved to `{MOVED[old]}`.$"):
        module = importlib.import_module(old)
    assert module is importlib.import_module(MOVED[old])
    assert module.__spec__.name == MOVED[old]


def test_nothing_of_our_own_takes_an_old_path():
    code = "import adafocal.cli, adafocal.study.terminal, adafocal.report, adafocal.metrics, adafocal.losses.topology"
    subprocess.run([sys.executable, "-W", "error::DeprecationWarning:adafocal", "-c", code], check=True)
