# SPDX-License-Identifier: Apache-2.0
"""Errors between confidence and accuracy, from sums per bin. Lower is better; all are fractions in [0, 1]."""

import math

from adafocal._checks import check_choice
from adafocal._docs import documented
from adafocal._shapes import Confidence, Correct, Given, SampleWeight, Scalar
from adafocal._values import weighted_event
from adafocal.calibration.bins import NORMS, BinStats, check_stats
from adafocal.calibration.cells import sum_binned
from adafocal.calibration.intervals import rms_interval
from adafocal.calibration.measure import LEVEL, PredictionMeasure
from adafocal.calibration.sums import PredictionSums


@documented
def expected_calibration_error(
    confidence: Given[Confidence],
    correct: Given[Correct],
    *,
    n_bins: int = 15,
    binning: str = "equal_width",
    norm: str = "l1",
    debias: bool = False,
    sample_weight: Given[SampleWeight] | None = None,
) -> Scalar:
    """Measure the gap between confidence and accuracy, averaged over bins by their share of the samples.

    The calibrated event is the one that ``correct`` records: for top-label calibration, whether the predicted class
    was right; for a binary classifier, whether the positive class came. With ``norm="max"`` this is the maximum
    calibration error (MCE), with ``norm="l2"`` the root mean square calibration error.

    The plug-in value is biased upward: sampling noise alone makes it positive for a calibrated model, the more so the
    fewer samples a bin holds. ``debias=True`` takes the expected noise away; clipping at 0 leaves a small upward bias.
    Gaps that change sign within a bin cancel, which biases it downward.

    Formula: ``l1`` is ``sum_b (n_b / N) |conf_b - acc_b|``; ``l2`` is ``sqrt(sum_b (n_b / N) (conf_b - acc_b)^2)``;
    ``max`` is ``max_b |conf_b - acc_b|``. Debiased ``l2`` subtracts v_b = acc_b (1 - acc_b) / (n_b - 1) from each
    square, and a bin of one sample counts nothing; debiased ``l1`` is twice the plug-in value minus its mean when acc_b
    is redrawn from a normal distribution with mean acc_b and variance acc_b (1 - acc_b) / n_b. Weights that are not all
    whole are no numbers of samples: n_b is then the effective one, (sum w)^2 / sum w^2.

    Args:
        binning: ``equal_width`` cuts [0, 1] evenly, ``equal_mass`` puts as many samples in each bin.
        debias: Take the expected noise away; for ``l1`` and ``l2``, and only for yes-or-no ``correct``.

    Returns:
        A scalar in [0, 1], float64, a fraction; lower is better. Bins are (a, b]; an empty bin counts nothing.

    Raises:
        TypeError: If ``confidence`` is not floating point.
        ValueError: If there is no sample, shapes differ, a value is not in [0, 1], ``n_bins``, ``binning`` or ``norm``
            is out of range, or ``debias`` is asked for with ``norm="max"`` or with shares in ``correct``.

    Example:
        >>> confidence, correct = torch.full((4,), 0.8), torch.tensor([True, True, False, False])
        >>> expected_calibration_error(confidence, correct)
        tensor(0.3000, dtype=torch.float64)
        >>> expected_calibration_error(confidence, correct, norm="l2", debias=True)
        tensor(0.0816, dtype=torch.float64)

    Reference:
        Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017,
        https://arxiv.org/abs/1706.04599, equations 3 and 5. Kumar, Liang and Ma, "Verified uncertainty calibration",
        NeurIPS 2019, https://arxiv.org/abs/1909.10155, section 5 (debiased ``l2``; ``l1`` from their code).

    Differs from the paper: the mean of the redrawn ``l1`` error is computed in closed form, not from 1,000 draws.
    """
    check_choice("norm", norm, NORMS)
    confidence, correct, weight = weighted_event(confidence, correct, sample_weight, yes_or_no=debias)
    stats = sum_binned(confidence, correct, n_bins=n_bins, binning=binning, weight=weight)
    return stats.compute(norm=norm, debias=debias)


def binned_error(stats: BinStats, *, norm: str = "l1", debias: bool = False) -> Scalar:
    """Compute the calibration error from sums per bin, such as those of a stream.

    Args:
        stats: Sums per bin; an empty bin counts nothing.
        norm: ``l1``, ``l2`` or ``max``; see :func:`expected_calibration_error`.
        debias: Take the expected noise away; for ``l1`` and ``l2``.

    Returns:
        A scalar in [0, 1], a fraction; lower is better. NaN when ``stats`` holds no sample: an error of nothing is
        undefined, not zero.

    Raises:
        TypeError: If ``stats`` is no :class:`BinStats`.
        ValueError: If ``norm`` is none of these, ``debias`` is asked for with ``norm="max"``, or a sum is NaN, negative
            or larger than the count.

    Example:
        >>> from adafocal.calibration import bin_stats
        >>> stats = bin_stats(torch.tensor([0.8, 0.8]), torch.tensor([True, False]), torch.tensor([0.5]))
        >>> binned_error(stats)
        tensor(0.3000, dtype=torch.float64)
    """
    check_stats(stats)
    return stats.compute(norm=norm, debias=debias)


ECE = PredictionMeasure(
    name="ece",
    heading="ECE %",
    title="ECE, equal-width bins",
    about="Expected calibration error, equal-width bins, ``l1``: the number of most papers.",
    compute=lambda sums: sums.bins.compute(),
    is_the_gap=True,
)
ECE_EQUAL_MASS = PredictionMeasure(
    name="ece_equal_mass",
    heading="ECE, equal mass %",
    title="ECE, equal-mass bins",
    about="Expected calibration error, equal-mass bins, ``l1``.",
    compute=lambda sums: sums.equal_mass.compute(),
    in_stream="cell",
    is_the_gap=True,
)
ECE_DEBIASED = PredictionMeasure(
    name="ece_debiased",
    title="ECE, equal-mass bins, debiased",
    about="``ece_equal_mass`` less its expected noise.",
    compute=lambda sums: sums.equal_mass.compute(debias=True),
    in_stream="cell",
    of_shares=False,
    is_the_gap=True,
)
MCE = PredictionMeasure(
    name="mce",
    title="maximum calibration error",
    about="Maximum calibration error, equal-width bins; noisy where a bin holds few samples.",
    compute=lambda sums: sums.bins.compute(norm="max"),
    is_the_gap=True,
)
RMS = PredictionMeasure(
    name="rms",
    title="RMS calibration error",
    about="Root mean square calibration error, equal-mass bins.",
    compute=lambda sums: sums.equal_mass.compute(norm="l2"),
    in_stream="cell",
    is_the_gap=True,
)


def _rms_ends(sums: PredictionSums) -> tuple[Scalar, Scalar]:
    """No interval where rows belong together: its law is that of independent ones."""
    if sums.clusters is not None:
        return sums.totals.new_tensor(math.nan), sums.totals.new_tensor(math.nan)
    return rms_interval(sums.equal_mass, level=LEVEL)


RMS_DEBIASED = PredictionMeasure(
    name="rms_debiased",
    title="RMS calibration error, debiased",
    about="``rms`` less its expected noise.",
    compute=lambda sums: sums.equal_mass.compute(norm="l2", debias=True),
    interval="rms_interval",
    ends=_rms_ends,
    about_ends="95 % interval of the root mean square calibration error, see :func:`rms_calibration_interval`.",
    in_stream="cell",
    of_shares=False,
    is_the_gap=True,
)
