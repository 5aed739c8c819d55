"""What can be made of a pair without a trained network: every such row of the experiment, by its name there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from taskct.systems.biplanar.experiment.plain_rows import PLAIN, Method, PlainRow

SIGMA = 0.2  # standard error of a line integral, the grid's own included
_VALUES = {"gaussian": SIGMA, "tv": 1.0}  # of rows whose setting the experiment chooses on validation skulls


def _made(row: PlainRow, value: float, heads: Tensor) -> Method:
    return row.make(heads, value)


PAIR_METHODS: dict[str, Callable[[Tensor], Method]] = {
    name: partial(_made, row, _VALUES.get(name, 0.0)) for name, row in PLAIN.items()
}
