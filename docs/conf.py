"""The documentation as a site: the pages, the notebooks with what they gave, and the API by its docstrings.

``make docs`` lays README, docs and the executed notebooks out in ``docs/_build/source`` as they lie in the
repository, so that one link works in both. Nothing in a built page is fetched from outside.
"""

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from dhaps_core import __version__

project = "dhaps"
version = release = __version__
copyright = "the authors of dhaps, MIT licence"  # noqa: A001
root_doc = "docs/index"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx-mathjax-offline",
]
templates_path = [str(Path(__file__).parent / "_templates")]

# Pages are Markdown of one kind with the notebooks; headings are link targets as on GitHub.
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # papermill has run them; see the Makefile
nb_ipywidgets_js = {}  # these would come from other hosts; headless runs draw pictures in place of widgets
nb_merge_streams = True

viewcode_follow_imported_members = False  # or the way back leads to where a name is not explained
autosummary_generate = True
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
maximum_signature_line_length = 90
napoleon_numpy_docstring = False
napoleon_use_ivar = True
add_module_names = False
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = "dhaps"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["lecture.js"]
html_additional_pages = {"index": "door.html"}
html_copy_source = False
html_show_sphinx = False


def keep_bars(*told: Any) -> None:
    """In docstrings |x| is a length; reStructuredText would take it for the name of a text to put there."""
    lines, code = told[-1], False
    for at, line in enumerate(lines):
        code = line.strip() != "" if code else line.lstrip().startswith(">>>")
        if not code:
            lines[at] = re.sub(r"(``.*?``)|\|", lambda found: found[1] or r"\|", line)


def keep_first_lines(_: Sphinx, what: str, *told: Any) -> None:
    """Of an attribute this is a sentence; napoleon would take what stands before a colon for a type."""
    if what in ("attribute", "data", "property"):
        told[-1].insert(0, "\\")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", keep_first_lines, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", keep_bars)
