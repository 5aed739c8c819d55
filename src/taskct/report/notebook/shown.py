"""`Shown`: a figure or a table that a notebook displays, and that can be written to a file."""

from __future__ import annotations

import base64
import io
import os
from html import escape
from pathlib import Path
from typing import Any

from taskct.core.errors import unknown_name
from taskct.core.files import atomic_path, refuse_existing, write_text
from taskct.recon.checks import check_number
from taskct.report.style import figure_style

FORMATS = ("png", "svg", "pdf", "html")
_DPI = 144  # of the picture in a notebook: three pixels for two of CSS, for screens that show more than one for each
_CSS_PX_PER_INCH = 96


class Shown:
    """What `show` returns: a notebook displays it, `save` writes it, `figure` is matplotlib's for changes of your own.

    `words` say what is seen, and are the picture's text alternative. `text_html` stands before the picture where there is more
    to say, as for a table of scores.
    """

    def __init__(self, words: str, figure: Any, *, html: str = "") -> None:
        self.words, self.figure, self.text_html = words, figure, html

    def save(self, path: str | os.PathLike[str], *, dpi: int = 200, overwrite: bool = False) -> Path:
        """Write it to `path`: .png, .svg or .pdf hold the picture, .html what a notebook displays; returns the path.

        `dpi` are pixels per inch, 1 to 1200. Raises ConfigError for another ending or dpi, OutputExistsError for a file that
        exists unless `overwrite`.
        """
        check_number(dpi, who="save", name="dpi", least=1, most=1200)
        kind = Path(path).suffix.lstrip(".").lower()
        if kind not in FORMATS:
            raise unknown_name("figure format", kind, FORMATS)
        refuse_existing(path, overwrite=overwrite)
        if kind == "html":
            head = f"<!doctype html>\n<html lang='en'><meta charset='utf-8'><title>{escape(self.words)}</title>\n"
            write_text(path, f"{head}{self._repr_html_()}\n</html>\n", overwrite=overwrite)
            return Path(path)
        with atomic_path(path, overwrite=overwrite) as part:
            part.write_bytes(self._encoded(kind, dpi))
        return Path(path)

    def _encoded(self, kind: str, dpi: int) -> bytes:
        buffer = io.BytesIO()
        with figure_style():
            self.figure.savefig(buffer, format=kind, dpi=dpi, bbox_inches="tight", pad_inches=0.05)
        return buffer.getvalue()

    def _repr_html_(self) -> str:
        wide = round(float(self.figure.get_figwidth()) * _CSS_PX_PER_INCH)
        png = base64.b64encode(self._encoded("png", _DPI)).decode()
        image = f'<img alt="{escape(self.words)}" style="width:{wide}px;max-width:100%" src="data:image/png;base64,{png}">'
        if self.text_html:
            return f'<div class="taskct">{self.text_html}{image}</div>'
        return f'<figure class="taskct" style="margin:0">{image}<figcaption>{escape(self.words)}</figcaption></figure>'

    def __repr__(self) -> str:
        return f"<{self.words}; a notebook displays it, .save('x.png') writes it>"
