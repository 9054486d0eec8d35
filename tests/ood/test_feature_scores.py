# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest
import torch

from adafocal import Predictions
from adafocal.ood import FEATURE_SCORES, NearestNeighbour, auroc, fit_mahalanobis, fit_nearest_neighbour, fit_vim
from adafocal.ood.features import _usual_dimension


@pytest.fixture
def pair(reference):
    """Training predictions and predictions to score, with their features, and pytorch-ood's scores of the latter."""
    arrays = {name: torch.from_numpy(value) for name, value in reference("pytorch_ood_d12_c4").items()}

    def predictions(features, labels):
        return Predictions(logits=features @ arrays["weight"].T + arrays["bias"], labels=labels, features=features)

    train = predictions(arrays["train_features"], arrays["train_labels"])
    return train, predictions(arrays["features"], torch.zeros(100, dtype=torch.int64)), arrays


def test_mahalanobis_equals_pytorch_ood(pair):
    train, test, arrays = pair
    # Theirs has a half in front and does not divide the covariance by N.
    expected = 2 * train.n * arrays["mahalanobis_half_over_n"].double()
    torch.testing.assert_close(fit_mahalanobis(train).score(test), expected, rtol=1e-3, atol=1e-3)


def test_mahalanobis_equals_its_formula(pair):
    train, test, _ = pair
    features, labels = train.features.double(), train.labels
    means = torch.stack([features[labels == k].mean(dim=0) for k in range(4)])
    centred = features - means[labels]
    precision = torch.linalg.inv(centred.T @ centred / train.n)
    away = test.features.double()[:, None] - means
    expected = torch.einsum("nkd,de,nke->nk", away, precision, away).amin(dim=1)
    torch.testing.assert_close(fit_mahalanobis(train).score(test), expected)


def test_nearest_neighbour_equals_pytorch_ood(pair):
    train, test, arrays = pair
    score = fit_nearest_neighbour(train, k=5).score(test)
    torch.testing.assert_close(score, arrays["knn_5"].double(), rtol=1e-5, atol=1e-6)


def test_vim_equals_pytorch_ood_without_being_told_the_last_layer(pair):
    train, test, arrays = pair
    score = fit_vim(train, dimension=6).score(test)
    torch.testing.assert_close(score, arrays["vim_6"].double(), rtol=1e-3, atol=1e-3)


def test_nearest_neighbours_in_chunks_are_the_same(pair, monkeypatch):
    train, test, _ = pair
    whole = fit_nearest_neighbour(train, k=3).score(test)
    monkeypatch.setattr("adafocal.ood.neighbours.CHUNK", 1000)
    torch.testing.assert_close(fit_nearest_neighbour(train, k=3).score(test), whole)


@pytest.mark.parametrize("name", FEATURE_SCORES)
def test_samples_far_from_training_score_higher(pair, name):
    train, _, arrays = pair
    near = train.features[:100]
    far = near + 8 * torch.randn(12, generator=torch.Generator().manual_seed(3))
    options = {"knn": {"k": 10}}.get(name, {})
    fitted = FEATURE_SCORES[name](train, **options)
    scores = [
        fitted.score(Predictions(logits=f @ arrays["weight"].T + arrays["bias"], labels=train.labels[:100], features=f))
        for f in (near, far)
    ]
    assert auroc(*scores) > 0.9


def test_constant_features_do_no_harm(pair):
    train, test, _ = pair

    def padded(predictions):
        features = torch.cat([predictions.features, torch.full((predictions.n, 3), 5.0)], dim=1)
        return Predictions(logits=predictions.logits, labels=predictions.labels, features=features)

    torch.testing.assert_close(
        fit_mahalanobis(padded(train)).score(padded(test)), fit_mahalanobis(train).score(test), rtol=1e-6, atol=1e-6
    )
    assert fit_vim(padded(train), dimension=6).score(padded(test)).isfinite().all()


def test_a_single_class_is_one_gaussian(pair):
    train = pair[0]
    single = Predictions(logits=train.logits, labels=torch.ones_like(train.labels), features=train.features)
    fitted = fit_mahalanobis(single)
    assert fitted.means.shape == (1, 12)
    assert fitted.score(single).mean().item() == pytest.approx(12)  # mean squared distance is the dimension


def test_unusable_training_features_are_refused(rejects, pair):
    train = pair[0]
    bare = Predictions(logits=train.logits, labels=train.labels)
    constant = Predictions(logits=train.logits, labels=train.labels, features=torch.ones(train.n, 3))
    probs = Predictions(probs=train.probs, labels=train.labels, features=train.features)
    alien = Predictions(logits=train.logits, labels=train.labels, features=torch.randn(train.n, 5))
    one = Predictions(logits=train.logits[:1], labels=train.labels[:1], features=train.features[:1])
    with rejects(ValueError, "`train` must hold features, got none."):
        fit_mahalanobis(bare)
    with rejects(ValueError, "`train` must hold at least 2 samples, got 1."):
        fit_mahalanobis(one)
    with rejects(ValueError, "`train` must have features that vary within a class, got features that do not."):
        fit_mahalanobis(constant)
    with rejects(ValueError, "`train` must hold logits for the vim score, got probs."):
        fit_vim(probs)
    with rejects(
        ValueError, "`train` must have logits that are linear in its features, got features of another layer."
    ):
        fit_vim(alien)
    with rejects(ValueError, "`dimension` must be below the number of features, 12, got 12."):
        fit_vim(train, dimension=12)
    with rejects(ValueError, "`k` must be at most the number of training samples, 150, got 200."):
        fit_nearest_neighbour(train, k=200)
    with rejects(ValueError, "`predictions` must hold features for this score, got none."):
        fit_mahalanobis(train).score(bare)
    with rejects(ValueError, "`predictions` must have 12 features as in training, got 3."):
        fit_mahalanobis(train).score(constant)
    with rejects(ValueError, "`predictions` must hold logits for the vim score, got probs."):
        fit_vim(train).score(probs)


def test_features_without_a_residual_are_refused(rejects):
    features = torch.randn(40, 2) @ torch.randn(2, 6)
    logits = features @ torch.randn(6, 3)
    train = Predictions(logits=logits, labels=torch.zeros(40, dtype=torch.int64), features=features)
    with rejects(ValueError, "`train` must have features of rank above `dimension`, 4, got none beyond it."):
        fit_vim(train, dimension=4)


def with_features(features):
    features = torch.as_tensor(features, dtype=torch.float64)
    labels = torch.zeros(len(features), dtype=torch.int64)
    return Predictions(logits=torch.zeros(len(features), 2), labels=labels, features=features)


def test_features_of_zeros_have_no_direction_and_are_at_distance_one():
    bank = with_features([[3.0, 0.0], [0.0, 4.0], [0.0, 0.0], [-1.0, 0.0]])
    asked = with_features([[0.0, 0.0], [5.0, 0.0], [0.0, -2.0]])
    first, second, fourth = (fit_nearest_neighbour(bank, k=k).score(asked).tolist() for k in (1, 2, 4))

    assert first == pytest.approx([0.0, 0.0, 1.0])  # zero is in the bank, [1, 0] is, and zero is the nearest of [0, -1]
    assert second == pytest.approx([1.0, 1.0, 2**0.5])
    assert fourth == pytest.approx([1.0, 2.0, 2.0])


def test_nearest_neighbours_are_those_of_a_search_whatever_the_length_of_the_features():
    generator = torch.Generator().manual_seed(0)
    train, asked = (torch.randn(n, 5, generator=generator, dtype=torch.float64) for n in (30, 20))
    for features in (train, asked):
        features[::7] = 0.0
    unit = [x / x.norm(dim=1, keepdim=True).clamp_min(1e-300) for x in (asked, train)]
    expected = torch.cdist(*unit, compute_mode="donot_use_mm_for_euclid_dist").sort(dim=1).values
    for size in (1.0, 1e-14, 1e-200, 1e200):
        for k in (1, 5, 30):
            actual = fit_nearest_neighbour(with_features(size * train), k=k).score(with_features(size * asked))
            torch.testing.assert_close(actual, expected[:, k - 1], rtol=1e-7, atol=1e-7)


def test_duplicates_and_equal_features_are_at_distance_zero_from_themselves():
    same = with_features([[1.0, 2.0]] * 5)
    assert fit_nearest_neighbour(same, k=5).score(same).tolist() == pytest.approx([0.0] * 5, abs=1e-7)


def test_features_without_spread_are_refused_by_scores_that_need_it(rejects):
    for features in ([[0.0, 0.0]] * 4, [[1e3, -2e3]] * 4):
        with rejects(ValueError, "`train` must have features that vary within a class, got features that do not."):
            fit_mahalanobis(with_features(features))
        with rejects(ValueError, "`train` must have features of rank above `dimension`, 1, got none beyond it."):
            fit_vim(with_features(features))


def test_a_virtual_logit_cannot_be_scaled_to_logits_below_zero(rejects):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(50, 6, generator=generator, dtype=torch.float64)
    logits = features @ torch.randn(6, 3, generator=generator, dtype=torch.float64) - 100
    train = Predictions(logits=logits, labels=torch.zeros(50, dtype=torch.int64), features=features)
    mean = float(logits.amax(dim=1).mean())
    with rejects(
        ValueError,
        f"`train` must have largest logits with a mean > 0, got {mean:g}: the virtual logit is scaled to it.",
    ):
        fit_vim(train)


def test_a_neighbour_beyond_the_bank_is_refused_however_the_score_is_built(rejects):
    with rejects(ValueError, "`k` must be at most the number of training samples, 2, got 3."):
        NearestNeighbour(torch.eye(2, dtype=torch.float64), 3)
    with rejects(ValueError, "`k` must be an integer >= 1, got 0."):
        NearestNeighbour(torch.eye(2, dtype=torch.float64), 0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_fitted_tensors_of_any_precision_give_float64_scores(dtype):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(50, 6, generator=generator, dtype=torch.float64)
    logits = features @ torch.randn(6, 3, generator=generator, dtype=torch.float64)
    train = Predictions(logits=logits, labels=torch.zeros(50, dtype=torch.int64), features=features)
    for fit in FEATURE_SCORES.values():
        fitted = fit(train)
        tensors = {name: v.to(dtype) for name, v in vars(fitted).items() if isinstance(v, torch.Tensor)}
        scores = dataclasses.replace(fitted, **tensors).score(train)
        assert scores.dtype == torch.float64
        torch.testing.assert_close(scores, fitted.score(train), rtol=0.1, atol=0.1)


@pytest.mark.parametrize(("d", "dimension"), [(10, 5), (767, 383), (768, 512), (2047, 512), (2048, 1000), (4096, 1000)])
def test_the_principal_space_of_vim_has_the_size_that_its_authors_use(d, dimension):
    assert _usual_dimension(d) == dimension
