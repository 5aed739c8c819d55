"""Each label has a name of its own, whoever gives it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from dicom_files import save, save_stack
from rtstruct_files import rtstruct

from taskct.core.errors import InputError
from taskct.data.case import Case
from taskct.data.images import ImageSet
from taskct.data.label_names import distinct_names
from taskct.data.nifti import write_nifti, write_nifti_labels
from taskct.data.open import open_case, open_cases

BAD = [
    ({1: "liver", 2: "liver"}, "labels 1 and 2 are both called 'liver'"),
    ({1: "liver", 2: " LIVER "}, "labels 1 and 2 are both called ' LIVER '"),
    ({1: ""}, "label 1 has an empty name"),
    ({1: "  "}, "label 1 has an empty name"),
    ({1: None}, "label 1 has an empty name, or none that is a text: None"),
    ({-1: "air"}, "whole numbers of 0 or more, got -1"),
    ({"1": "air"}, "whole numbers of 0 or more, got '1'"),
    ({True: "air"}, "whole numbers of 0 or more, got True"),
]


@pytest.mark.parametrize(("names", "why"), BAD, ids=[str(names) for names, _ in BAD])
def test_names_that_are_none_or_stand_for_two_labels_are_refused_everywhere(tmp_path, names, why):
    labels = torch.zeros(2, 4, 5, dtype=torch.int16)
    labels[0, 0, 0], labels[0, 1, 1] = 1, 2
    case = Case(torch.arange(40.0).reshape(2, 4, 5), (1.0, 1.0, 1.0), labels=labels)
    write_nifti(case, tmp_path / "ct.nii")
    write_nifti_labels(case, tmp_path / "labels.nii")
    makers = (
        lambda: Case(case.hu, case.spacing_mm, labels=labels, label_names=names),
        lambda: ImageSet(case.mu, ("p", "p"), labels, label_names=names),
        lambda: open_case(tmp_path / "ct.nii", labels=tmp_path / "labels.nii", label_names=names),
        lambda: open_cases(tmp_path / "ct.nii", labels=tmp_path / "labels.nii", label_names=names),
    )
    for make in makers:
        with pytest.raises(InputError) as caught:
            make()
        assert why in str(caught.value) and "\n" not in str(caught.value)


def test_numbers_of_numpy_and_a_name_of_the_background_are_taken():
    case = Case(torch.zeros(1, 2, 2), (1.0, 1.0, 1.0), label_names={np.int64(1): "liver", 0: "background"})
    assert case.label_names[1] == "liver"


def test_two_regions_of_one_name_in_a_file_are_told_apart_by_their_numbers(tmp_path):
    save_stack(tmp_path / "series", slices=2)
    square = np.array([[-98.0, -88.0], [-95.0, -88.0], [-95.0, -85.0], [-98.0, -85.0]])
    made = rtstruct({"lesion": [np.c_[square, np.full(4, -50.0)]], "Lesion": [np.c_[square + 4, np.full(4, -48.0)]]})
    save(made, tmp_path / "regions.dcm")
    case = open_case(tmp_path / "series", labels=tmp_path / "regions.dcm")
    assert dict(case.label_names) == {1: "lesion", 2: "Lesion (2)"}
    assert any("label 2 is called 'Lesion' like another one" in note for note in case.provenance["notes"])
    named = open_case(tmp_path / "series", labels=tmp_path / "regions.dcm", label_names={2: "lesion"})
    assert dict(named.label_names) == {1: "lesion (1)", 2: "lesion"}  # what the caller says holds


def test_a_name_that_is_taken_with_its_number_gets_it_again():
    assert distinct_names({1: "a (3)", 2: "a", 3: "a"}, {})[0] == {1: "a (3)", 2: "a", 3: "a (3) (3)"}
