# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from adafocal import Predictions
from adafocal.ood import FEATURE_SCORES, SCORES, compare_scores, detection, energy_score, fit_nearest_neighbour


def predictions(n, *, c=3, spread=3.0, shift=0.0, features=True, seed=0):
    generator = torch.Generator().manual_seed(seed)
    hidden = spread * torch.randn(n, 6, generator=generator) + shift
    weight = torch.randn(6, c, generator=torch.Generator().manual_seed(9))
    return Predictions(logits=hidden @ weight, labels=torch.arange(n) % c, features=hidden if features else None)


TEST, NEAR, FAR = predictions(80), predictions(60, spread=1.0, seed=1), predictions(70, shift=20.0, seed=2)


def test_rows_are_every_score_on_every_set_in_order():
    rows = compare_scores(TEST, {"near": NEAR, "far": FAR}, train=predictions(100, seed=3), n_resamples=5)
    names = [*SCORES, *FEATURE_SCORES]
    assert [(row.ood_name, row.score_name) for row in rows] == [(s, n) for s in ("near", "far") for n in names]


def test_a_row_holds_what_the_plain_functions_give():
    train = predictions(100, seed=3)
    energy, knn = compare_scores(TEST, {"far": FAR}, train=train, scores=["energy", "knn"], k=7, n_resamples=20)
    assert energy.detection == detection(energy_score(TEST), energy_score(FAR), n_resamples=20)
    assert torch.equal(knn.ood_scores, fit_nearest_neighbour(train, k=7).score(FAR))


def test_without_training_features_only_scores_of_the_output_are_taken():
    rows = compare_scores(TEST, {"near": NEAR}, n_resamples=5)
    assert [row.score_name for row in rows] == list(SCORES)


def test_probabilities_leave_out_the_scores_of_logits():
    as_probs = Predictions(probs=NEAR.probs, labels=NEAR.labels, features=NEAR.features)
    rows = compare_scores(TEST, {"near": as_probs}, train=predictions(100, seed=3), n_resamples=5)
    assert [row.score_name for row in rows] == ["msp", "entropy", "margin", "mahalanobis", "knn"]


def test_unusable_sets_are_refused(rejects):
    with rejects(ValueError, "`out_of_distribution` must name at least one set, got none."):
        compare_scores(TEST, {})
    with rejects(
        ValueError,
        "`out_of_distribution` must have the 3 classes of the in-distribution predictions, got 5 in 'wide'.",
    ):
        compare_scores(TEST, {"wide": predictions(10, c=5)})
    with rejects(ValueError, "`train` must have the 3 classes of the in-distribution predictions, got 5."):
        compare_scores(TEST, {"near": NEAR}, train=predictions(10, c=5))
    with rejects(ValueError, "`train` must be given for the vim score, got None."):
        compare_scores(TEST, {"near": NEAR}, scores=["vim"])
    with rejects(
        ValueError,
        "`scores` must be one of 'msp', 'entropy', 'margin', 'max_logit', 'energy', 'mahalanobis', 'knn', 'vim', "
        "got 'odin'.",
    ):
        compare_scores(TEST, {"near": NEAR}, scores=["odin"])
    with rejects(ValueError, "`ood_scores` must hold at least 2 samples for an interval, got 1."):
        compare_scores(TEST, {"one": predictions(1)})


@pytest.mark.parametrize("shown", [0, 1])
def test_scores_travel_with_the_row_for_drawing(shown):
    row = compare_scores(TEST, {"near": NEAR, "far": FAR}, scores=["msp"], n_resamples=5)[shown]
    assert (row.id_scores.shape, row.ood_scores.shape) == ((80,), ((60,), (70,))[shown])
