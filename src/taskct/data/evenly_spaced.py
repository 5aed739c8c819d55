"""A few of many slices or files, evenly spaced."""

from __future__ import annotations


def evenly_spaced(count: int, most: int) -> list[int]:
    """At most `most` of the indices 0 to count - 1, evenly spaced, the first and the last among them; all of them for 0.

    >>> evenly_spaced(9, 3), evenly_spaced(9, 1), evenly_spaced(3, 5), evenly_spaced(3, 0)
    ([0, 4, 8], [0], [0, 1, 2], [0, 1, 2])
    """
    if not most or most >= count:
        return list(range(count))
    return [round(k * (count - 1) / max(most - 1, 1)) for k in range(most)]
