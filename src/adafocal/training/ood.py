# SPDX-License-Identifier: Apache-2.0
"""Out-of-distribution detection with a finished run: its test part against other data and corruptions of its own."""

from collections.abc import Collection, Sequence
from pathlib import Path

from adafocal._settings import or_meant
from adafocal.data import CORRUPTIONS, DATASETS, DataConfig
from adafocal.errors import InvalidValueError
from adafocal.ood import ComparisonRow, compare_scores
from adafocal.training.predict import load_classifier, predict_with


def compare_run(
    folder: str | Path,
    against: Sequence[str],
    *,
    root: str | Path | None = None,
    scores: Sequence[str] | None = None,
    k: int = 50,
    level: float = 0.95,
    n_resamples: int = 1000,
    own: Collection[str] = (),
) -> list[ComparisonRow]:
    """Measure how well a run's model tells other data from its own test part.

    Args:
        folder: A finished run.
        against: What to tell from the test part: ``CORRUPTION-SEVERITY`` such as ``gaussian_noise-5``, a data set of
            the catalogue, a folder in ``root``, or the path of a folder or file of data.
        root: Folder that holds data sets by name; None reads the catalogue's from the hub.
        scores: Names in ``SCORES`` and ``FEATURE_SCORES``; None takes all.
        k: Neighbour of the ``knn`` score.
        level: Coverage of the intervals.
        n_resamples: Bootstrap resamples.
        own: Own code of the run that may be imported, see :func:`~adafocal.training.predict.load_classifier`.

    Returns:
        One row per set and score; a model of your own without ``features`` has scores of its outputs alone.

    Raises:
        ValueError: If the run is not finished, or a set is unknown or does not fit the model.
        FileNotFoundError: If a set is not where it should be.
    """
    sets = {name: other_data(name, root) for name in against}
    classifier = load_classifier(folder, own=own)
    features = hasattr(classifier.network, "features")
    others = {
        name: predict_with(classifier, data=data, corruption=corruption, severity=severity, features=features)
        for name, (data, corruption, severity) in sets.items()
    }
    test = predict_with(classifier, features=features)
    train = predict_with(classifier, part="train", features=True) if features else None
    return compare_scores(test, others, train=train, scores=scores, k=k, level=level, n_resamples=n_resamples)


def other_data(name: str, root: str | Path | None) -> tuple[DataConfig | None, str | None, int]:
    """Find what a name means: other data, or a corruption of the run's own and its severity, 0 for none.

    Raises:
        ValueError: If it is neither.
    """
    corruption, _, severity = name.rpartition("-")
    if corruption in CORRUPTIONS and severity.isdecimal():
        return None, corruption, int(severity)
    for path in (Path(name), *(() if root is None else (Path(root) / name,))):
        if path.exists():
            return DataConfig(name=path.stem, path=str(path)), None, 0
    if name in DATASETS:
        return DataConfig(name=name, root=None if root is None else str(root)), None, 0
    raise InvalidValueError(
        f"`against` must name a corruption and its severity such as {next(iter(CORRUPTIONS))}-5, a data set of "
        f"`adafocal list datasets`, a folder in `root` or a path, got {name!r}{or_meant(name, _known(severity))}"
    )


def _known(severity: str) -> list[str]:
    return [*DATASETS, *(f"{name}-{severity if severity.isdecimal() else 5}" for name in CORRUPTIONS)]
