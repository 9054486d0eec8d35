# SPDX-License-Identifier: Apache-2.0
"""What many functions take and raise is written once, and shows in the documentation of each."""

import inspect

import pytest

from adafocal import calibration, selective
from adafocal._docs import INPUTS, documented


def measure(confidence, correct, *, size, n_bins=3):
    r"""Measure.

    Args:
        size: Its own,
            in \two lines.

    Returns:
        A number.

    Example:
        >>> 1
        1
    """


def test_arguments_stand_in_the_order_of_the_signature_and_errors_before_the_example():
    shared = INPUTS["confidence", "correct"]

    assert inspect.getdoc(documented(measure)) == inspect.cleandoc(rf"""Measure.

    Args:
        confidence: {shared["confidence"]}
        correct: {shared["correct"]}
        size: Its own,
            in \two lines.
        n_bins: Number of bins.

    Returns:
        A number.

    Raises:
        TypeError: If ``confidence`` is not floating point.
        ValueError: If there is no sample, shapes differ, or an option is out of range.

    Example:
        >>> 1
        1
    """)


def test_what_a_docstring_says_itself_stays():
    def of_pairs(confidence, correct):
        """Measure.

        Args:
            confidence: Own.
            correct: Own, too.

        Raises:
            ValueError: Never.

        Example:
            >>> 1
            1
        """

    def without_example():
        """Say nothing."""

    for function in (of_pairs, without_example):
        assert inspect.getdoc(documented(function)) == inspect.cleandoc(function.__doc__)


@pytest.mark.parametrize("package", [calibration, selective])
def test_every_function_of_samples_says_what_it_takes_and_raises(package):
    functions = [f for name in package.__all__ if inspect.isfunction(f := getattr(package, name))]
    of_samples = [f for f in functions if tuple(inspect.signature(f).parameters)[:2] in INPUTS]

    assert len(of_samples) >= 7
    for function in of_samples:
        text = inspect.getdoc(function)
        for part in ("\nArgs:\n", "\nRaises:\n    TypeError: ", "\n    ValueError: If "):
            assert text.count(part) == 1, function
