# SPDX-License-Identifier: Apache-2.0
"""Text for LaTeX that pdflatex compiles without a package, whatever names it holds."""

import unicodedata

# What has a meaning in LaTeX; brackets and stars have one after the end of a row.
SIGNS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$", "|": r"$|$", "[": "{[}",
    "]": "{]}",
    "*": "{*}", "→": r"$\to$", "←": r"$\leftarrow$", "±": r"$\pm$", "−": r"$-$", "×": r"$\times$",
    "·": r"$\cdot$",

    "≤": r"$\le$", "≥": r"$\ge$", "≠": r"$\ne$", "≈": r"$\approx$", "∞": r"$\infty$", "°": r"$^\circ$", "√": r"$\surd$",
    "∑": r"$\sum$", "∂": r"$\partial$", "∓": r"$\mp$", "–": "--", "—": "---", "…": r"\ldots{}", "‘": "`", "’": "'",
    "“": "``", "”": "''", "µ": r"$\mu$", "ø": r"{\o}", "Ø": r"{\O}", "æ": r"{\ae}", "Æ": r"{\AE}", "œ": r"{\oe}",
    "Œ": r"{\OE}", "ß": r"{\ss}", "ł": r"{\l}", "Ł": r"{\L}", "ı": r"{\i}", "å": r"{\aa}", "Å": r"{\AA}",
    "§": r"{\S}", "¶": r"{\P}", "©": r"{\copyright}", "£": r"{\pounds}", "¿": "?`", "¡": "!`",
}  # fmt: skip
# By the combining mark that a letter with an accent comes apart into.
ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".",
    "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c",
}  # fmt: skip
# Capital letters of Greek that LaTeX knows; the others look like Latin ones, as does omicron.
GREEK = ("GAMMA", "DELTA", "THETA", "LAMDA", "XI", "PI", "SIGMA", "UPSILON", "PHI", "PSI", "OMEGA")
LIKE_LATIN = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΧο", "ABEZHIKMNOPTXo", strict=True))


def latex(text: str) -> str:
    """Escape what has a meaning in LaTeX, and write what it has no letter for as its number, ``U+6570``.

    Example:
        >>> latex("α_1 & 50 %"), latex("naïve [数]")
        ('$\\\\alpha$\\\\_1 \\\\& 50 \\\\%', 'na\\\\"{\\\\i}ve {[}U+6570{]}')
    """
    return "".join(map(_letter, unicodedata.normalize("NFC", text)))


def _letter(sign: str) -> str:
    if sign in SIGNS:
        return SIGNS[sign]
    if sign.isascii() and sign.isprintable():
        return sign
    if sign in LIKE_LATIN:
        return LIKE_LATIN[sign]
    name = unicodedata.name(sign, "")
    for kind, known in (("SMALL", None), ("CAPITAL", GREEK)):
        letter = name.removeprefix(f"GREEK {kind} LETTER ")
        if letter != name and letter.isalpha() and (known is None or letter in known):
            letter = {"LAMDA": "LAMBDA"}.get(letter, letter)
            return f"$\\{letter.capitalize() if known else letter.lower()}$"
    apart = unicodedata.normalize("NFD", sign)
    letter = apart[0]
    if len(apart) == 2 and letter.isascii() and apart[1] in ACCENTS:
        return f"\\{ACCENTS[apart[1]]}{{{chr(92) + letter if letter in 'ij' else letter}}}"
    plain = unicodedata.normalize("NFKC", sign)
    return latex(plain) if plain.isascii() and plain else f"U+{ord(sign):04X}"
