# SPDX-License-Identifier: Apache-2.0
"""Sample files of lm-evaluation-harness: ``samples_TASK_DATE.jsonl``, which ``--log_samples`` writes.

A row is a document and a filter. Of multiple choice it holds the log-likelihood of every choice, the logits of its
probabilities: as they are the largest is the answer of the harness's ``acc``, divided by the length of the choice in
characters that of ``acc_norm``, in bytes that of ``acc_bytes``. Where a row has these measures, they must agree.

Reference:
    EleutherAI, lm-evaluation-harness 0.4.13, ``ConfigurableTask.process_results``.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from adafocal._text import listed, shown
from adafocal.errors import InvalidValueError
from adafocal.tables.columns import Names
from adafocal.tables.labels import WHOLE
from adafocal.tables.log_rows import RULES, Log, LogRow, check_there, look_up, number, truth
from adafocal.tables.piece import Piece, RowError
from adafocal.tables.source import Source

HELD = {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps"}
MORE = {"task", "filter", "metrics", "doc_hash", "prompt_hash", "target_hash"}
AGREES = {"sum": "acc", "character": "acc_norm", "byte": "acc_bytes"}
FILE = re.compile(r"samples_(?P<task>.+?)_\d{4}-\d{2}-\d{2}T.*")
DELIMITER = " "  # of the harness between question and choice, unless a task says otherwise
NO_CONFIDENCE = (
    ": name what holds a confidence of the answer, such as --confidence doc.NAME, or log the task as multiple_choice"
)


def is_sample(first: Mapping[str, Any]) -> bool:
    """Tell by the names in its first line whether a file is one of these."""
    return first.keys() >= HELD


def read_samples(source: Source, samples: Iterable[dict[str, Any]], names: Names, numbers: int) -> Iterator[Piece]:
    """Read the samples of a task piece by piece.

    Args:
        source: The file.
        samples: Its lines.
        names: What the user says.
        numbers: How many a piece holds, about.

    Raises:
        ValueError: If a line is no sample, nothing tells its confidence, or its measures are not those of its
            likelihoods.
    """
    log = Log(source, names, beside=("task", "doc_id", "filter"))
    found = FILE.fullmatch(source.name)
    rule, outcomes = names.likelihood or "sum", names.of_outcomes

    def rows() -> Iterator[LogRow]:
        chosen = names.filter
        for row, sample in enumerate(samples):
            _check_held(sample, row)
            of_row = str(sample.get("filter", "none"))
            chosen = of_row if chosen is None else chosen
            if of_row != chosen and names.filter is not None:
                continue
            if of_row != chosen:
                what = f"rows must be of one filter of the answers, got {shown(chosen)} and {shown(of_row)}"
                raise RowError(what, row, ": name one by --filter")
            record = sample if found is None else {"task": found["task"], **sample}
            if names.confidence is not None:
                yield _stated(record, names, row)
                continue
            scores, right = _choices(sample, rule, row)
            log.say(f"Log-likelihoods of choices became probabilities by softmax, {RULES[rule]}.")
            yield _top(scores, right, record, names, row) if outcomes else LogRow(scores.tolist(), right, record)

    some = False
    for piece in log.pieces(rows(), numbers):
        some |= piece.n > 0
        yield piece
    if not some and names.filter is not None:
        raise InvalidValueError(f"`filter` must be a filter of the log, got {names.filter!r}")


def _check_held(sample: Mapping[str, Any], row: int) -> None:
    missing = [name for name in sorted(HELD) if name not in sample]
    if missing:
        raise RowError(f"samples must hold {listed(missing)} as the first does, got {listed(sample) or 'nothing'}", row)


def _stated(record: Mapping[str, Any], names: Names, row: int) -> LogRow:
    """Take a confidence from where the user says, and whether the answer was right from the measure."""
    place, measure = str(names.confidence), names.correct
    if row == 0:
        check_there([place, *([] if measure is None else [measure])], record)
    if measure is None:
        measures = [name for name in record if name not in HELD | MORE and isinstance(record[name], (int, float))]
        if len(measures) != 1:
            held = listed(measures) or "which there is none"
            raise InvalidValueError(f"`correct` must name the measure that says what is right, of {held}")
        (measure,) = measures
    return LogRow(number(look_up(record, place), place, row), truth(look_up(record, measure), measure, row), record)


def _top(scores: np.ndarray, right: int, record: Mapping[str, Any], names: Names, row: int) -> LogRow:
    """Take the likeliest choice as the answer, and its probability as the confidence."""
    top = int(scores.argmax())
    correct = top == right
    if names.correct is not None:
        if row == 0:
            check_there([names.correct], record)
        correct = truth(look_up(record, names.correct), names.correct, row)
    return LogRow(float(1 / np.exp(scores - scores[top]).sum()), correct, record)


def _choices(sample: Mapping[str, Any], rule: str, row: int) -> tuple[np.ndarray, int]:
    """The scores of the choices by a rule, shape (C,), and which one is right."""
    requests = _requests(sample["arguments"], row)
    pairs = sample["filtered_resps"]
    plain = isinstance(pairs, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in pairs)
    if not plain or len(pairs) != len(requests) or len(requests) < 2:
        kind = "one log-likelihood" if plain and len(requests) == 1 else "an answer in words"
        raise RowError(f"samples must hold log-likelihoods of several choices, got {kind}", row, NO_CONFIDENCE)
    likelihoods = np.array([number(pair[0], "filtered_resps", row) for pair in pairs])
    half = len(requests) // 2
    if [text for _, text in requests[:half]] == [text for _, text in requests[half:]] and not any(
        context for context, _ in requests[half:]
    ):  # of `acc_mutual_info`: the choices once more, without the question
        requests, likelihoods = requests[:half], likelihoods[:half]
    scores = likelihoods / _lengths(requests, rule, row)
    right = _target(sample, requests)
    if right is None and len(requests) == 2 and isinstance(known := sample.get("acc"), (int, float)):
        right = int(likelihoods.argmax()) if known else 1 - int(likelihoods.argmax())
    if right is None:
        what = f"`target` must name one of {len(requests)} choices, got {shown(sample['target'])}"
        raise RowError(what, row, ": a question of several right choices has no one label")
    _check_agrees(sample, AGREES[rule], int(scores.argmax()) == right, row)
    return scores, right


def _check_agrees(sample: Mapping[str, Any], measure: str, told: bool, row: int) -> None:
    """Refuse a task whose own count of what is right is not that of its log-likelihoods."""
    known = sample.get(measure)
    if isinstance(known, (int, float)) and bool(known) != told:
        what = f"`{measure}` must be what the log-likelihoods tell, {int(told)}, got {known:g}"
        raise RowError(what, row, ": the task counts in a way of its own")


def _requests(arguments: Any, row: int) -> list[tuple[str, str]]:
    """Context and continuation of every request; older versions wrote them without names."""
    held = list(arguments.values()) if isinstance(arguments, dict) else arguments
    if isinstance(held, list):
        plain = [list(one.values()) if isinstance(one, dict) else one for one in held]
        if all(isinstance(one, list) and len(one) >= 2 and isinstance(one[0], str) for one in plain):
            return [(one[0], one[1] if isinstance(one[1], str) else "") for one in plain]
    raise RowError(f"`arguments` must hold what the model was asked, got {shown(arguments)}", row)


def _lengths(requests: Sequence[tuple[str, str]], rule: str, row: int) -> np.ndarray:
    """What log-likelihoods are divided by, shape (C,)."""
    if rule == "sum":
        return np.ones(len(requests))
    if rule == "token":
        raise InvalidValueError(
            "`likelihood` must be sum, character or byte for lm-evaluation-harness, whose files do not say how many "
            "tokens a choice has, got 'token'"
        )
    texts = [text.removeprefix(DELIMITER) for _, text in requests]
    if len(set(texts)) == 1:  # the choices are in the contexts, and nothing tells where
        raise RowError("`arguments` must tell how long each choice is, got choices within the contexts", row, REMEDY)
    lengths = np.array([len(text if rule == "character" else text.encode("utf-8")) for text in texts], np.float64)
    if not lengths.all():
        raise RowError("`arguments` must hold choices of at least one character, got an empty one", row, REMEDY)
    return lengths


REMEDY = ": --likelihood sum needs none"


def _target(sample: Mapping[str, Any], requests: Sequence[tuple[str, str]]) -> int | None:
    """Which choice is right, by its number or its text; None where the target is neither."""
    target, texts = str(sample["target"]), [text for _, text in requests]
    if len(set(texts)) == 1:
        return None
    if (whole := WHOLE.fullmatch(target)) is not None and 0 <= int(whole[1]) < len(texts):
        return int(whole[1])
    same = [place for place, text in enumerate(texts) if target in (text, text.removeprefix(DELIMITER))]
    return same[0] if len(same) == 1 else None
