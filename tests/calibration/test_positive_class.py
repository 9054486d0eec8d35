# SPDX-License-Identifier: Apache-2.0
"""With a positive class every number is that of its event, as if nothing else were known."""

import pytest
import torch

from adafocal import Outcomes, Predictions
from adafocal.calibration import evaluate, stream_summary, stream_sums


def data(kind, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits, labels = 3 * torch.randn(250, 4, generator=generator), torch.randint(0, 4, (250,), generator=generator)
    values = logits if kind == "logits" else logits.softmax(dim=1)
    return Predictions(**{kind: values}, labels=labels)


@pytest.mark.parametrize("kind", ["logits", "probs"])
@pytest.mark.parametrize("index", [0, 3])
@pytest.mark.parametrize("measure", [evaluate, lambda *a, **k: stream_summary(stream_sums(*a, **k))])
def test_every_number_but_accuracy_and_classes_is_that_of_outcomes(kind, index, measure):
    predictions = data(kind)
    found = measure(predictions, positive_class=index)
    event = measure(Outcomes(confidence=predictions.probs[:, index], correct=predictions.labels == index))

    assert found.verdict.p_gap == pytest.approx(event.verdict.p_gap, rel=1e-3, abs=1e-7)
    for name, value in event.to_dict().items():
        if name not in ("verdict", "accuracy", "accuracy_interval", "n_classes", "classwise_ece") and value is not None:
            assert found.to_dict()[name] == pytest.approx(value, rel=2e-5, abs=1e-7), name


def test_accuracy_is_that_of_the_class_at_one_half():
    probs = torch.tensor([[0.4, 0.35, 0.25], [0.6, 0.2, 0.2], [0.2, 0.3, 0.5], [0.5, 0.3, 0.2]])
    predictions = Predictions(probs=probs, labels=torch.tensor([0, 0, 2, 1]))

    assert evaluate(predictions, positive_class=0).accuracy == 0.75  # 0.4 is no yes, nor is 0.5
    assert evaluate(predictions, positive_class=2).accuracy == 0.75
    assert evaluate(predictions).accuracy == 0.75


def test_the_likelihood_of_a_sure_class_does_not_cancel():
    logits = torch.tensor([[40.0, 0.0, 0.0], [0.0, 40.0, 0.0]])
    predictions = Predictions(logits=logits, labels=torch.tensor([1, 1]))

    # 1 - p is 2 exp(-40), which float32 probabilities near 1 cannot hold.
    assert evaluate(predictions, positive_class=0).nll == pytest.approx((40 - 0.6931472) / 2, rel=1e-5)
