# SPDX-License-Identifier: Apache-2.0
"""What many functions take and raise, said once: docstrings name what is their own, the rest is added on import."""

import inspect
import re
from collections.abc import Callable
from typing import Any, TypeVar

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
    "inputs": "``logits`` or ``probs``: what :meth:`update` is given; never guessed.",
    "ignore_index": "Label of samples that do not count.",
}


def documented(value: Documented) -> Documented:
    """Describe the arguments and errors that a docstring with an example leaves out.

    Arguments stand in the order of the signature; what a docstring says itself stays as it is.
    """
    text, parameters = inspect.cleandoc(value.__doc__ or ""), inspect.signature(value).parameters
    if "Example:\n" not in text:
        return value
    names = tuple(parameters)
    shared = OPTIONS | INPUTS.get(names[:2], {})
    section = re.search(r"^Args:\n((?:    .*\n)+)\n", text, re.MULTILINE)
    own = re.split(r"^(?=    \w)", section[1] if section else "", flags=re.MULTILINE)
    described = {name: f"    {name}: {shared[name]}\n" for name in names if name in shared}
    described |= {argument.partition(":")[0].strip(): argument for argument in own if argument}
    arguments = "Args:\n" + "".join(described[name] for name in names if name in described) + "\n"
    if section:
        text = text.replace(section[0], arguments)
    else:
        text = re.sub(r"^(?=(Returns|Raises|Example):\n)", arguments.replace("\\", r"\\"), text, count=1, flags=re.M)
    if "Raises:\n" not in text:
        text = text.replace("Example:\n", _raises(shared, n_options=len(names) - 2) + "Example:\n", 1)
    value.__doc__ = text
    return value


def _raises(shared: dict[str, str], *, n_options: int) -> str:
    wrong_type = shared.get("TypeError", "If a setting is of the wrong type.")
    reasons = shared.get("ValueError", "a setting is out of range").split(", ")
    reasons += ["an option is out of range"] if n_options and "ValueError" in shared else []
    wrong = " or ".join(reasons) if len(reasons) < 3 else ", ".join([*reasons[:-1], f"or {reasons[-1]}"])
    return f"Raises:\n    TypeError: {wrong_type}\n    ValueError: If {wrong}.\n\n"
