# SPDX-License-Identifier: Apache-2.0
"""Changes of files that a fuzzer makes: of their bytes, and of what they say."""

import json

import numpy as np

PIECES = [
    b"\0",
    b"\xff",
    b"\x1b[2J",
    b"nan",
    b"inf",
    b"-1",
    b"1e400",
    b'"',
    b",",
    b"\n",
    b"0_1",
    b"\xe9",
    b"{",
    b"[" * 50,
]
ODD = [None, True, -1, 0, 1e308, 10**30, "", "x\x1b[2J", "../x", [], {}, [[]], [None], {"a": {}}, 0.5, "1"]


def changed_bytes(data, rng):
    """Give a copy with a few bytes flipped, cut, doubled, zeroed or put in."""
    data = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        if not data:
            return bytes(data)
        at, n = int(rng.integers(len(data))), int(rng.integers(1, 40))
        kind = rng.integers(6)
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            del data[at : at + n]
        elif kind == 3:
            data[at:at] = data[at : at + n]
        elif kind == 4:
            data[at : at + n] = bytes(n)
        else:
            data[at:at] = PIECES[int(rng.integers(len(PIECES)))]
    return bytes(data)


def changed_json(text, rng):
    """Give a copy in which one value, anywhere, is another, is gone, or is there twice."""
    content = json.loads(text)
    place, key = content, None
    while isinstance(place, (dict, list)) and len(place) and (key is None or rng.random() < 0.7):
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        parent, key = place, keys[int(rng.integers(len(keys)))]
        place = parent[key]
    if rng.random() < 0.3:
        del parent[key]
    elif rng.random() < 0.1 and isinstance(parent, list):
        parent.insert(0, parent[key])
    else:
        parent[key] = ODD[int(rng.integers(len(ODD)))]
    return json.dumps(content)


def odd_columns(rng, n=6):
    """Give columns of a table, most of them as they should be."""
    probs = rng.dirichlet(np.ones(3), n)
    columns = {f"prob_{k}": probs[:, k] for k in range(3)} | {"label": rng.integers(0, 3, n)}
    sound = dict(columns)
    for _ in range(int(rng.integers(0, 3))):
        name = list(columns)[int(rng.integers(len(columns)))]
        values = sound[name]
        kinds = [
            values.astype(np.float32), values.astype(np.float16), values.astype(int), values.astype(bool),
            values.astype(str), values * np.nan, values * np.inf, -values, values * 1e30, values.astype(">f8"),
            values[: n - 1], np.zeros((n, 2)), values.astype(complex), values.astype(object), np.array(0.5),
            np.array(["2020-01-01"] * n, dtype="datetime64[D]"), np.zeros(n, dtype="V4"), np.zeros((n, 0)),
            values.astype(np.uint8), np.full(n, 2**63, dtype=np.uint64),
        ]  # fmt: skip
        columns[name] = kinds[int(rng.integers(len(kinds)))]
    if rng.random() < 0.2:
        columns["\x1b[2J" if rng.random() < 0.5 else "labels"] = columns.pop(next(iter(columns)))
    return columns
