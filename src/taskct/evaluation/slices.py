"""Which slices of which cases are evaluated, and which are kept as images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from taskct.core.errors import InputError
from taskct.core.names import plural
from taskct.data.case import Case

Slices = slice | Sequence[int] | Mapping[str, Sequence[int]] | None


def slices_from_text(text: str, *, name: str = "slices") -> slice | int:
    """'3:9', '3:9:2', ':' or '5' -> a slice or one number; InputError, with the option's `name`, for other words.

    >>> slices_from_text("3:9"), slices_from_text("5")
    (slice(3, 9, None), 5)
    """
    try:
        parts = [int(w) if w.strip() else None for w in text.split(":")]
    except ValueError:
        parts = []
    if len(parts) == 1 and parts[0] is not None:
        return parts[0]
    if len(parts) not in (2, 3) or (len(parts) == 3 and parts[2] == 0):
        raise InputError(f"{name} expects one number or FIRST:END, got {text!r}; for example 3:9")
    return slice(*parts)


def slice_numbers(case: Case, slices: Slices) -> list[int]:
    """The slices of a case that `slices` (a slice, numbers, numbers per case, None for all) means."""
    every = range(len(case.hu))
    if slices is None:
        return list(every)
    if isinstance(slices, slice):
        numbers = list(every[slices])
    else:
        asked = slices.get(case.case_id, ()) if isinstance(slices, Mapping) else slices
        numbers = [int(z) for z in asked]
        outside = [z for z in numbers if z not in every]
        if outside:
            raise InputError(f"case {case.case_id} has slices 0 to {len(every) - 1}, got {outside[0]}")
    if not numbers or len(set(numbers)) != len(numbers):
        raise InputError(
            f"slices {_words(slices)} takes {'some twice' if numbers else 'none'} of case {case.case_id}, "
            f"which has {plural(len(every), 'slice')}, 0 to {len(every) - 1}"
        )
    return numbers


def _words(slices: Slices) -> str:
    """As the command line says it: 40:50."""
    if not isinstance(slices, slice):
        return str(slices)
    parts = [slices.start, slices.stop, *([] if slices.step is None else [slices.step])]
    return ":".join("" if n is None else str(n) for n in parts)


def choose_kept(plan: Sequence[tuple[Case, list[int]]], keep: int) -> list[tuple[str, int]]:
    """`keep` slices: cases in turn, within each the slice with most labelled samples, else spread over the case."""
    chosen = []
    for k in range(min(keep, sum(len(numbers) for _, numbers in plan))):
        case, numbers = plan[k % len(plan)]
        left = [z for z in numbers if (case.case_id, z) not in chosen]
        if not left:
            continue
        labels = case.labels
        if labels is not None and k < len(plan):
            areas = {z: int((labels[z] > 0).sum()) for z in left}
            chosen.append((case.case_id, max(left, key=lambda z: areas[z])))
        else:
            turns = -(-keep // len(plan))
            chosen.append((case.case_id, left[min(len(left) - 1, len(left) * (k // len(plan) + 1) // (turns + 1))]))
    return chosen
