"""Sphinx configuration: the Markdown of this folder, and the API reference out of the docstrings. See ``make docs``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))

from airflow_provider_campaign import __version__  # noqa: E402 the package needs no installation here

project = "airflow-provider-campaign"
version = release = __version__
language = "en"
extensions = ["myst_parser", "autoapi.extension"]
exclude_patterns = ["README.md"]  # the index for readers on GitHub, which index.md takes in
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!airflow_provider_campaign\.)[a-z_]+\..*"),  # other projects' names would need a network
    ("py:exc", r"Airflow\w+"),
    ("py:class", r"airflow_provider_campaign\.(client|platforms|hooks\.connection_fields)\..*"),  # types, not public
]

myst_heading_anchors = 4

# The sources are parsed, not imported: that takes no Airflow.
autoapi_dirs = ["../airflow_provider_campaign"]
autoapi_ignore = ["*/sandbox/*", "*/cli/*", "*/ui/*"]  # nothing in them is imported by users
autoapi_generate_api_docs = False
suppress_warnings = ["autoapi.python_import_resolution"]  # of what is ignored
autodoc_typehints = "signature"

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"{project} {release}"
html_show_copyright = html_show_sphinx = html_copy_source = html_show_sourcelink = False


def add_toctrees(app: Sphinx, document: str, source: list[str]) -> None:
    """Give each section of the index its place in the site's navigation: the index stays the only list of pages."""
    if document != "index":
        return
    for section in re.split(r"^## ", (DOCS / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        pages = re.findall(r"^\| \[.*?\]\((\S+?)\.(?:md|rst)\)", section, re.MULTILINE)
        caption = section.partition("\n")[0]
        source[0] += "\n".join(["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```", ""])


def setup(app: Sphinx) -> None:
    """Register what is ours."""
    app.connect("source-read", add_toctrees)
