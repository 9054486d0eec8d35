# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adafocal.selective import augrc, aurc, excess_aurc, rank_weights, risk_at_coverage
from adafocal.selective.groups import PIECE

ESTIMATORS = ("harmonic", "ln", "sele")


def some(n=60, *, levels=None):
    confidence = torch.rand(n) if levels is None else torch.randint(levels, (n,)) / levels
    return confidence, (torch.rand(n) > confidence).double()


@pytest.mark.parametrize("name", ["losses_n48_c3", "losses_n64_c10", "losses_n32_c100"])
@pytest.mark.parametrize("score", ["MSP", "NegEntropy"])
def test_aurc_of_cross_entropy_equals_that_of_the_authors_loss(reference, name, score):
    arrays = reference(name)
    logits, labels = torch.from_numpy(arrays["logits"]), torch.from_numpy(arrays["labels"])
    probs = logits.softmax(dim=1)
    confidence = probs.amax(dim=1) if score == "MSP" else -torch.special.entr(probs).sum(dim=1)
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    assert aurc(confidence, losses).item() == pytest.approx(float(arrays[f"aurc_{score}_mean"]), rel=1e-5)


def test_aurc_is_the_risk_averaged_over_every_coverage():
    confidence, losses = some()
    risks = [risk_at_coverage(confidence, losses, coverage=k / 60).item() for k in range(1, 61)]
    assert aurc(confidence, losses).item() == pytest.approx(sum(risks) / 60)


def test_ties_give_the_mean_over_all_their_orders():
    confidence, losses = torch.tensor([0.9, 0.5, 0.5]), torch.tensor([0.0, 1.0, 0.0])
    broken = [aurc(torch.tensor([0.9, a, b]), losses).item() for a, b in ((0.5, 0.4), (0.4, 0.5))]
    assert aurc(confidence, losses).item() == pytest.approx(sum(broken) / 2)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_order_of_the_samples_does_not_matter(estimator, seed):
    generator = torch.Generator().manual_seed(seed)
    confidence, losses = torch.randint(5, (30,), generator=generator) / 5, torch.rand(30, generator=generator)
    order = torch.randperm(30, generator=generator)
    shuffled = aurc(confidence[order], losses[order], estimator=estimator)
    torch.testing.assert_close(aurc(confidence, losses, estimator=estimator), shuffled)
    torch.testing.assert_close(augrc(confidence, losses), augrc(confidence[order], losses[order]))


def test_all_equal_confidences_give_the_mean_loss():
    losses = torch.rand(50, dtype=torch.float64)
    torch.testing.assert_close(aurc(torch.zeros(50), losses), losses.mean())
    torch.testing.assert_close(augrc(torch.zeros(50), losses), losses.mean() / 2)


def test_the_ln_estimator_approaches_the_harmonic_one():
    confidence, losses = some(20_000)
    assert aurc(confidence, losses, estimator="ln").item() == pytest.approx(aurc(confidence, losses).item(), rel=1e-3)


def test_twice_the_sele_estimate_bounds_aurc_for_a_ranking_better_than_chance():
    confidence, losses = some(2000)
    assert aurc(confidence, losses) < 2 * aurc(confidence, losses, estimator="sele")


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_perfect_ranking_has_no_excess_and_a_reversed_one_the_most(estimator):
    losses = torch.rand(40, dtype=torch.float64)
    assert excess_aurc(-losses, losses, estimator=estimator) == 0
    worst = excess_aurc(losses, losses, estimator=estimator)
    some_order = excess_aurc(torch.rand(40), losses, estimator=estimator)
    assert 0 < some_order < worst


def test_excess_aurc_nears_the_closed_form_for_many_samples():
    confidence, losses = some(50_000)
    r = losses.mean()
    expected = aurc(confidence, losses) - (r + (1 - r) * torch.log(1 - r))
    assert excess_aurc(confidence, losses).item() == pytest.approx(expected.item(), abs=1e-4)


@pytest.mark.parametrize("levels", [None, 4])
def test_augrc_is_linear_in_the_auroc_of_failure_detection(levels):
    metrics = pytest.importorskip("sklearn.metrics")
    confidence, losses = some(300, levels=levels)
    auroc = metrics.roc_auc_score(losses.numpy(), -confidence.numpy())
    accuracy = 1 - losses.mean().item()
    expected = (1 - auroc) * accuracy * (1 - accuracy) + 0.5 * (1 - accuracy) ** 2
    assert augrc(confidence, losses).item() == pytest.approx(expected)


def test_one_sample_has_its_loss():
    assert float(aurc(torch.tensor([0.5]), torch.tensor([2.0]))) == pytest.approx(2)
    assert augrc(torch.tensor([0.5]), torch.tensor([2.0])) == 1


def test_an_unknown_estimator_is_named(rejects):
    with rejects(ValueError, "`estimator` must be one of 'harmonic', 'ln', 'sele', got 'best'."):
        aurc(torch.zeros(2), torch.zeros(2), estimator="best")


@pytest.mark.parametrize("levels", [None, 3])
@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float64])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_areas_of_many_samples_are_those_of_all_weights_at_once(estimator, dtype, levels):
    n = 2 * PIECE + 1
    confidence, losses = some(n, levels=levels)
    losses = torch.rand(n, dtype=dtype) if dtype == torch.float64 else losses.to(dtype)

    def mean(weights):
        found, group, count = confidence.unique(return_inverse=True, return_counts=True)
        of_group = torch.zeros(len(found), dtype=torch.float64).index_add_(0, group, losses.double())
        shares = torch.zeros(len(found), dtype=torch.float64).index_add_(0, group.sort().values, weights)
        return (of_group * shares / count).sum() / n

    expected = mean(rank_weights(n, kind=estimator))
    assert aurc(confidence, losses, estimator=estimator).item() == pytest.approx(expected.item(), rel=1e-11)
    if estimator == "harmonic":
        ranks = torch.arange(1, n + 1, dtype=torch.float64)
        assert augrc(confidence, losses).item() == pytest.approx(mean((ranks - 0.5) / n).item(), rel=1e-12)


def test_one_mistake_among_the_least_confident_of_many_samples_is_measured_to_the_last_digits():
    n = 2 * PIECE
    confidence = torch.linspace(0, 1, n, dtype=torch.float64)
    wrong = torch.arange(n) == 7  # answered by the last eight coverages alone
    risks = sum(1 / answered for answered in range(n - 7, n + 1))
    assert aurc(confidence, wrong).item() == pytest.approx(risks / n, rel=1e-11)


def test_losses_keep_their_gradient_also_where_all_are_0_or_1():
    losses = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64, requires_grad=True)
    aurc(torch.tensor([0.9, 0.6, 0.5]), losses).backward()
    torch.testing.assert_close(losses.grad, rank_weights(3, kind="harmonic").flip(0) / 3)
