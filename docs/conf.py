"""How the documentation is built; ``scripts/docs`` does it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent

# What is compiled shows no signatures.
os.environ["WS4PY_MIDDLEWARE_PURE"] = "1"
sys.path[:0] = [str(ROOT)]

from ws4py_middleware import __version__  # noqa: E402

project = "ws4py_middleware"
author = "the ws4py_middleware authors"
copyright = author
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
    "scripts.lib.docs.references",
]
# Code beside the pages is no page, and reports of other tools are none either.
exclude_patterns = ["code", "_build"]
nitpicky = True
nitpick_ignore = [("py:meth", "asyncio.loop.create_server")]  # documented under a name that it has not

# --- Markdown ------------------------------------------------------------------------------------

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 4
# Included files (CHANGELOG.md) begin where they like.
suppress_warnings = ["myst.header"]

# --- Docstrings ------------------------------------------------------------------------------------

autodoc_typehints = "signature"
maximum_signature_line_length = 100  # of what is longer, each parameter has a line
autodoc_member_order = "bysource"
autodoc_default_options = {"inherited-members": True}
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_google_docstring = True

# Docstrings' own examples are run by pytest, with the names of their modules.
doctest_test_doctest_blocks = ""

# --- HTML -----------------------------------------------------------------------------------------

html_theme = "furo"
html_title = "ws4py_middleware"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_copy_source = False
html_show_copyright = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True
pygments_dark_style = "github-dark"
