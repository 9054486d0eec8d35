# SPDX-License-Identifier: Apache-2.0
"""Fixtures that every test may use."""

import gc
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType

import jaxtyping
import numpy as np
import pytest
import torch

REFERENCE = Path(__file__).parent / "reference"


def pytest_collection_finish() -> None:
    """Leave what thousands of tests and the libraries hold out of garbage collection, which else takes a tenth."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def reference() -> Callable[[str], dict[str, np.ndarray]]:
    """Load arrays computed with the authors' code, by file name without suffix."""

    def load(name: str) -> dict[str, np.ndarray]:
        with np.load(REFERENCE / f"{name}.npz", allow_pickle=False) as arrays:
            return dict(arrays)

    return load


@pytest.fixture(scope="session")
def generated() -> ModuleType:
    """Load the script that writes generated tables."""
    path = Path(__file__).parents[1] / "scripts" / "generated.py"
    spec = importlib.util.spec_from_file_location("generated", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def _unchecked_shapes() -> Iterator[None]:
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def unchecked_shapes() -> Iterator[None]:
    """Switch off the shape checks that only tests have: for compilers, and to reach the library's own errors."""
    with _unchecked_shapes():
        yield


@pytest.fixture
def rejects() -> Callable[..., AbstractContextManager[None]]:
    """Expect an error whose whole message is the given sentence, as a user without shape checks would see it."""

    @contextmanager
    def expect(error: type[Exception], sentence: str) -> Iterator[None]:
        with _unchecked_shapes(), pytest.raises(error, match="^" + re.escape(sentence) + "$"):
            yield

    return expect


@pytest.fixture
def data_root() -> Path:
    """Find the real data sets, or skip."""
    for place in (os.environ.get("ADAFOCAL_DATA"), Path(__file__).parents[2] / "shared" / "data"):
        if place and Path(place).is_dir():
            return Path(place)
    pytest.skip("no real data: set ADAFOCAL_DATA")


@pytest.fixture(scope="session")
def study_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a small study once: three losses, two seeds, three epochs."""
    from adafocal.cli import main

    folder = tmp_path_factory.mktemp("studies") / "small"
    status = main(
        [
            "study",
            "--epochs",
            "3",
            "--seeds",
            "0",
            "1",
            "--baseline",
            "adafocal",
            "--study_dir",
            str(folder),
            "--workers",
            "1",
        ]
    )
    assert status == 0
    return folder


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Write a module into the working directory, which is not on Python's path, and give its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [place for place in sys.path if place not in ("", str(tmp_path))])

    def write(text: str) -> str:
        name = f"own_{abs(hash((str(tmp_path), text)))}"
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        return name

    return write
