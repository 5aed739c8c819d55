from __future__ import annotations

import re

import pytest

from taskct.core.errors import InputError
from taskct.data.sets.public_sets import CATALOGUE, find_data, list_data


def test_every_set_says_what_a_user_must_know():
    for data in list_data():
        assert all([data.title, data.content, data.licence, data.size, data.where, data.loads, data.cite, data.access])
        assert re.search(r"doi:10\.\d{4,}/\S+|\w+\.(com|org)", data.where), data.name


def test_the_sets_of_the_field_are_there():
    assert set(CATALOGUE) == {
        "lodopab", "lits", "msd-liver", "lidc-idri", "luna16", "msd-lung", "covid19-ct-seg", "mosmed", "ldct", "chaos",
        "totalsegmentator",
    }  # fmt: skip


def test_sets_are_found_by_name_or_title_and_otherwise_guessed():
    assert find_data("LoDoPaB-CT").name == find_data(" lodopab").name == "lodopab"
    with pytest.raises(InputError, match="did you mean 'lodopab'"):
        find_data("lodopap")


def test_licences_that_forbid_use_and_sets_of_the_same_patients_are_said() -> None:
    from taskct.data.sets.public_sets import restrictions

    assert find_data("covid19-ct-seg").flags == ("NC",) and find_data("mosmed").flags == ("NC", "ND")
    assert find_data("luna16").flags == () == find_data("msd-lung").flags
    assert any("no commercial use" in words for words in restrictions(find_data("lits")))
    assert restrictions(find_data("luna16")) == (
        "the same patients as lidc-idri, lodopab: never train on one and test on another",
    )
    for data in list_data():
        for other in data.same_patients_as:
            assert data.name in find_data(other).same_patients_as
