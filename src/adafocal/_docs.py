# SPDX-License-Identifier: Apache-2.0
"""What many functions take and raise, said once: docstrings name what is their own, the rest is added on import.

Functions that are documented so take arrays of any kind for tensors, too.
"""

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from adafocal._arrays import takes_arrays

Documented = TypeVar("Documented", bound=Callable[..., Any])
INPUTS: dict[tuple[str, ...], dict[str, str]] = {
    ("confidence", "correct"): {
        "confidence": "Predicted probability of the event, in [0, 1], shape (N,), N at least 1.",
        "correct": "Whether the event happened, shape (N,).",
        "TypeError": "If ``confidence`` is not floating point.",
        "ValueError": "there is no sample, shapes differ",
    },
    ("probs", "labels"): {
        "probs": "Class probabilities, shape (N, C), N at least 1; each row sums to 1.",
        "labels": "Class indices in [0, C), shape (N,).",
        "TypeError": "If ``probs`` is not floating point.",
        "ValueError": "there is no sample, shapes do not fit",
    },
    ("id_scores", "ood_scores"): {
        "id_scores": "Scores of N >= 1 in-distribution samples.",
        "ood_scores": "Scores of M >= 1 out-of-distribution samples.",
        "TypeError": "If scores are not floating point.",
        "ValueError": "there are no samples of a kind, a score is NaN",
    },
    ("predicted", "true"): {
        "predicted": "Whether each voxel is predicted to be of the class, boolean, shape (D, H, W).",
        "true": "Whether it is, of the same shape.",
        "TypeError": "If a mask is not boolean.",
        "ValueError": "the shapes differ or are not those of a volume",
    },
    ("confidence", "losses"): {
        "confidence": "Any confidence score of N >= 1 samples; only its order matters.",
        "losses": "Loss per sample, finite; for error rates ``~correct``.",
        "TypeError": "If ``confidence`` is not floating point.",
        "ValueError": "shapes differ, there is no sample, a confidence is NaN, a loss is not finite",
    },
}
OPTIONS = {
    "n_bins": "Number of bins.",
    "binning": "``equal_width`` or ``equal_mass``.",
    "norm": "``l1``, ``l2`` or ``max``.",
    "level": "Coverage, in (0, 1).",
    "sample_weight": "How much each sample counts, finite and >= 0, shape (N,); None: each counts once. "
    "Whole weights\n        are repeated samples.",
    "inputs": "``logits`` or ``probs``: what :meth:`update` is given; never guessed.",
    "ignore_index": "Label of samples that do not count.",
    "n_labels": "Number of labels L.",
    "average": "``macro``: the mean over labels, of those of which an entry was seen; ``micro``: of the entries of all "
    "labels\n        together; ``none``: each label's value, shape (L,).",
}


def documented(value: Documented) -> Documented:
    """Describe the arguments and errors that a docstring with an example leaves out.

    A function then takes arrays, see :func:`~adafocal._arrays.takes_arrays`.
    """
    names = tuple(inspect.signature(value).parameters)
    shared = OPTIONS | INPUTS.get(names[:2], {})
    if "Example:\n" in (value.__doc__ or ""):
        value.__doc__ = completed(value.__doc__, names, shared, {"Raises": _raises(shared, n_options=len(names) - 2)})
    return value if inspect.isclass(value) else takes_arrays(value)


def completed(text: str | None, names: Collection[str], shared: Mapping[str, str], sections: Mapping[str, str]) -> str:
    """Add to a docstring with arguments or an example the shared ones of these names, and the sections that it lacks.

    Arguments stand in the order of the names; what a docstring says itself stays as it is.
    """
    parts = inspect.cleandoc(text or "").split("\n\n")
    titles = [part.partition(":\n")[0] for part in parts]
    found = [titles.index(title) for title in ("Args", "Returns", "Raises", "Example") if title in titles]
    if not {"Args", "Example"} & {*titles}:
        return text or ""
    place, end = min(found), titles.index("Example") if "Example" in titles else len(parts)
    own = _arguments(parts[place]) if titles[place] == "Args" else {}
    known = {name: shared[name] for name in names if name in shared} | own
    arguments = [f"{name}: {known[name]}" for name in dict.fromkeys([*names, *known]) if name in known]
    added = [f"{title}:\n    {content}" for title, content in sections.items() if title not in titles]
    joined = "\n    ".join(["Args:", *arguments])
    return "\n\n".join([*parts[:place], joined, *parts[place + bool(own) : end], *added, *parts[end:]])


def described(text: str | None) -> dict[str, str]:
    """Find what a docstring says of each argument."""
    parts = inspect.cleandoc(text or "").split("\n\n")
    return next((_arguments(part) for part in parts if part.startswith("Args:\n")), {})


def _arguments(part: str) -> dict[str, str]:
    return {name: said for name, _, said in (one.partition(": ") for one in re.split(r"\n    (?=\w)", part)[1:])}


def _raises(shared: dict[str, str], *, n_options: int) -> str:
    wrong_type = shared.get("TypeError", "If a setting is of the wrong type.")
    reasons = shared.get("ValueError", "a setting is out of range").split(", ")
    reasons += ["an option is out of range"] if n_options and "ValueError" in shared else []
    wrong = " or ".join(reasons) if len(reasons) < 3 else ", ".join([*reasons[:-1], f"or {reasons[-1]}"])
    return f"TypeError: {wrong_type}\n    ValueError: If {wrong}."
