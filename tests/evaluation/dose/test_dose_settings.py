"""Settings of a dose search: the doses that are measured, and values that are refused."""

from typing import Any

import pytest

from taskct.core.errors import InputError
from taskct.evaluation.dose import DoseSearch


def test_full_dose_is_always_measured_and_none_twice() -> None:
    assert DoseSearch(lowest=0.2).levels == (0.125, 0.25, 0.5, 1.0)  # down to an octave that covers `lowest`
    assert DoseSearch(fractions=(0.5, 0.1, 0.5)).levels == (0.1, 0.5, 1.0)
    assert DoseSearch(fractions=(1.0, 0.5)).levels == (0.5, 1.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fractions": []}, "at least one of fractions"),
        ({"fractions": [0.5, 2.0]}, r"fractions above 0 and up to 1, got 0\.5 to 2"),
        ({"fractions": [0.0, 0.5]}, "fractions above 0"),
        ({"draws": 0}, "draws of 1 or"),
        ({"lowest": 1.0}, "lowest between 0 and 1"),
        ({"held_by": "most"}, "'mean' or a share of patients"),
        ({"held_by": 0.0}, "'mean' or a share of patients"),
    ],
)
def test_values_that_cannot_be_searched_with_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DoseSearch(**settings)
