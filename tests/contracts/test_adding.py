# SPDX-License-Identifier: Apache-2.0
"""Adding things takes the edits that docs/architecture.md counts: each test adds a throw-away one by them alone.

A loss and a metric have files of their own, because they are added to a copy of the library.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from adafocal import Predictions
from adafocal.cli import main
from adafocal.data import DATASETS, DatasetSpec
from adafocal.models import MLP, MODELS, ModelSpec
from adafocal.report import write_page
from adafocal.report.page import FIGURES
from adafocal.report.panels import Panel
from adafocal.scaling import catalogue as scalings
from adafocal.scaling.files import write_fitted
from report.folders import write_run

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "adafocal"


def edits(what):
    """Give how many edits the page counts, and where."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    count, where = re.findall(rf"^\| {what} \| (\d+) \| (.+) \|$", page, re.MULTILINE)[0]
    return int(count), where.split("; ")


def listed(catalogue, capsys):
    assert main(["list", catalogue]) == 0
    return [line for line in capsys.readouterr().out.splitlines() if line and not line.startswith(" ")]


def trained(tmp_path, *options):
    quick = ["--epochs", "1", "--progress", "false", "--run_dir", str(tmp_path / "run")]
    assert main(["train", *quick, *options]) == 0
    return Predictions.load(tmp_path / "run" / "test.parquet")


@pytest.mark.parametrize("what", ["a loss", "a metric", "a data set", "a model", "a scaling method", "a figure"])
def test_the_page_names_as_many_places_as_it_counts(what):
    count, where = edits(what)

    assert count == len(where) <= 5
    named = re.findall(r"`(\w+(?:/\w+)*(?:\.py|/))`", " ".join(where))
    assert named
    assert [
        name for name in named if not (ROOT / "src" / "adafocal" / name).exists() and not (ROOT / name).exists()
    ] == []


def test_a_data_set_is_one_entry(tmp_path, monkeypatch, capsys):
    assert edits("a data set")[0] == 2
    monkeypatch.setitem(DATASETS, "spots", DatasetSpec(name="spots", title="Spots", source="made here"))
    (tmp_path / "spots").mkdir()
    labels = np.arange(90) % 3
    images = (80 * labels[:, None, None] + np.random.default_rng(0).integers(0, 40, (90, 4, 4))).astype(np.uint8)
    np.savez(tmp_path / "spots" / "all.npz", image=images, label=labels)

    assert "spots" in listed("datasets", capsys)
    sizes = ["--data.train_size", "50", "--data.validation_size", "20", "--data.noise", "0"]
    predictions = trained(tmp_path, "--data.name", "spots", "--data.root", str(tmp_path), *sizes)
    assert predictions.n_classes == 3


def test_a_metric_is_named_in_its_file_and_where_fields_are_generated():
    assert edits("a metric")[0] == 4
    own = {
        "ece_sweep": "sweep",
        "smooth_ece": "smooth",
        "ks": "kolmogorov_smirnov",
        "rms_debiased": "errors",
        "ece_debiased": "errors",
        "classwise_ece": "classwise",
    }
    files = [path for path in PACKAGE.rglob("*.*") if path.suffix in (".py", ".html", ".js")]
    assert len(files) > 180
    for name, file in own.items():
        named = {path.relative_to(PACKAGE).as_posix() for path in files if re.search(rf"\b{name}\b", path.read_text())}
        assert named == {f"calibration/{file}.py", "calibration/summary.py"}, name


def test_a_figure_is_a_panel_and_a_line(tmp_path, monkeypatch):
    assert edits("a figure")[0] == 4

    def panels(losses, *, name):
        return [Panel("Throw-away", f"<svg id='{name}'></svg>", "A caption.", f"{len(losses)} losses")]

    monkeypatch.setitem(FIGURES["training"], "dots", panels)
    page = write_page(write_run(tmp_path / "run"), tmp_path / "page.html").read_text(encoding="utf-8")

    assert "<svg id='dots'></svg>" in page
    assert page.index("section-training") < page.index("Throw-away") < page.index("A caption.")


class Wide(MLP):
    """A throw-away model."""


def test_a_model_is_one_entry_and_its_row_is_generated(tmp_path, monkeypatch, capsys, generated):
    assert edits("a model")[0] == 4
    monkeypatch.setitem(MODELS, "wide", ModelSpec("wide", "Wide one", Wide, {"width": 32}))

    assert "wide" in listed("models", capsys)
    assert "| `wide` | Wide one | `width`, `depth` | 99,722 |" in generated.models()
    assert trained(tmp_path, "--model", "wide", "--model_args.depth", "1").n_classes == 10


@dataclass(frozen=True)
class Shift:
    """A throw-away scaling that adds a number to the first logit."""

    by: float

    def apply(self, predictions):
        first = nn.functional.one_hot(torch.tensor(0), predictions.n_classes)
        return Predictions(logits=predictions.logits + self.by * first, labels=predictions.labels)

    def save(self, path):
        write_fitted(path, "shift", {"by": self.by})


def test_a_scaling_method_is_a_line_to_fit_it_and_one_to_read_it(tmp_path, monkeypatch):
    assert edits("a scaling method")[0] == 4
    monkeypatch.setitem(scalings.METHODS, "shift", lambda predictions: Shift(1.5))
    monkeypatch.setitem(scalings.BUILDERS, "shift", Shift)
    before = Predictions(logits=torch.randn(20, 3), labels=torch.arange(20) % 3)
    before.save(tmp_path / "before.npz")
    fitted, after = tmp_path / "shift.json", tmp_path / "after.npz"

    assert main(["scale", "fit", str(tmp_path / "before.npz"), "--method", "shift", "-o", str(fitted)]) == 0
    assert main(["scale", "apply", str(fitted), str(tmp_path / "before.npz"), "-o", str(after)]) == 0
    added = Predictions.load(after).logits - before.logits
    torch.testing.assert_close(added, torch.tensor([1.5, 0.0, 0.0]).expand(20, 3))
