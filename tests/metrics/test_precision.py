# SPDX-License-Identifier: Apache-2.0
"""Sums of metrics stay float64 and int64 whatever a module or a trainer is cast to."""

import pytest
import torch

from adafocal._dtypes import keeping_dtype
from metrics.test_metrics import EXPECTED, KINDS, close, data, updated

CASTS = {
    "to bfloat16": lambda module: module.to(torch.bfloat16),
    "to float16": lambda module: module.to(torch.float16),
    "to float32": lambda module: module.to(torch.float32),
    "half": lambda module: module.half(),
    "bfloat16": lambda module: module.bfloat16(),
    "float": lambda module: module.float(),
    "type": lambda module: module.type(torch.float16),
    "of a tensor": lambda module: module.to(torch.zeros(1, dtype=torch.float16)),
}
every_cast = pytest.mark.parametrize("cast", CASTS)
every_metric = pytest.mark.parametrize("kind", KINDS)


def dtypes(metric):
    defaults = {name: value.dtype for name, value in metric._defaults.items()}
    assert defaults == {name: getattr(metric, name).dtype for name in defaults}
    return {name: dtype for name, dtype in defaults.items() if not name.startswith("sums of ")}


@every_metric
@every_cast
@pytest.mark.parametrize("inside", [False, True], ids=["itself", "in a module"])
def test_a_cast_metric_keeps_its_sums_and_their_width(kind, cast, inside):
    logits, labels = data(20_000)
    metric = updated(KINDS[kind](), logits[:10_000], labels[:10_000])
    before = dtypes(metric)
    module = torch.nn.ModuleList([torch.nn.Linear(2, 2), metric]) if inside else metric
    CASTS[cast](module)
    updated(metric, logits[10_000:], labels[10_000:])

    assert set(before.values()) == {torch.int64, torch.float64}
    assert dtypes(metric) == before
    close(metric.compute(), EXPECTED[kind](logits, labels), 1e-6)
    metric.reset()
    assert dtypes(metric) == before


@every_metric
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_set_dtype_does_not_narrow_sums(kind, dtype):
    logits, labels = data(20_000)
    metric = KINDS[kind]()
    metric.set_dtype(dtype)
    close(updated(metric, logits, labels).compute(), EXPECTED[kind](logits, labels), 1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_many_half_precision_samples_keep_the_right_value(dtype):
    """In bfloat16 sums the over-confidence of this stream was 0.504 for 0.556, and the NLL infinite in float16."""
    generator = torch.Generator().manual_seed(0)
    logits = (3 * torch.randn(100_000, 5, generator=generator)).to(dtype)
    labels = torch.randint(5, (100_000,), generator=generator)
    for kind in KINDS:
        metric = KINDS[kind]().to(dtype)
        value = updated(metric, logits, labels, size=500).compute()
        close(value, EXPECTED[kind](logits.float(), labels), 1e-5)


@every_metric
def test_a_narrow_default_dtype_does_not_narrow_a_value(kind):
    logits, labels = data(5000)
    torch.set_default_dtype(torch.bfloat16)
    try:
        value = updated(KINDS[kind]().bfloat16(), logits, labels).compute()
    finally:
        torch.set_default_dtype(torch.float32)
    close(value, EXPECTED[kind](logits, labels), 1e-6)


@every_metric
@pytest.mark.parametrize("inputs", ["logits", "probs"])
def test_autocast_does_not_narrow_a_value(kind, inputs):
    logits, labels = data(5000)
    values = logits if inputs == "logits" else logits.softmax(dim=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = updated(KINDS[kind](inputs=inputs), values, labels).compute()
    close(value, EXPECTED[kind](logits, labels), 1e-5)


@pytest.mark.parametrize("precision", ["bf16-true", "16-true", "bf16-mixed"])
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_lightning_in_half_precision_logs_the_wide_value(precision, tmp_path):
    lightning = pytest.importorskip("lightning")
    logits, labels = data(4000)
    narrow = torch.bfloat16 if "bf16" in precision else torch.float16

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)
            self.metrics = torch.nn.ModuleDict({kind: make() for kind, make in KINDS.items()})

        def validation_step(self, batch, index):
            for metric in self.metrics.values():
                metric.update(*batch)

        def on_validation_epoch_end(self):
            self.values = {kind: metric.compute() for kind, metric in self.metrics.items()}

    given = logits.to(narrow) if "true" in precision else logits
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(given, labels), batch_size=100)
    trainer = lightning.Trainer(
        accelerator="cpu", devices=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, precision=precision,
    )  # fmt: skip
    module = Module()
    trainer.validate(module, loader, verbose=False)
    for kind in KINDS:
        close(module.values[kind], EXPECTED[kind](given.float(), labels), 1e-5)


def test_moving_keeps_sharing_memory_and_empty_storage():
    metric = KINDS["ece"]()
    metric.share_memory()
    assert metric.count.is_shared()
    assert metric.confidence_sum.is_shared()
    assert keeping_dtype(lambda t: t.to("meta").half())(torch.zeros(3, dtype=torch.float64)).dtype == torch.float64


EMPTY = [((0, 5), (0,)), ((0, 5, 4, 4), (0, 4, 4)), ((2, 5, 0, 4), (2, 0, 4)), ((0, 5, 2, 2, 2), (0, 2, 2, 2))]


@every_metric
@pytest.mark.parametrize("inputs", ["logits", "probs"])
@pytest.mark.parametrize(("shape", "label_shape"), EMPTY, ids=lambda value: str(value))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_an_empty_batch_changes_nothing(kind, inputs, shape, label_shape, dtype):
    empty = torch.zeros(shape, dtype=dtype), torch.zeros(label_shape, dtype=torch.int64)
    metric = KINDS[kind](inputs=inputs)
    metric.update(*empty)
    assert metric.compute().isnan()
    assert metric(*empty).isnan()
    logits, labels = data()
    updated(metric, logits if inputs == "logits" else logits.softmax(dim=1), labels)
    metric.update(*empty)
    close(metric.compute(), EXPECTED[kind](logits, labels), 1e-5)
