# SPDX-License-Identifier: Apache-2.0
import pickle

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
import torch.nn.functional as F
from torchmetrics import MetricCollection

from adafocal.calibration import (
    bin_stats,
    binned_error,
    equal_width_edges,
    expected_calibration_error,
    grid_stats,
    joined_equal_mass,
    top_label_from_logits,
)
from adafocal.metrics import (
    BrierScore,
    CalibrationError,
    ClasswiseCalibrationError,
    NegativeLogLikelihood,
    Overconfidence,
)

C = 5
KINDS = {
    "ece": lambda **options: CalibrationError(**options),
    "rms": lambda **options: CalibrationError(norm="l2", **options),
    "mce": lambda **options: CalibrationError(norm="max", n_bins=10, **options),
    "equal_mass": lambda **options: CalibrationError(binning="equal_mass", **options),
    "classwise": lambda **options: ClasswiseCalibrationError(n_classes=C, **options),
    "overconfidence": lambda **options: Overconfidence(**options),
    "brier": lambda **options: BrierScore(**options),
    "nll": lambda **options: NegativeLogLikelihood(**options),
}
every_metric = pytest.mark.parametrize("kind", KINDS)


def data(n=1001, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, C, generator=generator)
    return logits, torch.multinomial((0.6 * logits).softmax(dim=1), 1, generator=generator)[:, 0]


def classwise(logits, labels):
    probs = logits.softmax(dim=1)
    errors = [expected_calibration_error(probs[:, k], labels == k) for k in range(C)]
    return torch.stack(errors).mean()


def equal_mass(logits, labels):
    return binned_error(joined_equal_mass(grid_stats(*top_label_from_logits(logits, labels)), 15))


EXPECTED = {
    "ece": lambda z, y: expected_calibration_error(*top_label_from_logits(z, y)),
    "rms": lambda z, y: expected_calibration_error(*top_label_from_logits(z, y), norm="l2"),
    "mce": lambda z, y: expected_calibration_error(*top_label_from_logits(z, y), norm="max", n_bins=10),
    "equal_mass": equal_mass,
    "classwise": classwise,
    "overconfidence": lambda z, y: (z.softmax(dim=1).amax(dim=1) - (z.argmax(dim=1) == y).float()).double().mean(),
    "brier": lambda z, y: (z.softmax(dim=1) - F.one_hot(y, C)).square().sum(dim=1).mean(),
    "nll": F.cross_entropy,
}  # fmt: skip


def updated(metric, values, labels, size=250):
    for batch, batch_labels in zip(values.split(size), labels.split(size), strict=True):
        metric.update(batch, batch_labels)
    return metric


def close(actual, expected, rtol=1e-6):
    torch.testing.assert_close(actual, expected.double(), rtol=rtol, atol=1e-8)


@every_metric
def test_batches_give_the_value_of_all_samples_at_once(kind):
    logits, labels = data()
    close(updated(KINDS[kind](), logits, labels).compute(), EXPECTED[kind](logits, labels))


@every_metric
def test_probabilities_give_the_value_of_their_logits(kind):
    logits, labels = data()
    close(
        updated(KINDS[kind](inputs="probs"), logits.softmax(1), labels).compute(), EXPECTED[kind](logits, labels), 1e-5
    )


@every_metric
def test_the_state_does_not_grow(kind):
    metric = KINDS[kind]()

    def size():
        return sum(getattr(metric, name).numel() for name in metric._defaults)

    empty = size()
    updated(metric, *data())
    assert size() == empty


@every_metric
def test_merging_states_adds_the_samples(kind):
    logits, labels = data()
    first = updated(KINDS[kind](), logits[:300], labels[:300])
    first.merge_state(updated(KINDS[kind](), logits[300:], labels[300:]))
    close(first.compute(), EXPECTED[kind](logits, labels))


@every_metric
def test_calling_gives_the_value_of_the_batch_and_keeps_the_sums(kind):
    logits, labels = data()
    metric = KINDS[kind]()
    close(metric(logits[:300], labels[:300]), EXPECTED[kind](logits[:300], labels[:300]))
    close(metric(logits[300:], labels[300:]), EXPECTED[kind](logits[300:], labels[300:]))
    close(metric.compute(), EXPECTED[kind](logits, labels))


@every_metric
def test_reset_forgets(kind):
    logits, labels = data()
    metric = updated(KINDS[kind](), logits + 1, labels.flip(0))
    metric.reset()
    close(updated(metric, logits, labels).compute(), EXPECTED[kind](logits, labels))


@every_metric
def test_nothing_seen_is_undefined(kind):
    metric = KINDS[kind]()
    with pytest.warns(UserWarning, match="before the ``update`` method"):
        assert bool(metric.compute().isnan())


@every_metric
def test_pixels_count_as_samples_and_ignored_ones_do_not(kind):
    logits, labels = torch.randn(3, C, 7, 6), torch.randint(C, (3, 7, 6))
    labels[torch.rand(3, 7, 6) < 0.3] = 255
    metric = KINDS[kind](ignore_index=255)
    metric.update(logits, labels)
    kept = labels != 255
    close(metric.compute(), EXPECTED[kind](logits.movedim(1, -1)[kept], labels[kept]))


@every_metric
def test_a_batch_of_ignored_samples_counts_nothing(kind):
    logits, labels = data()
    metric = updated(KINDS[kind](), logits, labels)
    metric.update(torch.full((2, C), torch.nan), torch.full((2,), -100))
    close(metric.compute(), EXPECTED[kind](logits, labels))


@every_metric
def test_one_sample_without_batch_axis_is_taken(kind):
    logits, labels = data(1)
    metric = KINDS[kind]()
    metric.update(logits[0], labels[0])
    close(metric.compute(), EXPECTED[kind](logits, labels))


@every_metric
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_inputs_have_wide_sums(kind, dtype):
    logits, labels = data(20_000)
    metric = KINDS[kind]()
    metric.half()
    updated(metric, logits.to(dtype), labels, size=20_000)
    assert {getattr(metric, name).dtype for name in metric._defaults} == {torch.int64, torch.float64}
    close(metric.compute(), EXPECTED[kind](logits.to(dtype).float(), labels), 1e-5)


@every_metric
def test_a_metric_survives_pickling(kind):
    logits, labels = data()
    metric = pickle.loads(pickle.dumps(updated(KINDS[kind](), logits[:300], labels[:300])))
    close(updated(metric, logits[300:], labels[300:]).compute(), EXPECTED[kind](logits, labels))


@every_metric
def test_unusable_batches_are_refused_in_one_sentence(kind, rejects):
    logits, labels = data(10)
    metric = KINDS[kind]()
    with rejects(ValueError, "`labels` must be class indices in [0, 5) or -100 (ignored), got 5 at position 3."):
        metric.update(logits, labels.index_fill(0, torch.tensor([3]), 5))
    with rejects(ValueError, "`labels` must have shape (10,) for `logits` of shape (10, 5), got (9,)."):
        metric.update(logits, labels[:9])
    with rejects(TypeError, "`logits` must be a floating-point tensor, got dtype torch.int64."):
        metric.update(logits.long(), labels)
    with rejects(TypeError, "`labels` must be class indices, got class probabilities."):
        metric.update(logits, logits.softmax(dim=1))


@every_metric
def test_unusable_settings_are_refused_in_one_sentence(kind, rejects):
    with rejects(ValueError, "`inputs` must be one of 'logits', 'probs', got 'scores'."):
        KINDS[kind](inputs="scores")


def test_unusable_bins_are_refused_in_one_sentence(rejects):
    with rejects(ValueError, "`n_bins` must be an integer >= 1, got 0."):
        CalibrationError(n_bins=0)
    with rejects(ValueError, "`binning` must be one of 'equal_width', 'equal_mass', got 'uniform'."):
        CalibrationError(binning="uniform")
    with rejects(ValueError, "`norm` must be one of 'l1', 'l2', 'max', got 'l3'."):
        CalibrationError(norm="l3")
    with rejects(ValueError, "`n_classes` must be an integer >= 2, got 1."):
        ClasswiseCalibrationError(n_classes=1)
    with rejects(ValueError, "`logits` must have 3 classes, got 5."):
        ClasswiseCalibrationError(n_classes=3).update(*data(10))


def test_the_sums_are_those_of_a_reliability_diagram():
    logits, labels = data()
    confidence, correct = top_label_from_logits(logits, labels)
    stats = updated(CalibrationError(n_bins=4), logits, labels).stats()
    assert torch.equal(bin_stats(confidence, correct, equal_width_edges(4, dtype=torch.float32)).count, stats.count)


def collection():
    return MetricCollection({kind: make() for kind, make in KINDS.items()})


def test_a_collection_shares_equal_sums_and_gives_every_value():
    logits, labels = data()
    metrics = collection()
    values = updated(metrics, logits, labels).compute()
    assert any(set(group) >= {"ece", "rms"} for group in metrics.compute_groups.values())
    for kind, value in values.items():
        close(value, EXPECTED[kind](logits, labels))


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_lightning_logs_the_value_of_the_whole_epoch(tmp_path):
    lightning = pytest.importorskip("lightning")
    logits, labels = data(103)

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Identity()
            self.metrics = collection()

        def validation_step(self, batch, index):
            self.metrics.update(*batch)
            self.log_dict(self.metrics, on_epoch=True)

    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(logits, labels), batch_size=25)
    trainer = lightning.Trainer(
        accelerator="cpu", devices=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    (logged,) = trainer.validate(Module(), loader, verbose=False)
    for kind in KINDS:
        close(torch.tensor(logged[kind]).double(), EXPECTED[kind](logits, labels), 1e-5)


def run_rank(rank, n_ranks, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=n_ranks)
    logits, labels = data(101)
    metrics = updated(collection(), logits[rank::n_ranks], labels[rank::n_ranks], size=10)
    torch.save(metrics.compute(), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.parametrize("n_ranks", [pytest.param(2, marks=pytest.mark.slow), 3])
def test_ranks_of_uneven_sizes_agree_with_one_process(n_ranks, tmp_path):
    torch.multiprocessing.spawn(run_rank, args=(n_ranks, str(tmp_path)), nprocs=n_ranks)
    values = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(n_ranks)]
    logits, labels = data(101)
    for kind in KINDS:
        close(values[0][kind], EXPECTED[kind](logits, labels))
        for other in values[1:]:
            assert torch.equal(values[0][kind], other[kind])
