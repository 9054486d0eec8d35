# SPDX-License-Identifier: Apache-2.0
"""A scaling per label of a sigmoid model: rare labels lean on the others, frequent ones do not."""

import json
import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as nats

from adafocal import AdafocalError, MultilabelPredictions, Predictions
from adafocal.scaling import PerLabelScaling, fit_beta, fit_isotonic, fit_per_label, fit_platt, fit_temperature

FITS = {"platt": fit_platt, "temperature": fit_temperature, "beta": fit_beta, "isotonic": fit_isotonic}
every_fit = pytest.mark.parametrize("fit", FITS.values(), ids=FITS)


def drawn(n, seed, *, slopes=(1.5, 1.2, 1.8), rates=(0.4, 0.3, 0.05)):
    generator = torch.Generator().manual_seed(seed)
    true = 1.5 * torch.randn(n, len(rates), generator=generator) + torch.tensor(rates).logit()
    labels = (torch.rand(true.shape, generator=generator) < true.sigmoid()).long()
    return MultilabelPredictions(logits=torch.tensor(slopes) * true + 0.5, labels=labels)


@every_fit
def test_without_shrinkage_each_label_has_its_own_fit(fit):
    record = drawn(400, 0)
    scaled = fit_per_label(record, fit=fit, shrinkage=0).apply(record)
    for place in range(3):
        binary = record.of_label(place)
        torch.testing.assert_close(scaled.probs[:, place], fit(binary).apply(binary).probs[:, 1], rtol=1e-4, atol=1e-5)


@every_fit
def test_infinite_shrinkage_is_the_pooled_fit(fit):
    record = drawn(400, 0)
    fitted = fit_per_label(record, fit=fit, shrinkage=math.inf)
    pooled = record.pooled()
    torch.testing.assert_close(
        fitted.apply(record).probs.flatten(), fit(pooled).apply(pooled).probs[:, 1], rtol=1e-4, atol=1e-5
    )
    assert fitted.takes_pooled == ("0", "1", "2")


def test_others_count_as_so_many_rarer_outcomes():
    # Isotonic fits of a constant score are shares: (own positives + prior's) over (own entries + prior's).
    logits, labels = torch.zeros(40, 2), torch.zeros(40, 2).long()
    labels[:4, 0], labels[:10, 1] = 1, 1
    record = MultilabelPredictions(logits=logits, labels=labels)
    scaled = fit_per_label(record, fit=fit_isotonic, shrinkage=5).apply(record)
    assert scaled.probs[0].tolist() == pytest.approx([(4 + 5) / (40 + 20), (10 + 5) / (40 + 50)])
    weighted = MultilabelPredictions(logits=logits, labels=labels, weight=torch.full((40,), 2.0))
    scaled = fit_per_label(weighted, fit=fit_isotonic, shrinkage=5).apply(weighted)
    assert scaled.probs[0].tolist() == pytest.approx([(8 + 5) / (80 + 20), (20 + 5) / (80 + 50)])


def test_a_label_that_never_or_always_applies_or_is_not_known_takes_the_pooled_fit():
    record = drawn(300, 1, slopes=(1.5,) * 4, rates=(0.3,) * 4)
    labels = record.labels.clone()
    labels[:, 1], labels[:, 2], labels[:, 3] = 0, 1, -100
    record = MultilabelPredictions(logits=record.logits, labels=labels, classes=["own", "never", "always", "unknown"])
    fitted = fit_per_label(record)
    assert fitted.takes_pooled == ("never", "always", "unknown")
    scaled = fitted.apply(record)
    binary = Predictions(logits=torch.stack([torch.zeros(300), record.logits[:, 3]], dim=1))
    torch.testing.assert_close(scaled.probs[:, 3], fitted.pooled.apply(binary).probs[:, 1])
    assert torch.equal(scaled.labels, labels)


@pytest.mark.parametrize("fit", [fit_platt, fit_isotonic])
def test_shrinkage_beats_own_and_pooled_fits_on_rare_labels(fit):
    rates, own, drawn_to, pooled = (0.3,) * 4 + (0.01,) * 8, 0.0, 0.0, 0.0
    for seed in range(3):
        generator = torch.Generator().manual_seed(100 + seed)
        slopes = (1.5 + 0.3 * torch.randn(12, generator=generator)).clamp(0.6).tolist()
        few, many = (drawn(n, 10 * seed + n, slopes=slopes, rates=rates) for n in (800, 10_000))
        losses = []
        for shrinkage in (0.0, 10.0, math.inf):
            probs = fit_per_label(few, fit=fit, shrinkage=shrinkage).apply(many).probs.clamp(1e-7, 1 - 1e-7)
            losses.append(float(nats(probs.logit()[:, 4:], many.labels[:, 4:].float())))
        own, drawn_to, pooled = own + losses[0], drawn_to + losses[1], pooled + losses[2]
    assert drawn_to < own
    assert drawn_to < pooled


@every_fit
@pytest.mark.parametrize("kind", ["logits", "probs"])
def test_a_scaling_of_labels_is_read_back_and_scales_alike(fit, kind, tmp_path):
    record = drawn(300, 2)
    held = record if kind == "logits" else MultilabelPredictions(probs=record.probs, labels=record.labels)
    fitted = fit_per_label(held, fit=fit)
    fitted.save(tmp_path / "labels.json")
    back = PerLabelScaling.load(tmp_path / "labels.json")
    assert torch.equal(back.apply(held).probs, fitted.apply(held).probs)
    assert (back.shrinkage, back.takes_pooled) == (10.0, ())


def test_what_is_no_scaling_of_these_labels_gets_a_sentence(tmp_path, rejects):
    record = drawn(300, 3)
    fitted = fit_per_label(record)
    with rejects(ValueError, "`predictions` must have 3 labels, got 2."):
        fitted.apply(MultilabelPredictions(logits=record.logits[:, :2], labels=record.labels[:, :2]))
    with rejects(ValueError, "`shrinkage` must be a finite number >= 0, got -1."):
        fit_per_label(record, shrinkage=-1)
    fitted.save(tmp_path / "labels.json")
    content = json.loads((tmp_path / "labels.json").read_text())
    for change in ({"labels": []}, {"labels": 1}, {"pooled": None}, {"labels": [3]}, {"classes": 3}, {"classes": ["a"]},
                   {"shrinkage": -1}, {"pooled": {"method": "os.system"}}):  # fmt: skip
        (tmp_path / "bad.json").write_text(json.dumps(content | change))
        with pytest.raises(AdafocalError):
            PerLabelScaling.load(tmp_path / "bad.json")
