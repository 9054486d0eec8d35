# SPDX-License-Identifier: Apache-2.0
"""What the settings of the engine do: averages of weights, stopping, selection, schedules, loggers, compilation."""

import csv
from dataclasses import replace

import pytest
import torch

from adafocal.data import Split
from adafocal.losses import FocalLoss
from adafocal.predictions import Predictions
from adafocal.recipes import RECIPES
from adafocal.training.batches import TensorBatches
from adafocal.training.checkpoints import read_checkpoint
from adafocal.training.config import OptimizerConfig, TrainConfig
from adafocal.training.optimizers import make_optimizer, make_schedule
from adafocal.training.predict import predict_with
from adafocal.training.run import build, run
from adafocal.training.trainer import make_logger

SHORT = replace(RECIPES["digits"].config, epochs=4, logger="none")


def rows(folder):
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def weights(folder, name):
    return torch.load(folder / f"checkpoints/{name}.ckpt", weights_only=True)["state_dict"]


def test_a_moving_average_of_weights_is_what_is_measured_and_kept(tmp_path):
    config = replace(SHORT, ema=0.9)
    run(config, tmp_path / "run", progress=False)
    state, saved = weights(tmp_path / "run", "last"), Predictions.load(tmp_path / "run/test.parquet")
    again = predict_with(tmp_path / "run")
    classifier = build(config)
    classifier.load_state_dict(state)
    inputs = classifier.splits.test.inputs

    assert not torch.equal(state["model.head.weight"], state["average.module.head.weight"])
    torch.testing.assert_close(saved.logits, again.logits)
    with torch.no_grad():
        torch.testing.assert_close(saved.logits, classifier.average.module(classifier.prepared(inputs, training=False)))


def test_the_average_of_weights_follows_its_formula():
    classifier = build(replace(SHORT, ema=0.75))
    start = classifier.model.head.weight.detach().clone()
    classifier.average.update_parameters(classifier.model)  # the first step takes the weights as they are
    with torch.no_grad():
        classifier.model.head.weight += 1.0
    classifier.average.update_parameters(classifier.model)

    torch.testing.assert_close(classifier.network.head.weight, start + 0.25)


def test_training_stops_once_the_monitored_metric_no_longer_falls(tmp_path):
    config = replace(SHORT, epochs=200, early_stopping=3, optimizer=replace(SHORT.optimizer, lr=0.5, weight_decay=0.0))
    run(config, tmp_path / "run", progress=False)
    nll = [float(row["val_nll"]) for row in rows(tmp_path / "run")]

    assert len(nll) < 200
    assert len(nll) - 1 - nll.index(min(nll)) == 3


def test_a_run_that_had_stopped_early_is_not_trained_on_when_its_results_are_missing(tmp_path):
    config = replace(SHORT, epochs=200, early_stopping=2, optimizer=replace(SHORT.optimizer, lr=0.5, weight_decay=0.0))
    summary = run(config, tmp_path / "run", progress=False)
    trained = len(rows(tmp_path / "run"))
    (tmp_path / "run/summary.json").unlink()

    assert run(config, tmp_path / "run", progress=False) == summary
    assert len(rows(tmp_path / "run")) == trained


def test_predictions_are_made_with_the_best_epoch_on_demand(tmp_path):
    config = replace(SHORT, loss="cross_entropy", epochs=6, select="best", monitor="val_ece")
    summary = run(config, tmp_path / "run", progress=False)
    errors = [float(row["val_ece"]) for row in rows(tmp_path / "run")]

    assert min(errors) < errors[-1]
    assert summary.validation["ece"] == pytest.approx(min(errors))
    torch.testing.assert_close(
        predict_with(tmp_path / "run").logits, Predictions.load(tmp_path / "run/test.parquet").logits
    )


def test_best_and_last_checkpoints_are_kept_and_fit_the_run(tmp_path):
    run(SHORT, tmp_path / "run", progress=False)

    for name in ("best", "last"):
        assert read_checkpoint(tmp_path / f"run/checkpoints/{name}.ckpt", build(SHORT))["epoch"] <= 3


def learning_rates(config, epochs):
    optimizer = make_optimizer(config, torch.nn.Linear(1, 1))
    schedule = make_schedule(config, optimizer, epochs=epochs)
    found = []
    for _ in range(epochs):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_the_learning_rate_falls_in_steps_or_as_a_cosine_after_a_warm_up():
    steps = OptimizerConfig(lr=1.0, milestones=(2, 4), lr_decay=0.1)
    cosine = OptimizerConfig(lr=1.0, schedule="cosine")
    half = 0.5 + 0.5 * 0.5**0.5

    assert learning_rates(steps, 5) == pytest.approx([1.0, 1.0, 0.1, 0.1, 0.01])
    assert learning_rates(replace(steps, warmup_epochs=1), 5) == pytest.approx([0.5, 1.0, 0.1, 0.1, 0.01])
    assert learning_rates(cosine, 4) == pytest.approx([1.0, half, 0.5, 1 - half])
    assert learning_rates(replace(cosine, warmup_epochs=2), 4) == pytest.approx([1 / 3, 2 / 3, 1.0, 0.5])


def test_tensorboard_gets_the_history_by_default(tmp_path):
    run(replace(SHORT, logger="tensorboard", epochs=1), tmp_path / "run", progress=False)

    (events,) = (tmp_path / "run" / "tensorboard").glob("events*")
    assert b"val_ece" in events.read_bytes()


def test_any_logger_of_lightning_is_taken_by_name(tmp_path):
    config = replace(SHORT, logger="csv", logger_args={"name": "logs"}, epochs=2)
    run(config, tmp_path / "run", progress=False)
    with (tmp_path / "run/csv/logs/version_0/metrics.csv").open() as file:
        logged = list(csv.DictReader(file))

    assert [float(row["val_nll"]) for row in logged] == [float(row["val_nll"]) for row in rows(tmp_path / "run")]


def test_loggers_that_are_unknown_or_take_other_settings_are_named(rejects, tmp_path):
    with pytest.raises(ValueError, match=r"`logger` must be one of 'none', .*'tensorboard'.*, got 'paper'"):
        make_logger(TrainConfig(logger="paper"), tmp_path)
    with pytest.raises(ValueError, match=r"`logger_args` must be settings of CSVLogger, got {'nam': 'x'}: "):
        make_logger(TrainConfig(logger="csv", logger_args={"nam": "x"}), tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's compiler imports what torch deprecates
def test_a_compiled_model_trains_and_its_checkpoint_loads_uncompiled(tmp_path):
    run(replace(SHORT, compile=True, epochs=1), tmp_path / "run", progress=False)

    torch.testing.assert_close(
        predict_with(tmp_path / "run").logits, Predictions.load(tmp_path / "run/test.parquet").logits
    )


def test_a_run_may_go_on_on_other_devices_and_with_another_logger(tmp_path):
    run(replace(SHORT, epochs=1), tmp_path / "run", progress=False)

    run(replace(SHORT, epochs=1, logger="csv", accelerator="auto"), tmp_path / "run", progress=False)


def test_settings_that_do_not_go_together_are_refused(rejects):
    with rejects(ValueError, "`ema` must be a number >= 0 and < 1, got 1.0."):
        TrainConfig(ema=1.0)
    with rejects(ValueError, "`ema` must be null where `strategy` shards the weights, got 0.9."):
        TrainConfig(ema=0.9, strategy="fsdp")
    with rejects(TypeError, "`devices` must be an integer >= 1, got 'all'."):
        TrainConfig(devices="all")


def split(n):
    return Split(torch.arange(n).float().unsqueeze(1), torch.arange(n), torch.arange(n))


@pytest.mark.parametrize("n_ranks", [1, 2, 3, 5])
@pytest.mark.parametrize("n", [5, 8, 41, 48])
def test_measuring_shares_out_every_sample_once_in_equally_many_batches(n, n_ranks):
    shares = [TensorBatches(split(n), 8, rank=rank, n_ranks=n_ranks) for rank in range(n_ranks)]
    batches = [[labels for _, labels in share] for share in shares]

    assert {len(found) for found in batches} == {len(share) for share in shares} == {-(-n // 8)}
    assert all(len(labels) > 0 for found in batches for labels in found)
    assert sorted(torch.cat([labels for found in batches for labels in found]).tolist()) == list(range(n))


@pytest.mark.parametrize("n_ranks", [1, 2, 3])
def test_training_batches_are_the_same_for_any_number_of_processes(n_ranks):
    alone = [set(labels.tolist()) for _, labels in TensorBatches(split(41), 8, shuffle_seed=7, whole_batches=True)]
    shares = [
        TensorBatches(split(41), 8, shuffle_seed=7, rank=rank, n_ranks=n_ranks, whole_batches=True)
        for rank in range(n_ranks)
    ]
    together = [set(torch.cat([labels for _, labels in parts]).tolist()) for parts in zip(*shares, strict=True)]

    assert together == alone[: len(together)]
    assert len(together) == (6 if n_ranks == 1 else 5)  # the last batch of 1 sample needs one process
    assert [shares[0].size(batch) for batch in range(len(together))] == [len(batch) for batch in together]


def test_more_processes_than_samples_are_refused(rejects):
    with rejects(
        ValueError,
        "`devices` must be at most the number of samples and of samples per batch, got 4 processes for 3 samples in "
        "batches of 8.",
    ):
        TensorBatches(split(3), 8, n_ranks=4)


def test_the_reduction_of_the_loss_sets_its_share_of_a_batch(monkeypatch):
    classifier = build(replace(SHORT, batch_size=10))
    logits, labels = torch.randn(4, 10), torch.arange(4)
    classifier._trainer = type("Trainer", (), {"world_size": 2})()
    classifier._train_batches = TensorBatches(split(10), 10, whole_batches=True, n_ranks=2)
    monkeypatch.setattr(classifier, "forward", lambda inputs: logits)
    for reduction, factor in (("mean", 0.8), ("sum", 2.0)):
        classifier.loss = FocalLoss(gamma=2.0, reduction=reduction)

        torch.testing.assert_close(
            classifier.training_step((logits, labels), 0), factor * classifier.loss(logits, labels)
        )


@pytest.mark.parametrize(("limit", "place"), [(4 * 2**30, "meta"), (1000, "cpu")])
def test_a_decoded_data_set_that_is_small_enough_moves_to_the_accelerator(limit, place, monkeypatch):
    classifier = build(SHORT)
    strategy = type("Strategy", (), {"root_device": torch.device("meta")})()  # stands for any accelerator
    classifier._trainer = type("Trainer", (), {"strategy": strategy})()
    monkeypatch.setattr("adafocal.training.classifier.DEVICE_BYTES", limit)
    classifier.setup("fit")

    for part in classifier.splits.parts.values():
        assert part.inputs.device.type == part.labels.device.type == place
        assert part.index.device.type == "cpu"
