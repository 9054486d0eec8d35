# SPDX-License-Identifier: Apache-2.0
"""The documentation site: ``make docs`` builds it into ``site/``, with every warning an error."""

import sys

import adafocal

sys.modules["jaxtyping"] = None  # type: ignore[assignment]  # then signatures say Tensor; the text has the shapes

project = "adafocal"
author = "The adafocal authors"
version = release = adafocal.__version__
copyright = f"{author}, Apache-2.0"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
myst_heading_anchors = 4

nitpicky = True
# The `n` of a shape in a signature is taken for a reference, and two records have an attribute of that name.
suppress_warnings = ["ref.python"]
nitpick_ignore = [  # what rooms hand each other, of no use to others
    ("py:class", f"adafocal.{name}")
    for name in (
        "results.outcome.Outcome",
        "data.features.FeatureEncoding",
        "data.given.GivenPart",
        "study.losses.StudyLoss",
        "scaling.files.Described",
        "scaling.crossfit.Fitted",
    )
]
nitpick_ignore_regex = [("py:.*", r"(?!adafocal\b).*")]  # names of other libraries are not linked, ours must resolve

autodoc_typehints_format = "short"
autodoc_member_order = "groupwise"
python_maximum_signature_line_length = 100
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = ["Formula", "Reference", "Differs from the paper"]

html_theme = "furo"
html_title = f"adafocal {version}"
html_copy_source = False
html_show_sphinx = False
