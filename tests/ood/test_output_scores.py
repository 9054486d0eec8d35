# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch

from adafocal import Predictions
from adafocal.ood import SCORES, energy_score, entropy_score, margin_score, max_logit_score, msp_score

LABEL = torch.tensor([0])


def of_logits(*rows):
    logits = torch.tensor(rows)
    return Predictions(logits=logits, labels=torch.zeros(len(rows), dtype=torch.int64))


@pytest.fixture
def random_logits():
    logits = 3 * torch.randn(50, 6)
    return Predictions(logits=logits, labels=torch.zeros(50, dtype=torch.int64))


def test_scores_equal_their_definitions(random_logits):
    logits = random_logits.logits.double()
    probs = logits.softmax(dim=1)
    ordered = probs.sort(dim=1, descending=True).values
    torch.testing.assert_close(msp_score(random_logits), 1 - ordered[:, 0])
    torch.testing.assert_close(entropy_score(random_logits), -(probs * probs.log()).sum(dim=1))
    torch.testing.assert_close(margin_score(random_logits), 1 - ordered[:, 0] + ordered[:, 1])
    torch.testing.assert_close(max_logit_score(random_logits), -logits.amax(dim=1))
    torch.testing.assert_close(energy_score(random_logits), -logits.exp().sum(dim=1).log())


def test_scores_equal_those_of_pytorch_ood(reference):
    arrays = {name: torch.from_numpy(value) for name, value in reference("pytorch_ood_d12_c4").items()}
    logits = arrays["features"] @ arrays["weight"].T + arrays["bias"]
    predictions = Predictions(logits=logits, labels=torch.zeros(100, dtype=torch.int64))
    for name, expected, shift in (
        ("energy", arrays["energy"], 0),
        ("max_logit", arrays["max_logit"], 0),
        ("msp", arrays["msp_negative"], 1),
        ("entropy", arrays["entropy"], 0),
    ):
        torch.testing.assert_close(SCORES[name](predictions), expected.double() + shift, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["msp", "entropy", "margin"])
def test_probabilities_and_their_logits_score_the_same(random_logits, name):
    as_probs = Predictions(probs=random_logits.logits.double().softmax(dim=1), labels=random_logits.labels)
    torch.testing.assert_close(SCORES[name](as_probs), SCORES[name](random_logits))


@pytest.mark.parametrize("name", ["msp", "entropy", "margin"])
def test_predictions_that_round_to_certainty_keep_their_order(name):
    scores = SCORES[name](of_logits([100.0, 0.0], [60.0, 0.0], [40.0, 0.0]))
    assert 0 < scores[0] < scores[1] < scores[2]
    if name == "msp":
        assert scores[0].item() == pytest.approx(math.exp(-100), rel=1e-12)


@pytest.mark.parametrize("name", SCORES)
def test_an_even_guess_scores_higher_than_a_sure_prediction(name):
    even, sure = SCORES[name](of_logits([0.0, 0.0, 0.0], [9.0, 0.0, 0.0])).tolist()
    assert even > sure


@pytest.mark.parametrize("name", SCORES)
def test_masked_and_huge_logits_give_finite_scores(name):
    scores = SCORES[name](of_logits([1e4, -1e4, -math.inf], [0.0, 0.0, -math.inf]))
    assert scores.isfinite().all()
    assert scores.dtype == torch.float64


@pytest.mark.parametrize("name", ["max_logit", "energy"])
def test_scores_of_logits_refuse_probabilities(rejects, name):
    predictions = Predictions(probs=torch.tensor([[0.5, 0.5]]), labels=LABEL)
    with rejects(ValueError, f"`predictions` must hold logits for the {name} score, got probs."):
        SCORES[name](predictions)
