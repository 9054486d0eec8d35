# SPDX-License-Identifier: Apache-2.0
"""Every stage of benchmarks/gpu in miniature, on the processor, so that no minute of a GPU goes to finding a typo."""

import csv
import importlib
import io
import json
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

FOLDER = Path(__file__).parents[2] / "benchmarks" / "gpu"
TINY = ["--width", "2", "--batch-size", "16", "--epochs", "2", "--minutes", "3"]


@pytest.fixture
def stages(monkeypatch):
    """Import the scripts as they import each other."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.syspath_prepend(str(FOLDER.parent))
    yield importlib.import_module
    for name in ("evidence", "loop", "measuring", "tasks", "paired", "cifar", "newsgroups", "kernels", "glove_text"):
        sys.modules.pop(name, None)


def png(generator):
    file = io.BytesIO()
    Image.fromarray(generator.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


@pytest.fixture
def data(tmp_path):
    """Pictures and posts of noise, in the shards of the real data."""
    generator = np.random.default_rng(0)
    for part, n in (("train-00000-of-00002", 80), ("test-00000-of-00001", 40)):
        (tmp_path / "cifar10").mkdir(exist_ok=True)
        table = {"image": [png(generator) for _ in range(n)], "label": [row % 10 for row in range(n)]}
        pq.write_table(pa.table(table), tmp_path / "cifar10" / f"{part}.parquet")
        (tmp_path / "20newsgroups").mkdir(exist_ok=True)
        words = generator.choice(list("abcdefgh"), (5 * n, 40))
        table = {"text": [" ".join(row) for row in words], "label": [row % 20 for row in range(5 * n)]}
        pq.write_table(pa.table(table), tmp_path / "20newsgroups" / f"{part.replace('2', '1')}.parquet")
    (tmp_path / "glove.txt").write_text("a 0.1 0.2 0.3\nb 0.2 -0.1 0.4\n")
    return tmp_path


def table(path):
    comment, *lines = path.read_text().splitlines()
    assert {"command", "versions", "hardware", "date"} <= json.loads(comment.removeprefix("# ")).keys()
    return list(csv.DictReader(lines))


@pytest.mark.parametrize("stage", ["cifar10", "newsgroups"])
def test_a_stage_trains_measures_and_writes_what_it_found(stage, data, stages, tmp_path):
    losses = ["cross_entropy", "adafocal_predictive"]
    command = [stage, "--data", str(data), "--out", str(tmp_path / "out"), "--one-by-one", "--losses", *losses, *TINY]
    assert stages("evidence").main([*command, "--words", "30"]) == 0

    rows = table(tmp_path / "out" / f"{stage}.csv")
    kept = {(row["loss"], row["kept"]) for row in rows}
    assert kept == {(loss, epoch) for loss in losses for epoch in ("last", "refined", "accurate")}
    assert {row["epochs"] for row in rows} == {"2"}
    assert all(0 <= float(row["error"]) <= 1 and float(row["scaled_nll"]) > 0 for row in rows)
    shifted = {row["data"] for row in rows if row["auroc"]} if stage == "cifar10" else set()
    assert shifted == ({f"gaussian_noise_{severity}" for severity in (1, 3, 5)} if stage == "cifar10" else set())
    epochs = table(tmp_path / "out" / f"{stage}-epochs.csv")
    assert [row["epoch"] for row in epochs] == ["0", "1"] * 2
    with np.load(tmp_path / "out" / f"{stage}-logits.npz") as stored:
        n = len(stored["labels.test"])
        assert stored["adafocal_predictive-0.last.test"].shape == (n, 10 if stage == "cifar10" else 20)
        found = (stored["cross_entropy-0.last.test"].argmax(1) != stored["labels.test"]).mean()
    assert found == pytest.approx(float(rows[0]["error"]), abs=1e-4)
    assert len(list((tmp_path / "out").iterdir())) == 3

    before = (tmp_path / "out" / f"{stage}-epochs.csv").read_text().splitlines()[1:]
    assert stages("evidence").main(command) == 0  # nothing is left to do
    assert (tmp_path / "out" / f"{stage}-epochs.csv").read_text().splitlines()[1:] == before


def test_kernels_are_held_against_cross_entropy(stages, tmp_path):
    assert stages("evidence").main(["kernels", "--images", "1", "--out", str(tmp_path)]) == 0

    rows = table(tmp_path / "kernels.csv")
    assert {row["step"] for row in rows} >= {"cross_entropy", "adafocal", "adafocal, chunks"}
    assert {row["time_ratio"] for row in rows if row["step"] == "cross_entropy"} == {"1"}
    assert not any(row.get("failed") for row in rows)


def small_run(stages, data, tmp_path, name, seconds):
    evidence, loop = stages("evidence"), stages("loop")
    work = tmp_path / name
    options = evidence.parsed(["cifar10", "--data", str(data), "--work", str(work), *TINY])
    work.mkdir(exist_ok=True)
    stages("cifar").prepare(options, evidence.cache_of(options))
    task = stages("cifar").make_task(options, evidence.cache_of(options), torch.device("cpu"))
    task.epochs = 4
    return loop.Trainer(task, loop.Run("adafocal_predictive", 0, work, time.time() + seconds))


class Pace:
    """Four epochs, whatever they take; afterwards so many seconds are left."""

    def __init__(self, run, left):
        self.run, self.left = run, left

    def ready(self):
        pass

    def epochs(self, seconds):
        self.run.deadline = time.time() + self.left
        return 4

    def still(self, fits):
        return fits


def test_a_stage_that_was_stopped_goes_on_as_if_it_had_not_been(data, stages, tmp_path):
    whole = small_run(stages, data, tmp_path, "whole", 600)
    whole.fit(Pace(whole.run, 600))
    broken = small_run(stages, data, tmp_path, "broken", 600)
    broken.fit(Pace(broken.run, 1))
    assert len(broken.run.history) == 2  # of four: the time was up
    broken._save()
    resumed = small_run(stages, data, tmp_path, "broken", 600)
    assert (resumed.run.planned, len(resumed.run.history)) == (4, 2)
    resumed.fit(Pace(resumed.run, 600))

    assert [row["scaled_nll"] for row in resumed.run.history] == [row["scaled_nll"] for row in whole.run.history]
    assert torch.equal(resumed.criterion.gamma, whole.criterion.gamma)
    assert [row["lr"] for row in whole.run.history] == pytest.approx([0.1, 0.1, 0.01, 0.001])


def test_a_run_that_slows_down_ends_with_its_schedule(data, stages, tmp_path, monkeypatch):
    trainer = small_run(stages, data, tmp_path, "slow", 600)
    trainer.task.epochs = 40
    pace = Pace(trainer.run, 600)
    pace.epochs = lambda seconds: 40

    def slower():
        if len(trainer.run.history) == 5:
            trainer.run.deadline = time.time() + 9.0
        time.sleep(0.2 * (len(trainer.run.history) >= 5))
        return 0.0

    monkeypatch.setattr(trainer, "_epoch", slower)
    trainer.fit(pace)
    assert 6 < len(trainer.run.history) < 40
    assert trainer.run.history[-1]["lr"] == pytest.approx(0.001)


def test_a_run_whose_time_is_up_is_measured_all_the_same(data, stages, tmp_path):
    trainer = small_run(stages, data, tmp_path, "late", 0)
    trainer.fit(Pace(trainer.run, 0))
    trainer.finish()

    assert len(trainer.run.history) == 1
    assert (tmp_path / "late" / "adafocal_predictive-0.rows.json").exists()


def test_runs_that_train_at_once_end_after_the_epochs_that_fit_for_all(stages):
    evidence, run = stages("evidence"), stages("loop").Run("adafocal", 0, Path(), time.time() + 60)

    class Number:
        value = 1_000_000

        def __init__(self):
            self.lock = threading.Lock()

        def get_lock(self):
            return self.lock

    shared = threading.Barrier(2), Number(), Number()
    paces = [evidence.Together(run, *shared) for _ in range(2)]
    found = {}

    def ask(place):
        for fits in ((38, 38), (38, 21), (38, 40)):
            found.setdefault(place, []).append(paces[place].still(fits[place]))

    threads = [threading.Thread(target=ask, args=(place,)) for place in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found[0][1:] == found[1][1:] == [21, 21]

    shared[0].abort()  # a run that failed
    assert paces[1].still(40) == 40


@pytest.mark.slow
def test_losses_that_train_at_once_take_the_same_number_of_epochs(data, stages, tmp_path):
    import subprocess

    losses = ["cross_entropy", "adafocal"]
    command = [sys.executable, str(FOLDER / "evidence.py"), "cifar10", "--data", str(data), "--losses", *losses]
    subprocess.run([*command, "--out", str(tmp_path / "out"), *TINY], check=True, capture_output=True)

    assert [row["epochs"] for row in table(tmp_path / "out" / "cifar10.csv")] == ["2"] * 12


@pytest.fixture
def more(data):
    """Digits and volumes of noise, and an encoder of random weights in half precision."""
    transformers = pytest.importorskip("transformers")
    generator = np.random.default_rng(1)
    (data / "mnist").mkdir()
    for part in ("train", "test"):
        images = generator.integers(0, 255, (60, 28, 28), dtype=np.uint8)
        np.savez(data / "mnist" / f"{part}.npz", image=images, label=np.arange(60) % 10)
    (data / "hippocampus3d").mkdir()
    volumes = {"names": np.array([f"case{place}" for place in range(60)])}
    for name in volumes["names"]:
        label = (generator.random((5, 6, 7)) > 0.7).astype(np.uint8) * generator.integers(1, 3)
        volumes |= {f"{name}_label": label.astype(np.uint8), f"{name}_image": (90 * label).astype(np.uint8)}
    np.savez(data / "hippocampus3d" / "hippocampus.npz", **volumes)
    (data / "encoder").mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"]
    (data / "encoder" / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizer(str(data / "encoder" / "vocab.txt")).save_pretrained(data / "encoder")
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = transformers.BertConfig(vocab_size=len(words), **sizes)
    transformers.BertModel(config).half().save_pretrained(data / "encoder")
    return data


def paired(data, out, *arguments):
    small = ["--images", "20", "--epochs", "2", "--minutes", "3", "--seeds", "0", "--out", str(out)]
    return ["paired", "--data", str(data), *small, *arguments]


def test_paired_runs_of_every_task_are_measured_and_not_run_again(more, stages, tmp_path):
    losses = ["adafocal_two_speed"]
    command = paired(more, tmp_path / "out", "--one-by-one", "--losses", *losses)
    assert stages("evidence").main(command) == 0

    rows = table(tmp_path / "out" / "paired.csv")
    tasks = stages("tasks").TASKS
    kept = ("last", "refined")
    assert {(row["task"], row["loss"], row["kept"]) for row in rows} == {
        (task, loss, epoch) for task in tasks for loss in losses for epoch in kept
    }
    assert {row["epochs"] for row in rows} == {"2"}
    numbers = ("error", "nll", "ece", "brier", "ece_equal_mass", "overconfidence", "aurc", "scaled_nll", "scaled_ece")
    numbers += ("scaled_aurc", "temperature", "best_error", "best_nll", "best_ece", "best_brier", "best_aurc")
    assert all(np.isfinite(float(row[name])) for row in rows for name in numbers)
    assert {row["best"] for row in rows} <= stages("measuring").SCALINGS.keys()
    voxels = [row for row in rows if row["task"] == "hippocampus"]
    assert {row["best"] for row in voxels} == {"temperature"}
    assert all(0 <= float(row["dice"]) <= 1 for row in voxels)
    epochs = table(tmp_path / "out" / "paired-epochs.csv")
    assert len(epochs) == len(tasks) * len(losses) * 2
    with np.load(tmp_path / "out" / "paired-logits-0.npz") as stored:
        assert stored["encoder/adafocal_two_speed.last.test"].shape == (20, 20)
        assert len(stored["mnist/labels.validation"]) == 20

    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "gpu-work-paired").rglob("*.json")}
    assert stages("evidence").main(command) == 0
    assert before == {path.name: path.stat().st_mtime_ns for path in (tmp_path / "gpu-work-paired").rglob("*.json")}


def test_voxels_are_rows_and_those_of_padding_do_not_count(more, stages, tmp_path, monkeypatch):
    evidence, loop, runs = stages("evidence"), stages("loop"), stages("paired")
    shapes = []

    def measure(test, *, fitted_on):
        shapes.append((fitted_on.logits.shape, test.logits.shape))
        return stages("measuring").thorough_of_voxels(test, fitted_on=fitted_on)

    monkeypatch.setattr(runs, "thorough_of_voxels", measure)
    options = evidence.parsed(paired(more, tmp_path / "out", "--tasks", "hippocampus"))
    (options.work / "hippocampus").mkdir(parents=True)
    runs.prepare(options, runs.Job("hippocampus", 1), time.time() + 60)
    task = runs.make_task(options, runs.Job("hippocampus", 1, "adafocal"))
    assert task.parts["test"][1].shape == (20, 16, 16, 16)
    assert loop.LOSSES["adafocal"][1] == {}
    assert task.loss_args["adafocal"]["ignore_predicted"] == 0  # of every AdaFocal, whatever its rule
    runs.train(options, runs.Job("hippocampus", 1, "adafocal"), time.time() + 60)

    assert set(shapes) == {((20 * 5 * 6 * 7, 3), (20 * 5 * 6 * 7, 3))}
    assert not list(options.work.rglob("*.npz"))  # logits of all voxels are not kept


def test_foreground_and_overlap_of_voxels_are_those_of_their_definitions(stages):
    from adafocal import Predictions

    generator = torch.Generator().manual_seed(2)
    logits, labels = 2 * torch.randn(500, 3, generator=generator), torch.randint(3, (500,), generator=generator)
    some = Predictions(logits=logits, labels=labels)
    row = stages("measuring").thorough_of_voxels(some, fitted_on=some)

    predicted, confidence = logits.argmax(1), logits.softmax(1).amax(1)
    found = predicted > 0
    gap = 0.0
    for low in np.arange(15) / 15:
        inside = found & (confidence > low) & (confidence <= low + 1 / 15)
        gap += abs(float((confidence - (predicted == labels).float())[inside].sum())) / int(found.sum())
    assert row["ece_foreground"] == pytest.approx(gap, abs=1e-6)
    assert row["best_nll"] == pytest.approx(row["scaled_nll"])
    dice = [
        2 * int(((predicted == c) & (labels == c)).sum()) / int((predicted == c).sum() + (labels == c).sum())
        for c in (1, 2)
    ]
    assert row["dice"] == pytest.approx(np.mean(dice))

    nothing = Predictions(logits=torch.tensor([[3.0, 0.0, 0.0]] * 4), labels=torch.tensor([0, 0, 1, 2]))
    row = stages("measuring").thorough_of_voxels(nothing, fitted_on=nothing)
    assert np.isnan(row["ece_foreground"])  # nothing was predicted to be foreground
    assert row["dice"] == 0


def test_the_last_words_of_a_post_are_kept_and_padding_goes_in_front(data, stages, tmp_path):
    evidence, newsgroups = stages("evidence"), stages("newsgroups")
    vocabulary = ("<padding>", "<unknown>", "a", "b", "c")
    ids = newsgroups.last_words(["a b c", "c, x", ""], vocabulary=vocabulary, length=2)
    assert ids.tolist() == [[3, 4], [4, 1], [0, 0]]
    assert newsgroups.last_words(["a"], vocabulary=vocabulary, length=3).tolist() == [[0, 0, 2]]

    stored = {}
    for keep in ("first", "last"):
        command = ["newsgroups", "--data", str(data), "--words", "30", "--keep", keep]
        options = evidence.parsed([*command, "--work", str(tmp_path)])
        newsgroups.prepare(options, tmp_path / f"{keep}.pt")
        stored[keep] = torch.load(tmp_path / f"{keep}.pt")
    first, last = (stored[keep]["parts"]["test"] for keep in ("first", "last"))
    assert stored["first"]["vocabulary"] == stored["last"]["vocabulary"]
    assert torch.equal(first[1], last[1])
    assert torch.equal(first[0][:, 10:], last[0][:, :20])  # of 40 words


def test_losses_of_a_seed_share_split_first_weights_and_order(more, stages, tmp_path, monkeypatch):
    evidence, loop, runs = stages("evidence"), stages("loop"), stages("paired")
    seen = {}
    monkeypatch.setattr(loop.Trainer, "_step", watched(loop.Trainer._step, seen))
    losses = ["cross_entropy", "adafocal_predictive"]
    for task in ("20newsgroups-bydate", "encoder"):
        options = evidence.parsed(paired(more, tmp_path / "out", "--tasks", task, "--losses", *losses))
        (options.work / task).mkdir(parents=True)
        runs.prepare(options, runs.Job(task, 3), time.time() + 60)
        for loss in losses:
            runs.train(options, runs.Job(task, 3, loss), time.time() + 60)
        first, second = (seen.pop(loss) for loss in losses)
        assert len(first) == len(second) > 1
        assert all(torch.equal(one, other) for (one, _), (other, _) in zip(first, second, strict=True))
        assert torch.equal(first[0][1], second[0][1])
        assert not torch.equal(first[-1][1], second[-1][1])  # other losses, other weights in the end


def watched(step, seen):
    def watch(trainer, batch, target):
        weights = torch.cat([values.detach().flatten() for values in trainer.model.parameters()])
        seen.setdefault(trainer.run.loss, []).append((batch.clone(), weights))
        return step(trainer, batch, target)

    return watch


def test_a_paired_run_that_does_not_fit_is_not_begun_and_is_missed(more, stages, tmp_path, capsys):
    evidence, runs = stages("evidence"), stages("paired")
    arguments = ["--one-by-one", "--tasks", "mnist", "--losses", "cross_entropy", "--minutes", "0.3"]
    assert evidence.main(paired(more, tmp_path / "out", *arguments)) == 1  # 18 s, where 30 are guessed
    assert "mnist: 0 of 1 runs" in capsys.readouterr().out

    (tmp_path / "gpu-work-paired" / "mnist" / "some.seconds").write_text("1.5")  # what another took
    assert evidence.main(paired(more, tmp_path / "out", *arguments)) == 0
    assert runs.took(tmp_path / "gpu-work-paired" / "mnist", default=0.0) >= 1.5


def test_a_run_that_fails_is_told_and_the_next_goes_on_unless_the_device_is_lost(more, stages, tmp_path, monkeypatch):
    evidence, runs = stages("evidence"), stages("paired")
    arguments = ["--one-by-one", "--tasks", "digits", "--losses", "cross_entropy", "flsd53"]
    train = runs.train

    def failing(options, job, deadline):
        if job.loss == "cross_entropy":
            raise RuntimeError("CUDA error")
        train(options, job, deadline)

    monkeypatch.setattr(runs, "train", failing)
    monkeypatch.setattr(runs, "usable", lambda: True)
    assert evidence.main(paired(more, tmp_path / "out", *arguments)) == 1
    assert {row["loss"] for row in table(tmp_path / "out" / "paired.csv")} == {"flsd53"}

    monkeypatch.setattr(runs, "usable", lambda: False)
    assert evidence.main(paired(more, tmp_path / "lost" / "out", *arguments)) == 1
    assert not list((tmp_path / "lost").rglob("*.rows.json"))  # left to processes whose device works


def test_first_seeds_of_all_tasks_go_first_and_their_splits_before_them(stages):
    runs = stages("paired")
    jobs = [runs.Job("mnist", 4, "adafocal"), runs.Job("mnist", 2, "adafocal"), runs.Job("encoder", 4)]
    jobs += [runs.Job("encoder", 1, "adafocal"), runs.Job("mnist", 0)]
    assert [jobs.index(job) for job in sorted(jobs, key=lambda job: job.order)] == [4, 3, 1, 2, 0]


def test_the_best_scaling_is_the_simplest_that_cannot_be_told_from_the_best(stages):
    from adafocal import Predictions

    measuring = stages("measuring")
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(2000, 4, generator=generator)
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator).squeeze(1)
    assert measuring.best_scaling(Predictions(logits=3 * logits, labels=labels)) == "temperature"
    moved = logits + torch.tensor([1.5, 0.0, 0.0, -1.5])
    assert measuring.best_scaling(Predictions(logits=moved, labels=labels)).startswith("vector")


@pytest.mark.slow
def test_paired_runs_are_shared_out_among_processes(more, tmp_path):
    import subprocess

    arguments = paired(more, tmp_path / "out", "--tasks", "mnist", "digits", "--losses", "cross_entropy", "adafocal")
    command = [sys.executable, str(FOLDER / "evidence.py"), *arguments, "--workers", "2"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)

    assert done.stdout.count(" to train, ") == 4
    assert len(table(tmp_path / "out" / "paired.csv")) == 8


def test_vectors_of_the_package_are_written_as_lines_that_the_network_reads(stages, tmp_path, monkeypatch):
    from adafocal.models.text_cnn import word_vectors

    np.save(tmp_path / "glove_6B_50d_emb.npy", np.array([[0.25, -1.5], [3.0, 1e-4]], dtype=np.float32))
    pq.write_table(pa.table({"index": ["the", "ü"]}), tmp_path / "glove_6B_index.parquet")
    monkeypatch.setattr(sys, "argv", ["glove_text.py", str(tmp_path), str(tmp_path / "glove.txt")])
    stages("glove_text").main()

    found = word_vectors(tmp_path / "glove.txt", ("<padding>", "ü", "the"))
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.0], [3.0, 1e-4], [0.25, -1.5]]))
