"""Some of many, evenly."""

from __future__ import annotations


def even_numbers(count: int, most: int) -> list[int]:
    """At most `most` of the numbers 0 to count - 1, evenly, the first and the last among them; all of them for 0.

    >>> even_numbers(9, 3), even_numbers(9, 1), even_numbers(3, 5), even_numbers(3, 0)
    ([0, 4, 8], [0], [0, 1, 2], [0, 1, 2])
    """
    if not most or most >= count:
        return list(range(count))
    return [round(k * (count - 1) / max(most - 1, 1)) for k in range(most)]
