"""Pictures of the gallery: what `taskct.show` returned at the end of a block of code becomes an image of the page."""

from __future__ import annotations

from typing import Any

from sphinx_gallery.scrapers import figure_rst

from taskct.report import Shown

_DPI = 110


def scrape(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save the value of the block's last line, where it is a `Shown`, and return the lines that place it."""
    shown = block_vars["example_globals"].get("___")
    if not isinstance(shown, Shown):
        return ""
    block_vars["example_globals"]["___"] = None  # the next block may end without a value
    path = next(block_vars["image_path_iterator"])
    shown.save(path, dpi=_DPI, overwrite=True)
    picture: str = figure_rst([path], gallery_conf["src_dir"], fig_titles=shown.words)
    if not shown.text_html:
        return picture
    lines = "\n".join(f"   {line}" for line in shown.text_html.splitlines())
    return f"{picture}\n\n.. raw:: html\n\n   <div class='taskct'>\n{lines}\n   </div>\n\n"
