# SPDX-License-Identifier: Apache-2.0
"""Templates to one self-contained HTML file: no request leaves it, and nothing from data is taken for markup."""

import base64
import hashlib
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from adafocal._checks import require
from adafocal._text import is_hidden

LONGEST_NAME = 80
ALLOWED = {"\n", "\t"}
BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


def render_page(template: str, values: Mapping[str, Any]) -> str:
    """Fill a template of this folder.

    Args:
        template: File name, such as ``study.html``; it extends ``base.html``.
        values: What the template names; every text is cleaned by :func:`clean` and escaped.

    Returns:
        The page.

    Raises:
        ModuleNotFoundError: Without jinja2, with the command that installs it.
    """
    jinja2 = require("jinja2", extra="report")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("adafocal.report", package_path="."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=clean,
    )
    script = _text("sort.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    page: str = environment.get_template(template).render(
        {
            "style": jinja2.utils.markupsafe.Markup(_text("page.css")),
            "script": jinja2.utils.markupsafe.Markup(script),
            "script_hash": f"sha256-{digest}",
            **values,
        }
    )
    return page


def clean(value: Any) -> Any:
    """Replace what is invisible in a text, such as marks that reverse the reading direction, by ``�``.

    Example:
        >>> clean("a\\u202eb")
        'a�b'
    """
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    if value.isascii() and value.isprintable():
        return value
    return "".join("\ufffd" if sign not in ALLOWED and is_hidden(sign) else sign for sign in value)


def short(text: object, longest: int = LONGEST_NAME) -> str:
    """Put a name from data on one line and cut it.

    Example:
        >>> short("a  b\\nc"), short("abcdef", 4)
        ('a b c', 'abc…')
    """
    line = " ".join(clean(str(text)).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def is_base64(text: object) -> bool:
    """Tell whether a text can stand in a ``data:`` address."""
    return isinstance(text, str) and BASE64.fullmatch(text) is not None


def _text(name: str) -> str:
    return files("adafocal.report").joinpath(name).read_text(encoding="utf-8")
