# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys

import pytest

import adafocal
from adafocal.cli import COMMANDS, main
from adafocal.cli.catalogues import CATALOGUES
from adafocal.cli.printed import WITHIN, help_of
from adafocal.losses import LOSSES


def test_all_names_exist_and_are_the_ones_dir_shows():
    assert [name for name in adafocal.__all__ if not hasattr(adafocal, name)] == []
    assert set(dir(adafocal)) == set(adafocal.__all__)


def test_the_names_of_the_design_are_public():
    losses = {
        "focal_loss",
        "update_gammas",
        "FocalLoss",
        "FLSDLoss",
        "InverseFocalLoss",
        "AdaFocalLoss",
    }
    calibration = {"equal_mass_edges", "equal_width_edges", "bin_stats", "BinStats", "expected_calibration_error"}

    assert losses <= set(adafocal.losses.__all__)
    assert calibration <= set(adafocal.calibration.__all__)
    assert {"AdaFocalLoss", "FLSDLoss", "FocalLoss", "InverseFocalLoss", "Predictions"} <= set(adafocal.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"^module 'adafocal' has no attribute 'AdaFocalloss'$"):
        adafocal.AdaFocalloss  # noqa: B018


def loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    assert not loaded_after("import adafocal") & {"torch", "numpy", "lightning", "matplotlib", "sklearn", "pyarrow"}


def test_the_losses_need_torch_alone():
    loaded = loaded_after("import adafocal; adafocal.AdaFocalLoss; adafocal.calibration; adafocal.Predictions")

    assert "torch" in loaded
    assert not loaded & {"lightning", "torchmetrics", "matplotlib", "sklearn", "pyarrow", "scipy", "jsonargparse"}


def test_no_loss_loads_the_compiler_before_one_of_it_is_made():
    """It is as large as torch itself."""
    loaded = loaded_after(
        "import adafocal; from adafocal.losses import *; AdaFocalLoss(); adafocal.calibration.evaluate"
    )

    assert "adafocal.losses.topology" in loaded
    assert not loaded & {"torch._dynamo", "torch._inductor", "sympy"}


def test_the_help_of_the_command_loads_nothing_heavy():
    loaded = loaded_after("from adafocal.cli import main; main(['--help'])")

    assert not loaded & {"torch", "numpy", "jsonargparse", "rich"}


def test_no_help_and_no_catalogue_loads_torch():
    lines = [[*words.split(), "--help"] for words in (*COMMANDS, *WITHIN)]
    code = (
        "import contextlib, io; from adafocal.cli import main\n"
        f"for line in {lines}:\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit): main(line)\n"
        "    assert out.getvalue().startswith('usage: '), line\n"
        f"for name in {list(CATALOGUES)}:\n"
        "    with contextlib.redirect_stdout(io.StringIO()): assert main(['list', name]) == 0\n"
    )

    assert not loaded_after(code) & {"torch", "numpy", "rich", "lightning", "pyarrow"}


@pytest.mark.parametrize("words", ["train --recipe mnist", "list more", "evaluate a.csv"])
def test_a_help_with_other_words_is_made_anew(words):
    assert help_of([*words.split(), "--help"]) is None
    assert help_of([words.split()[0], "--help"]).startswith(f"usage: adafocal {words.split()[0]}")


def test_a_catalogue_that_is_loaded_is_printed_as_it_is(monkeypatch, capsys):
    monkeypatch.setitem(LOSSES, "mine", LOSSES["mmce"])

    assert main(["list", "losses"]) == 0
    assert capsys.readouterr().out.count("\nmmce\n") == 2
