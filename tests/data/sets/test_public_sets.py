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
    assert set(CATALOGUE) == {"lodopab", "lits", "msd-liver", "lidc-idri", "ldct", "chaos", "totalsegmentator"}


def test_sets_are_found_by_name_or_title_and_otherwise_guessed():
    assert find_data("LoDoPaB-CT").name == find_data(" lodopab").name == "lodopab"
    with pytest.raises(InputError, match="did you mean 'lodopab'"):
        find_data("lodopap")
