# SPDX-License-Identifier: Apache-2.0
"""Run and study folders made from random numbers: as training and studies write them, without training."""

import base64
import io
import json
import math

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from PIL import Image

from adafocal._files import write_rows
from adafocal.calibration import expected_calibration_error
from adafocal.ood import compare_scores, comparison_record
from adafocal.predictions import Predictions
from adafocal.results.comparison import FailedRun
from adafocal.results.folder import RunFolder
from adafocal.study.results import Said, compare, read_result, write_comparison

N_BINS = 15


def predictions(n, n_classes, *, sharpness=1.5, seed=0, skill=2.0):
    """Logits that are right about as often as their softmax says, then sharpened."""
    generator = torch.Generator().manual_seed(seed)
    logits = skill * torch.randn(n, n_classes, generator=generator)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    return Predictions(logits=sharpness * logits, labels=labels)


def png(side=8, seed=0):
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")


def write_run(
    folder,
    *,
    loss="adafocal",
    seed=0,
    n=400,
    n_classes=4,
    epochs=5,
    class_names=None,
    data="made",
    sharpness=1.5,
    examples=None,
    ood=(),
):
    folder.mkdir(parents=True)
    test = predictions(n, n_classes, sharpness=sharpness, seed=seed)
    test.save(folder / "test.parquet")
    names = list(class_names or [f"class {c}" for c in range(n_classes)])
    settings = {"loss": loss, "model": "mlp", "data": {"name": data}, "epochs": epochs, "seed": seed, "n_bins": N_BINS}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True))
    provenance = {"date": "2026-11-23", "command": ["adafocal", "train"], "versions": {}, "hardware": {}, "git": None}
    (folder / "provenance.json").write_text(json.dumps(provenance))
    (folder / "summary.json").write_text(json.dumps(summary(test, loss, seed, names)))
    write_rows(folder / "metrics.csv", history(epochs, seed, adaptive=loss.startswith("adafocal")))
    if examples is not None:
        shown = [
            {"row": place, "label": 0, "predicted": 1, "confidence": 0.9, **one} for place, one in enumerate(examples)
        ]
        record = {"part": "test", "n": n, "mistakes": int((~test.correct).sum()), "examples": shown}
        (folder / "examples.json").write_text(json.dumps(record))
    if ood:
        (folder / "ood").mkdir()
        other = {name: predictions(150, n_classes, sharpness=0.5, seed=90 + seed) for name in ood}
        rows = compare_scores(test, other, scores=["msp", "energy"], n_resamples=20)
        record = {"level": 0.95, "results": [comparison_record(row) for row in rows]}
        (folder / "ood" / "made.json").write_text(json.dumps(record))
    return folder


def summary(test, loss, seed, class_names):
    confidence, correct = test.confidence, test.correct
    scores = {
        "error": 1 - float(correct.double().mean()),
        "ece": float(expected_calibration_error(confidence, correct)),
        "ece_equal_mass": float(expected_calibration_error(confidence, correct, binning="equal_mass")),
        "nll": float(F.cross_entropy(test.logits, test.labels)),
        "overconfidence": float(confidence.double().mean() - correct.double().mean()),
    }
    return {
        "loss": loss,
        "seed": seed,
        "class_names": class_names,
        "sizes": {"train": 1000, "validation": 100, "test": test.n},
        "temperature": 1.25,
        "test": scores,
        "test_scaled": {"ece": scores["ece"] / 2, "nll": scores["nll"]},
        "best_scaling": {"method": "temperature", "part": "validation", "rows": 100, "test": scores},
    }


def history(epochs, seed, *, adaptive):
    generator = np.random.default_rng(seed)
    rows = []
    for epoch in range(epochs):
        left = math.exp(-epoch / (epochs / 3)) + 0.02 * generator.random()
        row = {"epoch": epoch, "lr": 0.1, "train_loss": 2 * left, "val_error": 0.3 + 0.6 * left}
        row |= {"val_nll": 1 + left, "val_ece": 0.05 + 0.2 * left, "seconds": 0.1}
        if adaptive:
            row |= {f"gamma_{b}": 1 + epoch / epochs * math.sin(b + seed) * 3 for b in range(N_BINS)}
        rows.append(row)
    return rows


def write_study(folder, *, losses, seeds=(0, 1), experiments=("made",), titles=None, failures=(), **settings):
    """Write a study folder; more settings go to every run."""
    results = []
    for place, experiment in enumerate(experiments):
        for index, loss in enumerate(losses):
            for seed in seeds:
                run = folder / "runs" / experiment / f"{index}-s{seed}"
                write_run(run, loss=loss, seed=seed, sharpness=1 + 0.3 * index + 0.1 * place, **settings)
                results.append(read_result(RunFolder(run), experiment=experiment))
    said = {name: Said(title, {}) for name, title in zip(experiments, titles or experiments, strict=True)}
    failed = [FailedRun(**failure) for failure in failures]
    comparison = compare(results, baseline=losses[0], said=said, folder=folder, failures=failed)
    write_comparison(folder, comparison, [{"loss": result.loss, "seed": result.seed} for result in results])
    (folder / "provenance.json").write_text(json.dumps({"command": ["adafocal", "study"], "date": "2026-11-23"}))
    return folder
