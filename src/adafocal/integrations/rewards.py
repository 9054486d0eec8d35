# SPDX-License-Identifier: Apache-2.0
"""Stated confidences of language models, and the two rewards that train a model to state true ones."""

import math
import re
from collections.abc import Callable, Sequence

from adafocal._text import shown
from adafocal.errors import InvalidTypeError, InvalidValueError

NUMBER = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(%|percent)?\s*", re.IGNORECASE)


def stated_confidence(text: str, *, tag: str = "confidence") -> float | None:
    """Read the confidence that an answer states, or refuse: nothing is guessed.

    Taken are ``<confidence>0.8</confidence>``, ``80 %`` and ``80 percent`` in the tag.

    Args:
        text: An answer of a model.
        tag: Name of the tag, in any case.

    Returns:
        A number in [0, 1]; None where there is no tag, more than one (also if they agree), one that is not closed or
        holds anything else than a number, a number above 1 without a percent sign, or a percentage above 100.

    Raises:
        TypeError: If ``text`` or ``tag`` is not a string.

    Example:
        >>> stated_confidence("<answer>4</answer><confidence>80 %</confidence>"), stated_confidence("about 0.8")
        (0.8, None)
    """
    found = NUMBER.fullmatch(_only(text, tag) or "")
    if found is None:
        return None
    value = float(found[1]) / (100.0 if found[2] else 1.0)
    return value if value <= 1.0 else None


def stated_answer(text: str, *, tag: str = "answer") -> str | None:
    """Read the answer in its tag, without the space around it.

    Args:
        text: An answer of a model.
        tag: Name of the tag, in any case.

    Returns:
        What the tag holds; None where there is no tag, more than one, or one that is not closed.

    Raises:
        TypeError: If ``text`` or ``tag`` is not a string.

    Example:
        >>> stated_answer("So <answer> 4 </answer>")
        '4'
    """
    found = _only(text, tag)
    return None if found is None else found.strip()


def same_answer(answer: str, solution: str) -> bool:
    """Compare two answers: whether they are the same text but for case and space.

    Example:
        >>> same_answer("New  York", "new york"), same_answer("4.0", "4")
        (True, False)
    """
    return " ".join(answer.split()).casefold() == " ".join(solution.split()).casefold()


def correctness_reward(
    completions: Sequence[object],
    solution: Sequence[object],
    *,
    same: Callable[[str, str], bool] = same_answer,
    **columns: object,  # noqa: ARG001, as TRL gives every column
) -> list[float]:
    """Reward a right answer by 1, as ``reward_funcs`` of TRL's ``GRPOTrainer``.

    Args:
        completions: Answers, as texts or as messages whose last ``content`` is read.
        solution: The true answers, the column ``solution`` of the data set.
        same: Whether an answer is right; bind your own by ``functools.partial(correctness_reward, same=...)``.
        columns: The other columns, which are not read.

    Returns:
        1.0 where the answer in ``<answer>`` is right, else 0.0, also where none can be read.

    Raises:
        TypeError: If a completion is neither text nor messages.
        ValueError: If there are not as many solutions as completions.

    Example:
        >>> correctness_reward(["<answer>4</answer>", "4"], ["4", "4"])
        [1.0, 0.0]

    Reference:
        Damani et al., "Beyond binary rewards: training LMs to reason about their uncertainty", ICLR 2026,
        https://arxiv.org/abs/2507.16806: the reward is this one plus :func:`brier_reward`.
    """
    if len(solution) != len(completions):
        raise InvalidValueError(
            f"`solution` must hold one answer per completion, {len(completions)}, got {len(solution)}."
        )
    answers = [stated_answer(_text(completion)) for completion in completions]
    return [
        float(answer is not None and same(answer, str(true))) for answer, true in zip(answers, solution, strict=True)
    ]


def brier_reward(
    completions: Sequence[object],
    solution: Sequence[object],
    *,
    same: Callable[[str, str], bool] = same_answer,
    unstated: float = -1.0,
    **columns: object,  # noqa: ARG001, as TRL gives every column
) -> list[float]:
    """Reward a stated confidence q by ``-(q - correct)^2``, as ``reward_funcs`` of TRL's ``GRPOTrainer``.

    Give it beside :func:`correctness_reward`, with equal weights: that sum is highest for the likeliest answer with the
    confidence that it deserves.

    Args:
        completions: As there.
        solution: As there.
        same: As there; give both the same.
        unstated: Reward of an answer without a confidence that can be read, in [-1, 0]; -1 is that of being sure and
            wrong, so that stating none never pays.
        columns: The other columns, which are not read.

    Returns:
        Rewards in [-1, 0].

    Raises:
        TypeError: If a completion is neither text nor messages.
        ValueError: If there are not as many solutions as completions, or ``unstated`` is out of range.

    Example:
        >>> brier_reward(["<answer>4</answer><confidence>0.5</confidence>", "4"], ["4", "4"])
        [-0.25, -1.0]

    Reference:
        Damani et al., "Beyond binary rewards: training LMs to reason about their uncertainty", ICLR 2026,
        https://arxiv.org/abs/2507.16806 (RLCR). Theirs is the sum with the reward of correctness. How an answer that
        states none is rewarded is ours.
    """
    if not (isinstance(unstated, (int, float)) and math.isfinite(unstated) and -1.0 <= unstated <= 0.0):
        raise InvalidValueError(f"`unstated` must be a number in [-1, 0], got {shown(unstated)}.")
    right = correctness_reward(completions, solution, same=same)
    stated = [stated_confidence(_text(completion)) for completion in completions]
    return [
        unstated if confidence is None else -((confidence - correct) ** 2)
        for confidence, correct in zip(stated, right, strict=True)
    ]


def _only(text: str, tag: str) -> str | None:
    """Give what the only tag of this name holds; None where there is not exactly one, opened and closed."""
    for name, value in (("text", text), ("tag", tag)):
        if not isinstance(value, str):
            raise InvalidTypeError(f"`{name}` must be a string, got {shown(value)}.")
    opened, closed = (list(re.finditer(f"<{slash}{re.escape(tag)}>", text, re.IGNORECASE)) for slash in ("", "/"))
    if len(opened) != 1 or len(closed) != 1 or closed[0].start() < opened[0].end():
        return None
    return text[opened[0].end() : closed[0].start()]


def _text(completion: object) -> str:
    """Give the text of a completion, or of the last message of one."""
    last = completion[-1] if isinstance(completion, list) and completion else completion
    content = last.get("content") if isinstance(last, dict) else last
    if content is None and isinstance(last, dict):  # a call of a tool says nothing
        return ""
    if not isinstance(content, str):
        raise InvalidTypeError(
            f"`completions` must hold texts, or messages whose `content` is a text, got {shown(completion)}."
        )
    return content
