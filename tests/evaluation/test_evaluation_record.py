"""Methods and cases in words: the same in every process, and nothing by which a patient could be found again."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import pytest
import torch
from torch import nn

from taskct.data.case import Case
from taskct.evaluation.evaluation_record import describe_case, describe_method
from taskct.recon import fbp, tv_min


@dataclass
class Smooth:
    sigma: float = 1.5
    kernel: torch.Tensor = field(default_factory=lambda: torch.zeros(3, 4))
    hidden: int = field(default=3, repr=False)

    def __call__(self, p, A):
        return p


class Plain:
    def __call__(self, p, A):
        return p

    def method(self, p, A):
        return p


def nested(p, A):
    return p


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (fbp, "fbp"),
        (partial(tv_min, strength=0.5, callback=lambda k, _: k > 3), "tv_min(strength=0.5, callback=an unnamed function)"),
        (partial(partial(fbp, window="hann"), bed=nested), "fbp(window='hann', bed=nested)"),
        (lambda p, A: p, "an unnamed function"),
        (Smooth(), "Smooth(sigma=1.5, kernel=tensor of 3 x 4)"),
        (Plain(), "Plain"),
        (Plain().method, "Plain.method"),
        (nn.Linear(3, 4), "Linear with 16 weights"),
        (partial(fbp, window=object()), "fbp(window=object)"),
        (partial(fbp, table={"a": [1, lambda: 0]}), "fbp(table={'a': [1, an unnamed function]})"),
    ],
)
def test_methods_are_described_by_name_and_settings_without_addresses(method, words):
    assert describe_method(method) == words


def test_a_function_made_inside_another_keeps_its_own_name():
    def inner(p, A):
        return p

    assert describe_method(inner) == "inner"


def test_uids_of_a_series_stay_out_of_the_record():
    facts = {"format": "DICOM", "series_uid": "1.2.3", "study_uid": "1.2.4", "frame_of_reference_uid": "1.2.5"}
    case = Case(torch.zeros(2, 4, 4), (1.0, 1.0, 1.0), case_id="a", provenance=facts)
    record = describe_case(case, [0])
    assert record["provenance"] == {"format": "DICOM"} and "1.2." not in str(record) and record["fingerprint"]
