"""Outlines on pictures: what is there, and what readers mark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from torch import Tensor

OUTLINE_COLOURS = ("#ffd000", "#ff5fa2", "#4db8ff")
"""Bright, so that they are seen on any picture: the truth, one reader, another reader."""
_WIDTHS = (2.2, 1.5, 1.5)


def outlined(picture: str, masks: Sequence[tuple[str, Tensor]]) -> str:
    """A picture, HTML of any size, with the outline of each (colour, mask (Y, X)) on it; the masks have its extent."""
    if not masks:
        return picture
    rows, cols = masks[0][1].shape
    paths = "".join(
        f"<path d='{outline(mask.numpy())}' fill='none' stroke='{colour}' stroke-width='{width}' "
        f"vector-effect='non-scaling-stroke'/>"
        for (colour, mask), width in zip(masks, _WIDTHS, strict=False)
    )
    svg = f"<svg aria-hidden='true' viewBox='0 0 {cols} {rows}' preserveAspectRatio='none'>{paths}</svg>"
    return f"<div class='marked'>{picture}{svg}</div>"


def swatch(colour: str, words: str) -> str:
    """The colour of an outline and what it stands for; swatches are dark so that the bright colours are seen on any page."""
    return f"<span class='swatch' style='border-color:{colour}'></span> {escape(words)}"


def outline(mask: np.ndarray) -> str:
    """The border of a mask (Y, X) as an SVG path along the edges of its pixels.

    >>> outline(np.array([[True]]))
    'M0 0h1M0 1h1M0 0v1M1 0v1'
    """
    padded = np.pad(mask.astype(bool), 1)
    parts = []
    across = padded[:-1, 1:-1] != padded[1:, 1:-1]  # (Y + 1, X): edges between rows
    for y, row in enumerate(across):
        parts += [f"M{a} {y}h{b - a}" for a, b in _runs(row)]
    down = padded[1:-1, :-1] != padded[1:-1, 1:]  # (Y, X + 1): edges between columns
    for x, column in enumerate(down.T):
        parts += [f"M{x} {a}v{b - a}" for a, b in _runs(column)]
    return "".join(parts)


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Beginning and end of each run of True."""
    steps = np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))
    return list(zip(np.flatnonzero(steps > 0).tolist(), np.flatnonzero(steps < 0).tolist(), strict=True))
