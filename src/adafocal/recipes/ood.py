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


NOISES = ("gaussian_noise", "shot_noise", "impulse_noise")
CORRUPTED = tuple(f"{name}-3" for name in (*NOISES, "gaussian_blur", "contrast", "brightness", "pixelate", "jpeg"))
PAPERS = "Mukhoti et al., NeurIPS 2020; AdaFocal notebooks"
PAIRS = (
    OODPair("cifar10-svhn", "CIFAR-10 against SVHN", "cifar10", ("svhn",), PAPERS),
    OODPair(
        "cifar10-gaussian_noise",
        "CIFAR-10 against itself under Gaussian noise of severity 5",
        "cifar10",
        ("gaussian_noise-5",),
        PAPERS,
    ),
    OODPair("cifar10-corruptions", "CIFAR-10 against its corruptions", "cifar10", CORRUPTED, "this project"),
    OODPair("mnist-emnist_letters", "MNIST against handwritten letters", "mnist", ("emnist_letters",), "this project"),
)
OOD_PAIRS = {pair.name: pair for pair in PAIRS}
