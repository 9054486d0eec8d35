# SPDX-License-Identifier: Apache-2.0
"""What text from data becomes on its way to a person: everything visible, nothing that a terminal obeys."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

# Joiners are part of some scripts and emoji; the other invisible characters can reorder, hide or command.
JOINERS = ("\u200c", "\u200d")
HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
LONGEST_VALUE, LONGEST_LIST, LONGEST_NAME = 100, 20, 80
PAGE_KEEPS = "\n\t"
LINE_END = re.compile(r"\s*\n\s*")  # as tensors have; texts show theirs as escapes


def is_hidden(sign: str) -> bool:
    """Tell whether a character shows nothing of itself, a tab and the end of a line among them."""
    if sign in JOINERS:
        return False
    # The last two of each plane are no characters; XML has no place for them.
    return unicodedata.category(sign) in HIDDEN or (ord(sign) & 0xFFFE) == 0xFFFE


def printable(text: object, *, longest: int | None = None, keep: str = "") -> str:
    """Show hidden characters, such as those that steer a terminal or turn the reading direction, as escapes.

    Args:
        text: From data.
        longest: Cut after so many characters; None for no cut.
        keep: Hidden characters that stay, such as the ends of lines.

    Example:
        >>> printable("a\\x1b[2J\\u202eb"), printable("abcdef", longest=4)
        ('a\\\\x1b[2J\\\\u202eb', 'abc…')
    """
    line = str(text)
    if not line.isprintable() or not line.isascii():
        line = "".join(_escape(sign) if sign not in keep and is_hidden(sign) else sign for sign in line)
    return line if longest is None or len(line) <= longest else line[: longest - 1] + "…"


def _escape(sign: str) -> str:
    return sign.encode("unicode_escape", "surrogatepass").decode("ascii")


def shown(value: object) -> str:
    """Quote a value from data in a sentence, by its ``repr``: visible and not too long."""
    try:
        return printable(LINE_END.sub(" ", repr(value)), longest=LONGEST_VALUE)
    except (ValueError, RecursionError):  # an integer of thousands of digits, or lists within lists
        return f"a {type(value).__name__} too long to show"


def listed(names: Iterable[object]) -> str:
    """Join names from data by commas as sentences list them: visible, and not too many.

    Example:
        >>> listed(["a", "b\\n"])
        'a, b\\\\n'
    """
    names = list(names)
    texts = [printable(name, longest=LONGEST_VALUE) for name in names[:LONGEST_LIST]]
    return ", ".join([*texts, *([f"… ({len(names):,} in all)"] if len(names) > LONGEST_LIST else [])])


def cleaned(text: str) -> str:
    """Replace what is invisible in a text, such as marks that reverse the reading direction, by ``�``.

    Example:
        >>> cleaned("a\\u202eb")
        'a�b'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join("\ufffd" if sign not in PAGE_KEEPS and is_hidden(sign) else sign for sign in text)


def capital(text: str) -> str:
    """Begin a text with a capital, and leave the rest.

    Example:
        >>> capital("ECE of a"), capital("mean"), capital("")
        ('ECE of a', 'Mean', '')
    """
    return text[:1].upper() + text[1:]


def short(text: object, longest: int = LONGEST_NAME) -> str:
    """Put a name from data on one line and cut it.

    Example:
        >>> short("a  b\\nc"), short("abcdef", 4)
        ('a b c', 'abc…')
    """
    line = " ".join(cleaned(str(text)).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def told_apart(
    names: Sequence[object], write: Callable[[object], str] = short, longest: int = LONGEST_NAME
) -> list[str]:
    """Shorten names from data so that no two that differ become the same text.

    What its beginning does not tell apart keeps its end as well, and what that does not is numbered.

    Args:
        names: From data.
        write: Makes a text of a name, such as :func:`short` or :func:`printable`.
        longest: Cut after so many characters, about.

    Example:
        >>> told_apart(["north: east", "north: west", "south"], longest=8), told_apart(["a\\tb", "a b"])
        (['nor…east', 'nor…west', 'south'], ['a b (1)', 'a b (2)'])
    """
    whole = [write(name) if write is not short else short(name, len(str(name)) + 1) for name in names]
    half = (longest - 1) // 2
    starts = [text if len(text) <= longest else text[: longest - 1] + "…" for text in whole]
    shared = Counter(starts)
    texts = [
        start if shared[start] == 1 or len(text) <= longest else f"{text[:half]}…{text[half + 1 - longest :]}"
        for text, start in zip(whole, starts, strict=True)
    ]
    held, seen = Counter(texts), Counter[str]()
    for place, text in enumerate(texts):
        if held[text] > 1:
            seen[text] += 1
            texts[place] = f"{text} ({seen[text]})"
    return texts


def without_shared_words(names: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out what all names begin with up to a `_`, unless nothing is left of one.

    Example:
        >>> without_shared_words(("p_cat", "p_car"))
        ('cat', 'car')
    """
    first, last = min(names), max(names)
    shared = next((place for place, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), 0)
    start = first.rfind("_", 0, shared) + 1
    return tuple(name[start:] for name in names) if all(name[start:] for name in names) else names
