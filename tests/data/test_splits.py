from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taskct.core.errors import InputError
from taskct.data.case import Case
from taskct.data.splits import check_split, split_by_patient


def _case(case_id: str, patient_id: str) -> Case:
    return Case(hu=torch.zeros(1, 2, 2), spacing_mm=(1, 1, 1), case_id=case_id, patient_id=patient_id)


@settings(deadline=None, max_examples=50)
@given(ids=st.lists(st.sampled_from([f"p{i}" for i in range(12)]), min_size=3), seed=st.integers(0, 99))
def test_no_patient_is_in_two_parts_and_none_is_lost(ids, seed):
    if len(set(ids)) < 3:
        return
    split = split_by_patient(ids, seed=seed)
    parts = [set(p) for p in split]
    assert all(parts) and not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    assert sorted([*split.train, *split.validation, *split.test]) == sorted(ids)


def test_all_studies_of_a_patient_stay_together():
    cases = [_case(f"study{i}", f"patient{i % 4}") for i in range(12)]
    split = split_by_patient(cases, fractions=(0.5, 0.25, 0.25))
    assert [len(p) for p in split] == [6, 3, 3]
    assert len({c.patient_id for c in split.train}) == 2


def test_the_order_of_the_cases_does_not_change_the_split():
    ids = [f"p{i}" for i in range(20)]
    assert set(split_by_patient(ids, seed=3).test) == set(split_by_patient(ids[::-1], seed=3).test)
    assert set(split_by_patient(ids, seed=3).test) != set(split_by_patient(ids, seed=4).test)


def test_fractions_are_of_patients():
    assert [len(p) for p in split_by_patient([f"p{i:03d}" for i in range(100)])] == [70, 10, 20]
    assert [len(p) for p in split_by_patient(["a", "b", "c"])] == [1, 1, 1]
    assert [len(p) for p in split_by_patient(["a", "b"], fractions=(0.5, 0.0, 0.5))] == [1, 0, 1]


def test_a_leak_in_explicit_lists_is_refused_by_name():
    with pytest.raises(InputError, match="'p1' in train and test"):
        check_split([_case("a", "p1")], [_case("b", "p2")], [_case("c", "p1")])
    check_split(["p1"], ["p2"])


def test_impossible_splits_are_refused():
    with pytest.raises(InputError, match="2 patients"):
        split_by_patient(["a", "b", "a"])
    with pytest.raises(InputError, match="sum to 1"):
        split_by_patient(["a", "b", "c"], fractions=(0.5, 0.5, 0.5))
    with pytest.raises(InputError, match="patient ids as text"):
        split_by_patient([1, 2, 3])
