"""What a notebook displays of an object: a title, facts in two columns, a small picture. Plain HTML without colours."""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_MOST_SIDE = 160  # pixels of a small picture


def fact_card(title: str, facts: Mapping[str, object], *, picture: str = "", alt: str = "") -> str:
    """HTML: `title`, then a line per fact, beside `picture` (a data URI). Empty facts are left out, all text is escaped.

    >>> fact_card("Dose", {"photons": 1000, "note": ""}).count("<tr>")
    1
    """
    lines = "".join(
        f'<tr><th scope="row" style="text-align:left">{escape(name)}</th><td>{escape(str(value))}</td></tr>'
        for name, value in facts.items()
        if value not in ("", None)
    )
    image = f'<img src="{picture}" alt="{escape(alt)}" style="max-width:{_MOST_SIDE}px">' if picture else ""
    return (
        '<div class="taskct" style="display:flex;gap:1em;align-items:flex-start;flex-wrap:wrap">'
        f"{image}<div><strong>{escape(title)}</strong><table>{lines}</table></div></div>"
    )


def small_picture(values: np.ndarray, low: float, high: float) -> str:
    """A PNG of at most 160 pixels a side as a data URI: values (Y, X), black at `low` and white at `high`."""
    import numpy as np
    from PIL import Image

    step = max(1, -(-max(values.shape) // _MOST_SIDE))
    grey = np.clip((values[::step, ::step].astype(np.float64) - low) / max(high - low, 1e-12), 0, 1)
    buffer = io.BytesIO()
    Image.fromarray((255 * np.nan_to_num(grey)).round().astype(np.uint8)).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def in_notebook() -> bool:
    """True where output goes to the cells of a notebook, False in IPython's terminal and in plain Python."""
    interactive = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return interactive is not None and hasattr(interactive, "kernel")


def sizes(shape: tuple[int, ...], spacing_mm: tuple[float, ...]) -> str:
    """Samples and their distances in one line.

    >>> sizes((8, 64, 64), (5.0, 1.4, 1.4))
    '8 x 64 x 64 of 5 x 1.4 x 1.4 mm'
    """
    return f"{' x '.join(map(str, shape))} of {' x '.join(f'{s:.4g}' for s in spacing_mm)} mm"
