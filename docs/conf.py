"""The documentation as a site: `make docs` writes it into `site/`, and any warning is an error."""

from importlib import metadata

project = "MALSugoi"
author = "the MALSugoi project"
release = metadata.version("malsugoi")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "MALSugoi"
html_show_sourcelink = False
exclude_patterns = ["_build"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
# The drawings of the figures and the README's own links lie outside of the site's pages.
suppress_warnings = ["misc.highlighting_failure"]
