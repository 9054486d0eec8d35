# SPDX-License-Identifier: Apache-2.0
"""Logs of Inspect: ``.eval``, a zip file of a JSON file per sample, and ``.json``, one file of all of them.

A row is a sample of an epoch, an outcome. Whether it was right says a score; the confidence is what the score or the
sample keeps as ``confidence`` in its metadata, else the probability of the answer's tokens, where they were logged.

Reference:
    UK AI Security Institute, Inspect 0.3.285, ``EvalLog`` and ``EvalSample`` of ``inspect_ai.log``.
"""

import json
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from adafocal._checks import require
from adafocal._text import listed, shown
from adafocal.errors import InvalidValueError
from adafocal.tables.columns import Names
from adafocal.tables.log_rows import RULES, Log, LogRow, look_up, number, truth
from adafocal.tables.piece import FormatError, Piece
from adafocal.tables.source import LOCAL, REMEDIES, Source

KIND = "Inspect log"
ZSTD = 93  # which zipfile knows from Python 3.14 on
START, HEADER = "_journal/start.json", "header.json"
CORRECT = {"C": True, "I": False, "N": False}
NO_SCORE = "Samples left out because they have no score, as after an error: {n}."
NO_CONFIDENCE = "Samples left out because they have no confidence: {n}."
STATED = {"score": "`confidence` in the metadata of the score", "sample": "`metadata.confidence`"}.items()
WITHOUT = (
    "samples must say how sure the answer is, got none: let a scorer keep it as `confidence` in the metadata of its "
    "score, log the probabilities of tokens (--logprobs), or name where it is (--confidence metadata.NAME)"
)


def read_inspect(place: Source | Path, names: Names, numbers: int) -> Iterator[Piece]:
    """Read a log piece by piece.

    Args:
        place: The file.
        names: What the user says.
        numbers: How many a piece holds, about.

    Raises:
        ValueError: If the file is damaged or no such log, or nothing tells whether samples were right, or how sure.
    """
    source = Source.of(place)
    if names.filter is not None:
        raise InvalidValueError(f"`filter` must go with a log of lm-evaluation-harness, got {names.filter!r}")
    with (_in_json if source.format == ".json" else _in_zip)(source) as (head, samples):
        about = head.get("eval")
        if not isinstance(about, dict):
            raise FormatError.unreadable(KIND, "it does not say what was evaluated")
        epochs = look_up(about, "config.epochs")
        log = Log(source, names, ("task", "id", "epoch"), "sample" if isinstance(epochs, int) and epochs > 1 else None)
        if log.cluster is not None and names.cluster is None:
            log.say("Epochs of one sample belong together (--cluster sample).")
        if (status := head.get("status", "success")) != "success":
            log.say(f"The log ended with the status {shown(status)}: samples may be missing.")
        task = {"task": about.get("task"), "model": about.get("model")}
        yield from log.pieces(_rows(log, task, samples), numbers)


def _rows(log: Log, task: Mapping[str, Any], samples: Iterator[dict[str, Any]]) -> Iterator[LogRow]:
    """Turn samples into rows; those without a score or a confidence are counted."""
    some = False
    for row, sample in enumerate(samples):
        scores = sample.get("scores")
        score = _score(scores, log.names) if isinstance(scores, dict) and scores else None
        value = score.get("value") if isinstance(score, dict) else score
        if sample.get("error") or value is None or (isinstance(value, float) and math.isnan(value)):
            log.say(NO_SCORE, always=False)
            continue
        record = {**task, "sample": f"{task['task']}: {sample.get('id')}", **sample}
        name, confidence = _confidence(record, score if isinstance(score, dict) else {}, log.names, row)
        if confidence is None:
            log.say(NO_CONFIDENCE, always=False)
            continue
        some = True
        log.say(f"Confidence is {name}.")
        right = CORRECT[value] if isinstance(value, str) and value in CORRECT else truth(value, "value", row)
        yield LogRow(confidence, right, record)
    if not some and log.said[NO_CONFIDENCE]:
        raise InvalidValueError(WITHOUT)


def _score(scores: Mapping[str, Any], names: Names) -> Any:
    """The score that says what is right: the only one, or that which is named."""
    if names.correct is not None:
        found = look_up(scores, names.correct)
        if found is None and names.correct.partition(".")[0] not in scores:
            raise InvalidValueError(f"`correct` must name a score, of {listed(scores)}, got {names.correct!r}")
        return found
    if len(scores) > 1:
        raise InvalidValueError(f"`correct` must name the score that says what is right, of {listed(scores)}")
    (score,) = scores.values()
    if isinstance(score, dict) and isinstance(score.get("value"), dict):
        (name,), inner = scores, score["value"]
        held = listed(f"{name}.value.{one}" for one in inner)
        raise InvalidValueError(f"`correct` must name the value that says what is right, of {held}")
    return score


def _confidence(
    record: Mapping[str, Any], score: Mapping[str, Any], names: Names, row: int
) -> tuple[str, float | None]:
    """Where a sample says how sure its answer is, and how sure; None where it does not."""
    if names.confidence is not None:
        value, name = look_up(record, names.confidence), f"`{names.confidence}`"
        return name, None if value is None else number(value, names.confidence, row)
    for held, name in STATED if names.likelihood is None else ():
        value = look_up(score if held == "score" else record, "metadata.confidence")
        if value is not None:
            return name, number(value, "confidence", row)
    rule = names.likelihood or "sum"
    choices = look_up(record, "output.choices")
    tokens = look_up(choices[0], "logprobs.content") if isinstance(choices, list) and choices else None
    if not tokens:
        return "", None
    total = sum(number(one.get("logprob"), "logprob", row) for one in tokens)
    text = "".join(str(one.get("token")) for one in tokens)
    length = {"sum": 1, "token": len(tokens), "character": len(text), "byte": len(text.encode("utf-8", "replace"))}[
        rule
    ]
    said = f"the probability of the tokens of the answer, log-likelihoods {RULES[rule]}"
    return said, min(1.0, math.exp(total / max(1, length)))


@contextmanager
def _in_json(source: Source) -> Iterator[tuple[dict[str, Any], Iterator[dict[str, Any]]]]:
    """Open a log of one JSON file, which is read whole."""
    with source.opened() as stream:
        log = _parsed(bytes(stream.read()), "JSON")
    if not isinstance(log, dict) or not {"eval", "status"} <= log.keys():
        raise FormatError(f"must be an evaluation log of Inspect, got {{file}}, other JSON: {REMEDIES['.json']}.")
    samples = log.get("samples")
    yield log, iter(samples if isinstance(samples, list) else [])


@contextmanager
def _in_zip(source: Source) -> Iterator[tuple[dict[str, Any], Iterator[dict[str, Any]]]]:
    """Open a zip file, whose samples are read one by one."""
    with source.seekable() as place:
        file: BinaryIO = place.open("rb") if isinstance(place, Path) else place
        with file:
            try:
                archive = zipfile.ZipFile(file)
            except (zipfile.BadZipFile, OSError, ValueError) as error:
                raise FormatError.unreadable(KIND, error) from error
            held = archive.NameToInfo  # of a member that was written again, the last
            head = next((name for name in (HEADER, START) if name in held), None)
            if head is None:
                raise FormatError.unreadable(KIND, f"it holds no {START}")
            yield _member(file, held[head]), _samples(file, held)


def _samples(file: BinaryIO, held: Mapping[str, zipfile.ZipInfo]) -> Iterator[dict[str, Any]]:
    for name, info in held.items():
        parts = name.split("/")
        if parts[0] != "samples" or not ((len(parts) == 2 and name.endswith(".json")) or parts[-1] == "sample.json"):
            continue
        sample = _member(file, info)
        beside = held.get(f"{name.removesuffix('sample.json')}metadata.json") if len(parts) > 2 else None
        yield sample if beside is None else {**sample, "metadata": _member(file, beside)}


def _member(file: BinaryIO, info: zipfile.ZipInfo) -> dict[str, Any]:
    """Read a member, whichever of the two ways it is compressed."""
    try:
        file.seek(info.header_offset)
        local = file.read(LOCAL)
        name, extra = (int.from_bytes(local[place : place + 2], "little") for place in (26, 28))
        file.seek(name + extra, 1)
        data = file.read(info.compress_size)
        if info.compress_type == ZSTD:
            with require("pyarrow").CompressedInputStream(require("pyarrow").BufferReader(data), "zstd") as stream:
                data = stream.read()
        elif info.compress_type == zipfile.ZIP_DEFLATED:
            data = zlib.decompress(data, -zlib.MAX_WBITS)
        elif info.compress_type != zipfile.ZIP_STORED:
            raise FormatError.unreadable(KIND, f"{shown(info.filename)} is compressed in way {info.compress_type}")
    except (zlib.error, OSError) as error:
        raise FormatError.unreadable(KIND, f"{shown(info.filename)} is damaged ({error})") from error
    if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
        raise FormatError.unreadable(KIND, f"{shown(info.filename)} is damaged")
    found = _parsed(data, info.filename)
    if not isinstance(found, dict):
        raise FormatError.unreadable(KIND, f"{shown(info.filename)} holds no object")
    return found


def _parsed(data: bytes, name: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError.unreadable(KIND, f"{shown(name)} is no whole JSON ({error})") from error
