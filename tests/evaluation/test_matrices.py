from __future__ import annotations

import numpy as np
import pytest

from taskct.core.errors import InputError
from taskct.evaluation.matrices import aligned, matrix_of, mean_of_readers
from taskct.evaluation.rows import Row


def row(patient: str, item: int, value: float, seed: int | None = None) -> Row:
    return Row("m", f"{patient}-{item}", patient, item, 1.0, 1e5, "dice", "all", value, "S1", seed)


def test_values_of_a_patient_are_averaged_and_undefined_ones_take_no_part() -> None:
    found = matrix_of([row("a", 0, 1.0), row("a", 1, 3.0), row("b", 0, 5.0), row("b", 1, np.nan), row("c", 0, np.nan)])
    assert found.patients == ("a", "b", "c") and not found.trained
    assert np.array_equal(found.columns, [[[2.0, 5.0, np.nan]]], equal_nan=True)


def test_untrained_values_stand_beside_every_seed_and_patients_are_those_of_both() -> None:
    trained = matrix_of([row("a", 0, 1.0, 0), row("a", 0, 2.0, 1), row("b", 0, 9.0, 0), row("b", 0, 9.0, 1)])
    plain = matrix_of([row("a", 0, 0.5)])
    both = aligned([trained, plain])
    assert both.seeds == (0, 1) and both.patients == ("a",) and both.columns.tolist() == [[[1.0], [2.0]], [[0.5], [0.5]]]
    assert mean_of_readers([trained, plain]).columns.tolist() == [[[0.75], [1.25]]]
    with pytest.raises(InputError, match="share no training seed or no patient"):
        aligned([trained, matrix_of([row("a", 0, 1.0, 7)])])
