"""`taskct data` lists public sets and says where to get one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from taskct.data.case import Case
from taskct.data.image_store import open_store
from taskct.data.nifti import write_nifti
from taskct.data.sets.public_sets import list_data

Says = Callable[..., tuple[int, str, str]]


def test_every_set_is_listed_with_its_licence_and_what_loads_it(taskct_says: Says) -> None:
    for words in (("data",), ("data", "list")):
        code, out, _ = taskct_says(*words)
        assert code == 0
        assert all(s.name in out and s.licence in out and f"loaded by {s.loads}" in out for s in list_data())


def test_one_set_is_shown_in_full(taskct_says: Says) -> None:
    found = list_data()[0]
    code, out, _ = taskct_says("data", "show", found.name)
    assert code == 0
    assert all(text in out for text in (found.where, found.loads, found.cite, found.access, found.size))


def test_getting_says_where_to_get_it_since_nothing_is_downloaded(taskct_says: Says) -> None:
    found = list_data()[0]
    code, _, err = taskct_says("data", "get", found.name)
    assert code == 2 and f"get it from {found.where}" in err


def test_unknown_words_are_refused_with_a_guess(taskct_says: Says) -> None:
    assert "did you mean 'lodopab'" in taskct_says("data", "show", "lodopap")[2]
    assert "did you mean 'show'" in taskct_says("data", "shw", "lodopab")[2]
    code, _, err = taskct_says("data", "show")
    assert code == 2 and "expects a name" in err


def test_a_folder_of_ct_is_prepared_once_and_a_changed_one_is_refused(taskct_says: Says, tmp_path: Path) -> None:
    for number in range(2):
        write_nifti(Case(torch.full((3, 16, 16), 10.0 * number), (3.0, 2.0, 2.0), "c"), tmp_path / "ct" / f"c{number}.nii.gz")
    words = ("data", "prepare", str(tmp_path / "ct"), "-o", str(tmp_path / "store"), "--shape", "8", "8", "--pixel-mm", "4")
    code, out, _ = taskct_says(*words)
    assert code == 0 and "6 images of 8 x 8 pixels from 2 cases of 2 patients, labels none" in out
    assert open_store(tmp_path / "store").shape == (8, 8)
    write_nifti(Case(torch.zeros(3, 16, 16), (3.0, 2.0, 2.0), "c"), tmp_path / "ct" / "c1.nii.gz", overwrite=True)
    code, _, err = taskct_says(*words)
    assert code == 3 and "has changed since the store was made" in err and "--refresh" in err
    assert taskct_says(*words, "--refresh")[0] == 0
    assert taskct_says("data", "prepare", str(tmp_path / "ct"))[0] == 2
