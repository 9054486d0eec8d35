# SPDX-License-Identifier: Apache-2.0
"""A loss is added in four places, as docs/adding_a_loss.md says; a copy of the library gets one."""

import pytest

from copies import ROOT, copied, copy_into, pytest_of, run, write

FILE = '''# SPDX-License-Identifier: Apache-2.0
"""Eased loss: cross-entropy plus a share of the probability that is missing."""

import torch
from torch import Tensor
from typing_extensions import Unpack

from adafocal._checks import check_number
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.losses.base import ClassificationLoss, OtherOptions
from adafocal.losses.catalogue import add_loss

__all__ = ["EasedLoss"]


def eased(ce: Tensor, strength: float) -> Tensor:
    """Add a share of 1 - p."""
    return ce - strength * torch.expm1(-ce)


class EasedLoss(ClassificationLoss):
    """Cross-entropy plus a share of 1 - p; a loss for tests.

    Args:
        strength: Factor of 1 - p, >= 0; 0 is cross-entropy.

    Raises:
        ValueError: If ``strength`` is negative.

    Example:
        >>> EasedLoss(strength=1.0)(torch.tensor([[0.0, 0.0]]), torch.tensor([0]))
        tensor(1.1931)

    Reference:
        Nobody, 2026, https://example.org/eased.
    """

    def __init__(
        self, weight: Tensor | None = None, *, strength: float = 1.0, **options: Unpack[OtherOptions]
    ) -> None:
        super().__init__(weight, **options)
        check_number("strength", strength, low=0.0)
        self.strength = strength

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Compute the unreduced loss of each sample."""
        return self.modulated(lambda ce: eased(ce, self.strength), logits, labels)


add_loss(
    name="eased",
    title="Eased",
    cls=EasedLoss,
    formula="-log p + λ (1 - p)",
    paper="Nobody, arXiv:0000.00000",
    year=2026,
    use="Never.",
)
'''
TEST = """# SPDX-License-Identifier: Apache-2.0
import torch
from adafocal.losses import EasedLoss


def test_eased_loss_adds_what_is_missing_to_certainty():
    ce = torch.nn.functional.cross_entropy(logits := torch.randn(5, 3), labels := torch.arange(5) % 3, reduction="none")
    losses = EasedLoss(strength=0.5, reduction="none")(logits, labels)
    torch.testing.assert_close(losses, ce + 0.5 * (1 - torch.exp(-ce)))
"""
ROW = "| `eased` | -log p + λ (1 - p) | Never. | Nobody, arXiv:0000.00000 |\n"
LAST = "from adafocal.losses.logit_norm import *\n"
PLACES = {
    "src/adafocal/losses/eased.py": lambda _: FILE,
    "src/adafocal/losses/__init__.py": lambda text: text.replace(LAST, f"{LAST}from adafocal.losses.eased import *\n"),
    "tests/losses/test_eased.py": lambda _: TEST,
    "docs/losses.md": lambda text: text.replace("<!-- end -->\n", f"{ROW}<!-- end -->\n"),
}
CONTRACTS = ("tests/contracts/test_losses.py", "tests/contracts/test_defaults.py")


# What `scripts/generated.py`, which writes the row of the docs, writes besides: what `adafocal list` prints.
PRINTS_ANEW = """
import json
from adafocal.cli.catalogues import entries
from adafocal.cli.printed import PRINTED
held = json.loads(PRINTED.read_text("utf-8"))
held["catalogues"]["losses"] = entries("losses")
PRINTED.write_text(json.dumps(held), "utf-8")
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = copied(tmp_path_factory.mktemp("copy"), "docs/losses.md")
    for path in (ROOT / "tests" / "losses").glob("test_*.py"):
        copy_into(folder, path.relative_to(ROOT))
    write(folder, PLACES)
    printed = run(folder, "-c", PRINTS_ANEW)
    assert printed.returncode == 0, printed.stderr
    return folder


def test_the_page_names_these_four_places():
    page = (ROOT / "docs" / "adding_a_loss.md").read_text("utf-8")

    assert len(PLACES) == 4
    for name in PLACES:
        assert name.replace("eased", "NAME") in page


def test_a_loss_of_four_places_passes_every_contract(copy):
    files = ("tests/losses/test_eased.py", *CONTRACTS, "src/adafocal/losses/eased.py")
    done = pytest_of(copy, "eased or Eased or table or catalogue_holds or one_row", *files)

    assert done.returncode == 0, done.stdout[-3000:]
    n_passed = int(done.stdout.rpartition(" passed")[0].split()[-1])
    assert n_passed >= 100


def test_the_command_lists_it_and_a_study_plans_it(copy):
    listed = run(copy, "-m", "adafocal.cli", "list", "losses")
    planned = run(
        copy, "-m", "adafocal.cli", "study", "--losses", "eased", "--dry_run", "--study_dir", str(copy / "plan")
    )

    assert "\neased\n  Eased: -log p + λ (1 - p)\n  Nobody, arXiv:0000.00000 (2026)\n  Never.\n" in listed.stdout
    assert planned.returncode == 0, planned.stderr
    assert planned.stdout.startswith("1 losses x 3 seeds")


@pytest.mark.slow
def test_a_study_trains_it(copy):
    options = ("--losses", "eased", "--baseline", "eased", "--seeds", "0", "--epochs", "1", "--workers", "1")
    trained = run(copy, "-m", "adafocal.cli", "study", *options, "--study_dir", str(copy / "study"))

    assert trained.returncode == 0, trained.stderr
    assert "Eased" in trained.stdout


OMISSIONS = {
    "src/adafocal/losses/__init__.py": "losses/__init__.py",
    "tests/losses/test_eased.py": "tests/losses/test_NAME.py",
    "docs/losses.md": "python scripts/generated.py",
}


@pytest.mark.slow
@pytest.mark.parametrize("place", OMISSIONS)
def test_the_test_command_says_which_place_was_left_out(copy, place):
    path = copy / place
    added = path.read_text("utf-8")
    path.write_text((ROOT / place).read_text("utf-8") if (ROOT / place).exists() else "", "utf-8")
    done = pytest_of(copy, "catalogue_holds or one_row or of_its_own", *CONTRACTS)
    path.write_text(added, "utf-8")

    assert done.returncode == 1
    assert OMISSIONS[place] in done.stdout
