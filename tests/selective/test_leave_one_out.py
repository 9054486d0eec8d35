# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from adafocal.selective import augrc, aurc, rank_weights
from adafocal.selective.areas import augrc_weights
from adafocal.selective.groups import ranked
from adafocal.selective.leave_one_out import jackknife, without_each


@pytest.mark.parametrize("ties", [None, 1.0, 0.25])
@pytest.mark.parametrize("n", [2, 3, 30])
def test_leaving_a_sample_out_is_measuring_the_others(n, ties):
    generator = torch.Generator().manual_seed(n)
    confidence = torch.randn(n, dtype=torch.float64, generator=generator)
    confidence = confidence if ties is None else (confidence / ties).round()
    losses = torch.rand(n, dtype=torch.float64, generator=generator)
    ranking = ranked(confidence, losses, places=True)
    groups, index = ranking.groups(), ranking.index()
    areas = without_each(groups, index, losses, rank_weights(n - 1, kind="harmonic"))
    general = without_each(groups, index, losses, augrc_weights(n - 1))

    for i in range(n):
        others = torch.arange(n) != i
        torch.testing.assert_close(areas[i], aurc(confidence[others], losses[others]))
        torch.testing.assert_close(general[i], augrc(confidence[others], losses[others]))


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = torch.randn(50, dtype=torch.float64)
    left_out = (values.sum() - values) / 49
    error, df = jackknife(left_out)

    assert error == pytest.approx(float(values.std()) / 50**0.5)
    distance = values - values.mean()
    kurtosis = float(distance.pow(4).mean() / distance.square().mean() ** 2)
    assert df == pytest.approx(100 / (kurtosis - 1))


def test_what_does_not_vary_has_no_error():
    assert jackknife(torch.ones(10, dtype=torch.float64)) == (0.0, 9.0)


def test_of_two_values_alike_in_number_the_error_is_known():
    error, df = jackknife(torch.tensor([0.0, 1.0] * 10, dtype=torch.float64))

    assert error == pytest.approx(19**0.5 / 2)
    assert df > 1e9
