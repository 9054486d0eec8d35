# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from adafocal.scaling.isotonic import isotonic_map


def samples(kind, seed):
    rng = np.random.default_rng(seed)
    x = {
        "spread": rng.random(300),
        "tied": rng.integers(0, 12, 300) / 12,
        "saturated": np.clip(rng.normal(0.5, 0.6, 300), 0.0, 1.0),
        "tiny": np.exp(-60 * rng.random(300)),
        "one value": np.full(300, 0.25),
        "of float32": rng.random(300, dtype=np.float32).astype(np.float64),
    }[kind]
    return x, (rng.random(300) < x**2).astype(float), rng


@pytest.mark.parametrize("kind", ["spread", "tied", "saturated", "tiny", "one value", "of float32"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_isotonic_regression_of_scikit_learn(kind, weighted, seed):
    x, y, rng = samples(kind, seed)
    weight = rng.integers(0, 4, len(x)).astype(float) if weighted else np.ones(len(x))
    theirs = IsotonicRegression(y_min=0.0, y_max=1.0).fit(x, y, sample_weight=weight)

    knots, values = isotonic_map(x, y, weight)

    np.testing.assert_array_equal(knots, theirs.X_thresholds_)
    np.testing.assert_allclose(values, theirs.y_thresholds_, rtol=0, atol=1e-14)


def test_values_that_nobody_can_tell_apart_share_a_knot():
    x = np.array([0.0, 1e-300, 9e-16, 1.5e-15, 2.2e-15, 1.0])

    knots, values = isotonic_map(x, np.array([0.0, 1.0, 1.0, 0.0, 1.0, 1.0]), np.ones(6))

    assert knots.tolist() == [0.0, 1.5e-15, 1.0]
    assert values.tolist() == pytest.approx([0.6, 0.6, 1.0])  # pooled over 2/3 of three and 1/2 of two
