# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from scipy import stats

from adafocal._estimate import Estimate, joined_ends, log_interval


def test_an_estimate_goes_into_json_by_name():
    assert Estimate(0.5, 0.25, 1.0).as_dict() == {"value": 0.5, "low": 0.25, "high": 1.0}
    assert Estimate(0.5).as_dict() == {"value": 0.5, "low": None, "high": None}


def test_distances_of_two_causes_add_as_squares():
    # 3 and 4 below, 8 and 15 above: each pair at a right angle.
    assert joined_ends(50.0, (47.0, 43.0), (58.0, 73.0)) == (45.0, 67.0)
    assert joined_ends(50.0, (50.0, 46.0), (55.0, 55.0)) == (46.0, 55.0)


@pytest.mark.parametrize("df", [9.0, 200.0])
def test_the_interval_of_a_positive_number_is_a_factor_around_it(df):
    low, high = log_interval(0.2, 0.05, level=0.9, df=df)

    assert low * high == pytest.approx(0.04)
    assert math.log(high / 0.2) == pytest.approx(stats.t.ppf(0.95, df) * 0.25, rel=2e-4)


def test_an_error_beyond_all_measure_gives_finite_ends():
    low, high = log_interval(2.0, 1e9, level=0.95, df=50.0)

    assert (low, high) == pytest.approx((2.0 * math.exp(-500), 2.0 * math.exp(500)))
