# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from adafocal.selective import rank_weights


@pytest.mark.parametrize("name", ["losses_n48_c3", "losses_n64_c10", "losses_n32_c100"])
def test_weights_equal_those_of_the_authors_code(reference, name):
    arrays = reference(name)
    # Theirs belong to the samples in the order of the batch; sorted, they are the weights of the ranks.
    harmonic = torch.from_numpy(arrays["aurc_alphas"]).double().sort().values
    sele = torch.from_numpy(arrays["sele_alphas_2x"]).double().sort().values
    n = harmonic.numel()
    torch.testing.assert_close(rank_weights(n, kind="harmonic"), harmonic, rtol=1e-5, atol=0)
    torch.testing.assert_close(2 * rank_weights(n, kind="sele"), sele, rtol=1e-5, atol=0)


@pytest.mark.parametrize("n", [1, 2, 7, 1000])
def test_harmonic_weights_are_the_digamma_difference(n):
    rank = torch.arange(1, n + 1, dtype=torch.float64)
    top = torch.tensor(n + 1.0, dtype=torch.float64)
    expected = torch.digamma(top) - torch.digamma(n - rank + 1)
    torch.testing.assert_close(rank_weights(n, kind="harmonic"), expected)


def test_harmonic_weights_give_the_selective_risk_averaged_over_coverages():
    losses = torch.rand(9, dtype=torch.float64)  # in ascending confidence
    by_definition = torch.stack([losses[9 - k :].mean() for k in range(1, 10)]).mean()
    torch.testing.assert_close((rank_weights(9, kind="harmonic") * losses).mean(), by_definition)


def test_ln_weights_are_minus_the_logarithm_of_the_share_above():
    expected = -torch.log(1 - torch.tensor([1, 2, 3], dtype=torch.float64) / 4)
    torch.testing.assert_close(rank_weights(3, kind="ln"), expected)


def test_ln_weights_approach_the_harmonic_ones():
    harmonic, ln = (rank_weights(10_000, kind=kind) for kind in ("harmonic", "ln"))
    torch.testing.assert_close(harmonic[:9000], ln[:9000], rtol=2e-3, atol=0)


@pytest.mark.parametrize("kind", ["harmonic", "ln", "sele"])
def test_no_samples_have_no_weights(kind):
    assert rank_weights(0, kind=kind).shape == (0,)


def test_dtype_is_the_one_asked_for():
    assert rank_weights(3, kind="ln", dtype=torch.float32).dtype == torch.float32


def test_unknown_kind_is_named(rejects):
    with rejects(ValueError, "`kind` must be one of 'harmonic', 'ln', 'sele', got 'log'."):
        rank_weights(3, kind="log")


def test_negative_number_of_samples_is_refused(rejects):
    with rejects(ValueError, "`n` must be an integer >= 0, got -1."):
        rank_weights(-1, kind="ln")
