# SPDX-License-Identifier: Apache-2.0
"""Out-of-distribution pairs: what a model was trained on, and what it is asked to tell from that.

The papers' pairs: Mukhoti et al. (NeurIPS 2020) and the notebooks of the AdaFocal authors train on CIFAR-10 and score
SVHN and CIFAR-10 under Gaussian noise of severity 5, by entropy. ``cifar10-corruptions`` widens the second to every
corruption of this package, and ``mnist-emnist_letters`` is a pair that runs on two CPU cores.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class OODPair:
    """A pair of data sets, or a data set and its corruptions.

    Attributes:
        name: Name on the command line.
        title: Name in lists.
        trained_on: Data set of the runs that it is for.
        against: What is told from it: names of data sets, or ``CORRUPTION-SEVERITY``.
        source: Where the pair comes from.
    """

    name: str
    title: str
    trained_on: str
    against: tuple[str, ...]
    source: str


CORRUPTED = (
    "gaussian_noise-3",
    "shot_noise-3",
    "impulse_noise-3",
    "gaussian_blur-3",
    "contrast-3",
    "brightness-3",
    "pixelate-3",
    "jpeg-3",
)
PAIRS = (
    OODPair(
        "cifar10-svhn",
        "CIFAR-10 against SVHN",
        "cifar10",
        ("svhn",),
        "Mukhoti et al., NeurIPS 2020; AdaFocal notebooks",
    ),
    OODPair(
        "cifar10-gaussian_noise",
        "CIFAR-10 against itself under Gaussian noise of severity 5",
        "cifar10",
        ("gaussian_noise-5",),
        "Mukhoti et al., NeurIPS 2020; AdaFocal notebooks",
    ),
    OODPair("cifar10-corruptions", "CIFAR-10 against its corruptions", "cifar10", CORRUPTED, "this project"),
    OODPair("mnist-emnist_letters", "MNIST against handwritten letters", "mnist", ("emnist_letters",), "this project"),
)
OOD_PAIRS = {pair.name: pair for pair in PAIRS}
