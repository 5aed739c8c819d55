"""The documentation site: `make docs` builds it into build/site, and every warning is an error."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(DOCS))
sys.path.insert(0, str(ROOT / "src"))
os.environ.setdefault("OMP_NUM_THREADS", "2")

from sphinx_gallery.sorting import FileNameSortKey  # noqa: E402, F401  (named as text below)
from taskct_site.config_pages import write_config_reference  # noqa: E402
from taskct_site.outline import toctrees  # noqa: E402
from taskct_site.plain_docstrings import to_rst  # noqa: E402
from taskct_site.reference_pages import write_if_new, write_reference  # noqa: E402

import taskct  # noqa: E402

project = "taskct"
author = "The taskct developers"
project_copyright = author
version = release = taskct.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx_gallery.gen_gallery"]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
exclude_patterns = ["gallery", "_build", "taskct_site"]
root_doc = "index"

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
suppress_warnings = ["config.cache", "myst.header"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
maximum_signature_line_length = 88

html_theme = "furo"
html_title = "taskct"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "examples",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("taskct_site.gallery_pictures.scrape",),
    "capture_repr": ("_repr_html_", "__repr__"),
    "ignore_repr_types": r".*notebook\.shown\.Shown.*",
    "remove_config_comments": True,
    "download_all_examples": True,
    "show_signature": False,
    "abort_on_example_error": True,
    "min_reported_time": 10**6,
    "write_computation_times": False,
    "nested_sections": False,
    "first_notebook_cell": "# pip install taskct; each example stands alone and needs no download",
}


def copy_project_pages(folder: Path) -> None:
    """CONTRIBUTING and CHANGELOG as pages of the site, with links as they are from there."""
    for name in ("CONTRIBUTING", "CHANGELOG"):
        text = (ROOT / f"{name}.md").read_text(encoding="utf-8")
        text = text.replace("](CONTRIBUTING.md)", "](contributing.md)")
        write_if_new(folder / f"{name.lower()}.md", re.sub(r"\]\(docs/", "](../", text))
    for picture in (ROOT / "benchmarks/results").glob("*.png"):
        shutil.copyfile(picture, folder / picture.name)
    for path in (ROOT / "benchmarks/results").glob("*.md"):
        write_if_new(folder / path.name, f"---\norphan: true\n---\n\n{path.read_text(encoding='utf-8')}")


def on_start(app: Any) -> None:
    """Write the pages that are made of the package."""
    reference = DOCS / "reference"
    write_reference(reference)
    write_config_reference(reference / "config.rst")
    copy_project_pages(reference)


def on_read(app: Any, name: str, source: list[str]) -> None:
    """Links that leave the folder of the pages; the tables of contents of the first page."""
    text = source[0].replace("](../CONTRIBUTING.md", "](reference/contributing.md").replace("](../README.md)", "](start.md)")
    text = re.sub(r"\]\(gallery/(\w+)\.py\)", r"](examples/\1.rst)", text).replace("](gallery/)", "](examples/index.rst)")
    source[0] = re.sub(r"\]\(\.\./benchmarks/results/(\w+\.md)", r"](reference/\1", text)
    if name == "index":
        source[0] += f"\n\n{toctrees(DOCS)}\n"


def on_docstring(*arguments: Any) -> None:
    """Docstrings are plain text."""
    lines = arguments[-1]
    lines[:] = to_rst(lines)


def setup(app: Any) -> None:
    """Sphinx calls this."""
    app.connect("builder-inited", on_start, priority=100)  # before the gallery looks for pages
    app.connect("source-read", on_read)
    app.connect("autodoc-process-docstring", on_docstring)
