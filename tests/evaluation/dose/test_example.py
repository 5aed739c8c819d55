"""The slice that a dose search shows."""

from dataclasses import replace

import pytest
import torch
from dose_subjects import SIZE, A, reader, smooth, subject
from torch import Tensor

from taskct.data.case import Case
from taskct.evaluation import Subject
from taskct.evaluation.dose import DoseSearch, optimise_dose, parse_target
from taskct.evaluation.dose.example import show_slice
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector


def test_the_slice_that_is_shown_is_the_one_with_most_of_the_region() -> None:
    hu = torch.zeros(3, SIZE, SIZE)
    labels = torch.zeros(3, SIZE, SIZE, dtype=torch.long)
    labels[1, 8:24, 8:24], labels[2, 8:12, 8:12] = 1, 1
    case = Case(hu, (1.0, 10.0, 10.0), case_id="one", labels=labels, label_names={1: "liver"})
    answer = optimise_dose(
        smooth, [case], A, Dose(1e6), keep="noise_sd_hu[liver]<=20", search=DoseSearch(refine=1), progress=False
    )
    shown = answer.shown
    assert shown is not None and (shown.item, shown.region) == (1, "liver")
    noise = [(x - shown.truth_hu)[8:24, 8:24].std() for x in (shown.full_hu, shown.found_hu)]
    assert answer.fraction < 0.5 and noise[1] > 1.4 * noise[0]  # fewer photons look like it


def test_the_slice_that_is_shown_is_scanned_alone_and_as_it_was_among_the_others() -> None:
    patient = subject(0, slices=3)
    labels = torch.zeros_like(patient.labels)  # type: ignore[arg-type]
    labels[1] = patient.labels[1]  # type: ignore[index]
    seen: list[int] = []

    def model(p: Tensor, A: Projector) -> Tensor:
        seen.append(len(p))
        return smooth(p, A)

    patient = replace(patient, images=patient.images.with_labels(labels))
    scanned: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        scan = Subject.scan
        patch.setattr(Subject, "scan", lambda self, *a, **k: scanned.append(len(self.p)) or scan(self, *a, **k))
        shown = show_slice(model, [patient], [parse_target("noise_sd_hu[body]<=5")], photons=1e4, full_photons=1e6, seed=3)
    assert seen == [1, 1] and scanned == [1, 1] and shown.item == 1
    among = patient.hu(smooth(patient.scan(1e4, seed=3), A))
    assert torch.allclose(shown.found_hu, among[1, 0], atol=1e-3)


def test_the_first_patient_that_has_the_region_is_shown_however_small_it_is() -> None:
    empty, small = subject(0), subject(1)
    nothing = torch.zeros_like(empty.labels)  # type: ignore[arg-type]
    few = nothing.clone()
    few[1, 15:17, 15:17] = 1
    without, with_few = (replace(s, images=s.images.with_labels(x)) for s, x in ((empty, nothing), (small, few)))
    shown = show_slice(
        smooth, [without, with_few], [parse_target("noise_sd_hu[body]<=20")], photons=1e5, full_photons=1e5, seed=0
    )
    assert (shown.item, shown.region) == (1, "body")
    assert torch.allclose(shown.truth_hu, show_slice(smooth, [with_few], [], photons=1e5, full_photons=1e5, seed=0).truth_hu)


def test_readers_outline_what_a_target_is_about_in_both_images() -> None:
    target = [parse_target("body.dice>=0.9*full")]
    shown = show_slice(
        smooth, [subject(0)], target, photons=2.0, full_photons=1e6, seed=3, readers={"one": reader(), "high": reader(1.0)}
    )
    assert shown.there is not None and torch.equal(shown.there, subject(0).labels[0] > 0)  # type: ignore[index]
    (full, found), (nothing, still) = shown.marks["one"], shown.marks["high"]
    wrong = [int((marks != shown.there).sum()) for marks in (full, found)]
    assert wrong[0] < 8 < wrong[1] and not nothing.any() and not still.any()
    noise = [parse_target("noise_sd_hu[body]<=20")]  # no reader is asked for an image quality
    assert not show_slice(smooth, [subject(0)], noise, photons=1e4, full_photons=1e6, seed=3, readers={"one": reader()}).marks
