# SPDX-License-Identifier: Apache-2.0
"""Templates to one self-contained HTML file: no request leaves it, and nothing from data is taken for markup."""

import base64
import hashlib
import re
from collections.abc import Mapping
from importlib.resources import files

from adafocal._checks import require
from adafocal._text import cleaned

BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


def render_page(template: str, values: Mapping[str, object]) -> str:
    """Fill a template of this folder.

    Args:
        template: File name, such as ``study.html``; it extends ``base.html``.
        values: What the template names; every text is cleaned by :func:`clean` and escaped.

    Returns:
        The page.

    Raises:
        ModuleNotFoundError: Without jinja2, with the command that installs it.
    """
    jinja2 = require("jinja2")
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
    style, script = (jinja2.utils.markupsafe.Markup(text) for text in (_text("page.css"), script))
    ours = {"style": style, "script": script, "script_hash": f"sha256-{digest}"}
    page: str = environment.get_template(template).render({**ours, **values})
    return page


def clean(value: object) -> object:
    """Clean a text by :func:`~adafocal._text.cleaned`; markup of ours and all else stays as it is."""
    return cleaned(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def is_base64(text: object) -> bool:
    """Tell whether a text can stand in a ``data:`` address."""
    return isinstance(text, str) and BASE64.fullmatch(text) is not None


def _text(name: str) -> str:
    return files("adafocal.report").joinpath(name).read_text(encoding="utf-8")
