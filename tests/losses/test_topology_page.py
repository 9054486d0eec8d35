# SPDX-License-Identifier: Apache-2.0
"""The code of the page about segmentation runs as it stands."""

import re
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import torch

pytest.importorskip("cripser", reason="needs the extra topology")
pytest.importorskip("ot", reason="needs the extra topology")
pytest.importorskip("torchmetrics", reason="needs the extra train")

from adafocal.losses import persistence_diagram

PAGE = (Path(__file__).parents[2] / "docs" / "segmentation.md").read_text(encoding="utf-8")


def test_the_code_of_the_page_runs():
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names: dict[str, object] = {}
    exec("\n".join(blocks), names)

    assert len(blocks) == 8
    assert 0 <= float(names["pooled_ece"]) <= 1
    assert float(names["mean_ace"]) == pytest.approx(names["found"].ace.value)
    assert int(names["stats"].count.sum()) > 0
    assert torch.isfinite(names["loss"])
    assert names["components"] >= 1


@pytest.mark.data
@pytest.mark.parametrize("label", [1, 2])
def test_components_of_real_masks_are_those_of_scipy(data_root, label):
    masks = load_masks(data_root, n=12)
    counts = [persistence_diagram(torch.from_numpy(mask == label).float()).betti(0.5)[0] for mask in masks]

    assert counts == [scipy.ndimage.label(mask == label)[1] for mask in masks]
    assert len(counts) == 12


def load_masks(data_root, n):
    files = sorted((data_root / "hippocampus3d").glob("*.npz"))
    if not files:
        pytest.skip("no hippocampus3d")
    with np.load(files[0], allow_pickle=False) as arrays:
        return [arrays[name] for name in sorted(arrays.files) if name.endswith("_label")][:n]
