# SPDX-License-Identifier: Apache-2.0
"""Every file that is read, changed at random with fixed seeds: the right answer, or one sentence, never more."""

import os
import warnings
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from adafocal import AdafocalError, Predictions
from adafocal.cli import main
from adafocal.data import DataConfig, load_splits
from adafocal.data.volume_files import read_cases
from adafocal.report import write_page
from adafocal.scaling import METHODS, load_scaling
from fuzz.mutate import changed_bytes, changed_json, odd_columns
from report.folders import write_run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unchecked_shapes")]
SEEDS = 150 * int(os.environ.get("FUZZ_FACTOR", "1"))  # changes per test; a factor is for hunting by hand


def made(n=40, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, 3, generator=generator)
    return Predictions(logits=logits, labels=torch.arange(n) % 3, features=torch.randn(n, 2, generator=generator))


def said(capsys, *arguments):
    """Run a command; give its status, after a look at what it says."""
    status = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert status in (0, 2), err
    if status == 2:
        assert err.count("\n") == 1, err
        assert len(err) < 5000
    assert "\x1b" not in out + err
    return status


def tried(action):
    """Do it, or give the sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return action()
    except AdafocalError as error:
        sentence = str(error)
    assert sentence
    assert "\n" not in sentence
    return sentence


def check_table(path, capsys, intact=None):
    loaded = tried(lambda: Predictions.load(path))
    status = said(capsys, "evaluate", path)
    if isinstance(loaded, Predictions):
        # Evaluation reads no features, so it may be content with more.
        assert status == 0
        assert bool(loaded.probs.isfinite().all())
        assert loaded.labels.dtype == torch.int64
        if intact is not None:  # where checksums cover it, what is read is what was written
            assert torch.equal(loaded.logits, intact.logits)
            assert torch.equal(loaded.labels, intact.labels)


@pytest.mark.parametrize("suffix", [".parquet", ".npz", ".csv"])
def test_tables_with_changed_bytes(suffix, tmp_path, capsys):
    path = tmp_path / f"p{suffix}"
    made().save(path)
    whole, intact = path.read_bytes(), made() if suffix != ".csv" else None
    for seed in range(SEEDS):
        path.write_bytes(changed_bytes(whole, np.random.default_rng(seed)))
        check_table(path, capsys, intact)


@pytest.mark.parametrize("suffix", [".parquet", ".npz", ".csv"])
def test_tables_of_odd_columns(suffix, tmp_path, capsys):
    path = tmp_path / f"p{suffix}"
    for seed in range(SEEDS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            columns = odd_columns(np.random.default_rng(seed))
        try:
            if suffix == ".npz":
                np.savez(path, **{name.replace("\x1b", "\\"): values for name, values in columns.items()})
            elif suffix == ".parquet":
                pq.write_table(pa.table({name: pa.array(values.tolist()) for name, values in columns.items()}), path)
            else:
                rows = zip(*[np.atleast_1d(values).tolist() for values in columns.values()], strict=False)
                path.write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]))
        except (pa.ArrowException, TypeError, OverflowError):
            continue  # nobody can write it
        check_table(path, capsys)


@pytest.mark.parametrize("method", ["temperature", "vector", "isotonic", "histogram", "histogram_top_label"])
def test_scalings(method, tmp_path, capsys):
    path, predictions = tmp_path / "T.json", tmp_path / "p.npz"
    made(200).save(predictions)
    METHODS[method](made(200)).save(path)
    whole = path.read_text()
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        data = changed_json(whole, rng).encode() if seed % 2 else changed_bytes(whole.encode(), rng)
        path.write_bytes(data)
        fitted = tried(lambda: load_scaling(path))
        if not isinstance(fitted, str):
            after = tried(partial(fitted.apply, made(200, seed=1)))
            assert isinstance(after, str) or bool(after.probs.isfinite().all())
        said(capsys, "scale", "apply", path, predictions, "-o", tmp_path / "out.npz")


@pytest.mark.parametrize("name", ["examples.json", "ood/made.json"])
def test_the_page_of_a_run_with_changed_records(name, tmp_path, capsys):
    run = write_run(tmp_path / "run", n=30, epochs=2, n_classes=2, examples=[{"text": "a"}, {"text": "b"}], ood=["x"])
    whole = (run / name).read_text()
    for seed in range(SEEDS // 4):
        (run / name).write_text(changed_json(whole, np.random.default_rng(seed)))
        tried(lambda: write_page(run))


def test_arrays_of_images(tmp_path):
    path = tmp_path / "data.npz"
    rng = np.random.default_rng(0)
    np.savez(path, image=rng.integers(0, 255, (60, 4, 4, 3), dtype=np.uint8), label=np.arange(60) % 3)
    whole = path.read_bytes()
    for seed in range(SEEDS):
        path.write_bytes(changed_bytes(whole, np.random.default_rng(seed)))
        tried(lambda: load_splits(DataConfig(name="other", path=str(path)), seed=0))


@pytest.mark.parametrize("kind", ["images", "texts"])
def test_tables_of_data(kind, tmp_path):
    path = tmp_path / "train.parquet"
    png = [{"bytes": picture(seed), "path": None} for seed in range(40)]
    inputs = {"image": png} if kind == "images" else {"text": [f"word {seed}" for seed in range(40)]}
    pq.write_table(pa.table({**inputs, "label": [row % 2 for row in range(40)]}), path)
    whole = path.read_bytes()
    for seed in range(SEEDS):
        path.write_bytes(changed_bytes(whole, np.random.default_rng(seed)))
        tried(lambda: load_splits(DataConfig(name="other", path=str(tmp_path)), seed=0))


def picture(seed):
    import base64

    from report.folders import png

    return base64.b64decode(png(4, seed))


def test_folders_of_images(tmp_path):
    for row in range(40):
        (tmp_path / "train" / f"{row % 2}").mkdir(parents=True, exist_ok=True)
        (tmp_path / "train" / f"{row % 2}" / f"{row}.png").write_bytes(picture(row))
    victim = tmp_path / "train" / "0" / "0.png"
    whole = victim.read_bytes()
    for seed in range(SEEDS):
        victim.write_bytes(changed_bytes(whole, np.random.default_rng(seed)))
        tried(lambda: load_splits(DataConfig(name="other", path=str(tmp_path)), seed=0))


def test_arrays_of_volumes(tmp_path):
    path = tmp_path / "volumes.npz"
    rng = np.random.default_rng(0)
    arrays = {
        "a_image": rng.normal(size=(3, 4, 5)),
        "a_label": np.zeros((3, 4, 5), dtype=int),
        "names": np.array(["a"]),
    }
    np.savez(path, **arrays)
    whole = path.read_bytes()
    for seed in range(SEEDS):
        path.write_bytes(changed_bytes(whole, np.random.default_rng(seed)))
        tried(lambda: list(read_cases(path)[0]))
