"""The dose that was found is checked by readers that the search did not ask."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from dose_subjects import SUBJECTS, Blind, reader, smooth

from taskct.core.errors import InputError
from taskct.data.images import ImageSet
from taskct.evaluation import Subject
from taskct.evaluation.dose import DoseSearch, optimise_dose
from taskct.physics.dose import Dose
from taskct.report.dose_answer import write_dose_answer
from taskct.task import FrozenTask, freeze


def search_dice(subjects=SUBJECTS[:2], **more):  # type: ignore[no-untyped-def]
    return optimise_dose(
        smooth,
        subjects,
        None,
        Dose(1e5),
        keep={"body.dice": 0.98},
        search=DoseSearch(lowest=1 / 64),
        progress=False,
        **more,
    )


def test_a_task_is_kept_relative_to_full_dose_and_certified_by_another_reader() -> None:
    answer = optimise_dose(
        smooth,
        SUBJECTS,
        None,
        Dose(1e5),
        keep={"body.dice": 0.98},
        readers={"first": reader()},
        certify={"other": reader(0.012)},
        search=DoseSearch(lowest=1 / 2048),
        progress=False,
    )
    assert answer.reached and answer.fraction < 0.5
    assert [c.reader for c in answer.certificates] == ["", "other"] and "the search never asked" in answer.text
    with pytest.raises(InputError, match="needs a reader"):
        optimise_dose(smooth, SUBJECTS, None, Dose(1e5), keep={"body.dice": 0.98}, progress=False)
    with pytest.raises(InputError, match="class in the labels"):
        optimise_dose(smooth, SUBJECTS, None, Dose(1e5), keep={"tumour.dice": 0.9}, readers={"r": reader()}, progress=False)


def test_a_reader_that_finds_nothing_keeps_no_share_of_full_dose() -> None:
    blind = FrozenTask(freeze(Blind()), torch.nn.Identity(), lambda a, b: a.mean(), "blind")
    with pytest.raises(InputError, match="reader 'b' reaches a quality of 0 at full dose"):
        search_dice(readers={"b": blind})
    with pytest.raises(InputError, match="reader 'other' reaches a quality of 0"):
        search_dice(readers={"r": reader()}, certify={"other": blind})


def test_patients_in_whom_nothing_is_found_at_full_dose_are_said_as_any_dose_is_enough_for_them(tmp_path: Path) -> None:
    def faint(one: Subject) -> Subject:
        images = ImageSet(0.3 * one.mu, one.images.patient_ids, one.labels, label_names=one.label_names)
        return replace(one, images=images, p=0.3 * one.p)

    seen = search_dice(readers={"r": reader()})
    half = search_dice([*SUBJECTS[:3], *map(faint, SUBJECTS[3:])], readers={"r": reader()})
    words = "in 3 of 6 patients nothing is found at full dose, so any dose counts as enough for them"
    assert half.targets[0].blind == 3 and words in half.text
    assert seen.targets[0].blind == 0 and "nothing is found" not in seen.text
    write_dose_answer(half, tmp_path / "report.html", title="dose")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count(words) > 1  # among what speaks against the answer too


def test_a_certificate_asks_a_reader_that_the_search_did_not_ask() -> None:
    with pytest.raises(InputError, match="reader 'other' is 'first', which the search asks, with the same weights"):
        search_dice(readers={"first": reader()}, certify={"other": reader()})
