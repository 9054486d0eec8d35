# SPDX-License-Identifier: Apache-2.0
"""A metric is its file and a line of the catalogue; the rest is generated. A copy of the library gets one."""

import json
import re

import numpy as np
import pytest

from copies import copied, pytest_of, run, today, write

FILE = '''# SPDX-License-Identifier: Apache-2.0
"""The mean drift: how far summed confidence is from summed accuracy, averaged over samples."""

import torch
from torch import Tensor

from adafocal.calibration.bins import BinStats
from adafocal.calibration.measure import PredictionMeasure


def mean_drift(cells: BinStats) -> Tensor:
    """Average the drift over the samples in ascending confidence.

    Example:
        >>> from adafocal.calibration import grid_stats
        >>> mean_drift(grid_stats(torch.tensor([0.8, 0.8]), torch.tensor([True, False])))
        tensor(0.3000, dtype=torch.float64)
    """
    drift = (cells.confidence_sum - cells.correct_sum).cumsum(0).abs()
    return (drift * cells.count).sum() / cells.count.sum().square()


MEAN_DRIFT = PredictionMeasure(
    name="mean_drift",
    title="mean drift",
    about="Mean drift of summed confidence from summed accuracy; a measure for tests.",
    compute=lambda sums: mean_drift(sums.cells),
    interval="mean_drift_interval",
    ends=lambda sums: torch.tensor([0.0, 1.0]).unbind(),
    about_ends="All that it can be.",
    in_stream="cell",
    is_the_gap=True,
)
'''
TEST = """# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from adafocal import Predictions
from adafocal.calibration import evaluate


def test_the_mean_drift_of_two_gaps_by_hand():
    probs = torch.tensor([[0.6, 0.4], [0.9, 0.1]], dtype=torch.float64)
    summary = evaluate(Predictions(probs=probs, labels=torch.tensor([0, 1])))  # drifts of -0.4 and 0.5, halved
    assert summary.mean_drift == pytest.approx((0.2 + 0.25) / 2)
"""
KS = "from adafocal.calibration.kolmogorov_smirnov import KS\n"
LINE = "from adafocal.calibration.mean_drift import MEAN_DRIFT\n"
CATALOGUE = "src/adafocal/calibration/catalogue.py"
SUMMARY, PAGE = "src/adafocal/calibration/summary.py", "docs/measuring.md"
PLACES = {
    "src/adafocal/calibration/mean_drift.py": lambda _: FILE,
    CATALOGUE: lambda text: text.replace(KS, KS + LINE),
    "tests/calibration/test_mean_drift.py": lambda _: TEST,
}
GENERATED = {SUMMARY, PAGE}
# Asked for apart: what the table of groups shows.
GROUPS = {
    "src/adafocal/measures.py": lambda text: text.replace("OF_GROUPS = _chosen(", 'OF_GROUPS = _chosen("mean_drift", ')
}
TABLES = "benchmarks/gpu/paired_tables.py"  # which the script asks for those of a page
CONTRACTS = ("tests/contracts/test_measures.py", "tests/contracts/test_measure_catalogue.py")


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = copied(tmp_path_factory.mktemp("copy"), "docs", "scripts", TABLES, "tests/report/folders.py")
    write(folder, PLACES)
    return folder


@pytest.fixture(scope="module")
def generated(copy):
    """Say what the script has written in the copy, which must run before the summary has the field."""
    done = run(copy, "scripts/generated.py")
    assert done.returncode == 0, done.stderr
    return set(re.findall(r"^(\S+) written$", done.stdout, re.MULTILINE))


@pytest.fixture(scope="module")
def evaluated(copy, generated):
    write(copy, GROUPS)
    rng = np.random.default_rng(0)
    probs = rng.dirichlet([2.0, 1.0, 1.0], 300)
    np.savez(copy / "p.npz", probs=probs, label=rng.integers(0, 3, 300), part=rng.integers(0, 2, 300))
    files = ("p.npz", "--by", "part", "--json", "p.json", "--html", "p.html")
    done = run(copy, "-m", "adafocal.cli", "evaluate", *files)
    write(copy, {name: lambda text: text for name in GROUPS})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_counts_these_edits():
    row = re.search(r"^\| a metric \| (\d+) \| (.+) \|$", today("docs/architecture.md"), re.MULTILINE)

    assert int(row[1]) == len(PLACES) + 1  # and the script
    for place in ("`calibration/`", "`calibration/catalogue.py`", "`tests/calibration/`", "`scripts/generated.py`"):
        assert place in row[2]


def test_the_script_writes_the_field_with_what_it_is_and_the_row_of_the_docs(copy, generated):
    summary, page = ((copy / name).read_text("utf-8") for name in (SUMMARY, PAGE))

    # Helps are kept as one version of the parser prints them; another's are written anew.
    assert generated - {"src/adafocal/cli/printed.json"} == GENERATED
    assert "        mean_drift: Mean drift of summed confidence from summed accuracy; a measure for tests.\n" in summary
    assert "    mean_drift: float\n    mean_drift_interval: tuple[float, float]\n\n    def " in summary  # new ones last
    added = [line for line in summary.splitlines() if "mean_drift" in line]
    assert [line for line in summary.splitlines() if line not in added] == today(SUMMARY).splitlines()
    row = "| `mean_drift` | mean drift | % | lower | `mean_drift_interval` | nearly |\n"
    assert page.replace(row, "") == today(PAGE)
    assert page.index("| `ks` |") < page.index(row) < page.index("| `rms` |")


def test_every_contract_of_measures_runs_over_it(copy, generated):
    mine = (
        "drift or entry or its_line or order_of or numbering or merge or threefold or outcome or told_apart or names_is"
    )
    files = ("tests/calibration/test_mean_drift.py", *CONTRACTS, "src/adafocal/calibration/mean_drift.py")
    done = pytest_of(copy, mine, *files)

    assert done.returncode == 0, done.stdout[-3000:]
    n_passed = int(done.stdout.rpartition(" passed")[0].split()[-1])
    assert n_passed >= 80


def test_it_is_printed_and_drawn_with_its_interval_and_for_groups(copy, evaluated):
    record = json.loads((copy / "p.json").read_text("utf-8"))
    value = f"{100 * record['mean_drift']:.2f} %"
    page = (copy / "p.html").read_text("utf-8")

    assert re.search(rf"^ *mean drift +{value} +0.00 to 100.00 %", evaluated, re.MULTILINE)
    assert record["mean_drift_interval"] == [0.0, 1.0]
    assert "mean drift %" in " ".join(evaluated.partition("2 groups")[2].split())
    assert set(record["groups"]) == {"0", "1"}
    for group in record["groups"].values():
        assert re.search(rf"\b{100 * group['mean_drift']:.2f}\b", evaluated.partition("2 groups")[2])
        assert re.search(rf"\b{100 * group['mean_drift']:.2f}\b", page)
    assert value in page
    assert page.count("ean drift") >= 2  # the table of all rows and that of groups


OMISSIONS = {CATALOGUE: "one line in calibration/catalogue.py", SUMMARY: "python scripts/generated.py"}


@pytest.mark.parametrize("place", OMISSIONS)
def test_the_contracts_say_which_edit_was_left_out(copy, generated, place):
    added = (copy / place).read_text("utf-8")
    write(copy, {place: lambda text: text})
    done = pytest_of(copy, "has_its_entry or has_its_line", CONTRACTS[0])
    (copy / place).write_text(added, "utf-8")

    assert done.returncode == 1
    assert OMISSIONS[place] in done.stdout
