"""Dose searches on noise whose law is known: the dose that is found is the one that the law gives."""

import math
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from dose_subjects import NOISE, SIZE, SUBJECTS, A, smooth

from taskct.core.errors import InputError
from taskct.data.case import Case
from taskct.evaluation.dose import DoseSearch, optimise_dose
from taskct.evaluation.dose.answer import known
from taskct.evaluation.dose.quality import region_of
from taskct.evaluation.dose.quality_curves import held
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.learned.trained_for import TrainedFor, watch
from taskct.report.dose_answer import write_dose_answer
from taskct.task import FrozenTask, freeze


def test_workers_give_the_same_answer() -> None:
    pytest.importorskip("distributed")
    case = Case(torch.linspace(-800, 300, 4 * SIZE * SIZE).reshape(4, SIZE, SIZE), (10.0, 10.0, 10.0), case_id="a")
    cases = [replace(case, case_id=str(k), patient_id=str(k), hu=case.hu - 20 * k) for k in range(3)]
    one, other = (
        optimise_dose(
            smooth,
            cases,
            lambda case: A,
            Dose(1e6),
            keep="noise_sd_hu<=91",
            search=DoseSearch(lowest=1 / 64),
            workers=n,
            progress=False,
        )
        for n in (1, 2)
    )
    assert one.reached and one.photons == other.photons
    assert bool((one.targets[0].values == other.targets[0].values).all())
    assert one.certificates and list(map(str, one.certificates)) == list(map(str, other.certificates))


def test_half_the_noise_needs_four_times_the_photons() -> None:
    # without an error but noise, and with hundreds of photons a ray, the SD goes as 1 / sqrt(photons); 12 % for so few pixels
    loose = optimise_dose(
        smooth, SUBJECTS, None, Dose(1e7), keep="noise_sd_hu<=4", search=DoseSearch(lowest=1 / 4096), progress=False
    )
    tight = optimise_dose(
        smooth, SUBJECTS, None, Dose(1e7), keep="noise_sd_hu<=2", search=DoseSearch(lowest=1 / 4096), progress=False
    )
    assert tight.photons / loose.photons == pytest.approx(4, rel=0.12)
    assert loose.certificates[0].value == pytest.approx(4, rel=0.05)


def test_the_answer_is_in_photons_share_and_milligray_with_an_interval() -> None:
    search = DoseSearch(lowest=1 / 4096)
    answer = optimise_dose(smooth, SUBJECTS, None, Dose(1e6), keep=NOISE, search=search, ctdi_vol_mgy=10.0, progress=False)
    one = answer.targets[0]
    assert one.low <= answer.photons <= one.high
    assert (
        answer.ctdi_vol_mgy == pytest.approx(10 * answer.fraction)
        and f"CTDIvol {known(answer.ctdi_vol_mgy, answer.digits)} mGy of 10" in answer.text
    )
    assert one.confirmed >= answer.photons * 0.99 and "confirmed from" in answer.text


def test_who_must_reach_it_decides_the_dose() -> None:
    doses = [
        optimise_dose(smooth, SUBJECTS, None, Dose(1e6), keep=NOISE, search=DoseSearch(held_by=by), progress=False).photons
        for by in ("mean", 1.0)
    ]
    assert doses[1] > 1.3 * doses[0]
    assert held(np.array([[1.0], [2.0], [3.0], [-4.0], [np.nan]]), 0.75)[0] == 1.0
    with pytest.raises(InputError, match="'mean' or a share"):
        held(np.zeros((2, 1)), "most")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a class that nobody has is refused in words, not warned of by numpy
        assert np.isnan(held(np.full((3, 2), np.nan), "mean")).all()
    assert held(np.array([[1.0], [np.inf], [np.nan]]), "mean")[0] == np.inf


@pytest.mark.parametrize("by", ["mean", 0.5])
def test_a_patient_weighs_as_much_as_another_however_often_each_was_scanned(by: str | float) -> None:
    thin, wide = SUBJECTS[0], SUBJECTS[5]
    once, often = (
        optimise_dose(smooth, those, None, Dose(1e6), keep=NOISE, search=DoseSearch(held_by=by), progress=False)
        for those in ([wide, thin, SUBJECTS[3]], [wide, thin, thin, thin, thin, SUBJECTS[3]])
    )
    assert once.photons == pytest.approx(often.photons) and once.targets[0].low == pytest.approx(often.targets[0].low)
    one, other = once.certificates[0], often.certificates[0]
    assert (one.value, one.share, one.holds) == (pytest.approx(other.value), other.share, other.holds)
    assert one.criterion.mean == pytest.approx(other.criterion.mean)
    assert once.targets[0].best == pytest.approx(often.targets[0].best)
    missed = [
        optimise_dose(smooth, those, None, Dose(4e3), keep=NOISE, search=DoseSearch(held_by=1.0), progress=False).text
        for those in ([wide, thin], [wide, thin, thin, thin])
    ]
    assert missed[0] == missed[1] and "50 % of patients reach it there" in missed[0]


def test_an_answer_at_the_lowest_dose_is_said_to_be_at_most_that_dose(tmp_path: Path) -> None:
    search = DoseSearch(lowest=1 / 4)
    answer = optimise_dose(smooth, SUBJECTS[:1], None, Dose(1e7), keep=NOISE, search=search, progress=False)
    assert answer.photons == 2.5e6 and answer.text.startswith("at most ")
    several = optimise_dose(smooth, SUBJECTS, None, Dose(1e4), keep=NOISE, search=search, progress=False)
    told = several.summary()["targets"][0]
    low = [name for name, photons in told["needed"].items() if photons == 2.5e3]
    assert told["needed_at_most"] == low and 0 < len(low) < len(SUBJECTS)
    page = tmp_path / "report.html"
    write_dose_answer(several, page, title="dose")
    assert f"the lowest dose is enough for {len(low)} of them, who need at most that" in page.read_text(encoding="utf-8")
    known = optimise_dose(smooth, SUBJECTS[:1], None, Dose(1e7), keep="noise_sd_hu<=2", search=search, progress=False)
    assert known.reached and ("at most" in known.text.split("\n")[0]) == (known.photons == 2.5e6)


def test_a_region_that_the_chosen_slices_lack_is_named_among_the_known_ones() -> None:
    images = SUBJECTS[0].images
    without = images.with_labels(torch.zeros(len(images), *images.shape, dtype=torch.long))
    with pytest.raises(InputError, match="unknown region of p0 'kidney'; one of body"):
        region_of(replace(SUBJECTS[0], images=without), "kidney")


def test_targets_that_the_labels_cannot_answer_are_refused_before_anything_is_projected() -> None:
    plain = Case(torch.zeros(1, SIZE, SIZE), (10.0, 10.0, 10.0), case_id="p")
    labelled = replace(plain, labels=torch.ones(1, SIZE, SIZE, dtype=torch.int16), label_names={1: "liver"})
    reader = FrozenTask(
        freeze(torch.nn.Conv2d(1, 2, 1)), torch.nn.Identity(), lambda a, b: a.mean(), "r", classes=("background", "liver")
    )

    def projector(case: Case) -> Projector:
        raise AssertionError("projected")

    for case, keep, words in (
        (plain, "noise_sd_hu[liver]<=25", "p: a quality within 'liver' needs labels, there are none"),
        (labelled, "noise_sd_hu[livr]<=25", "unknown region of p 'livr'; did you mean 'liver'"),
        (plain, "liver.dice>=0.9", "p: liver.dice needs labels, there are none"),
        (labelled, "livr.dice>=0.9", "unknown class in the labels of p 'livr'"),
        (replace(labelled, label_names={1: "spleen"}), "spleen.dice>=0.9", "knows background, liver and no 'spleen'"),
    ):
        with pytest.raises(InputError, match=words):
            optimise_dose(smooth, [case], projector, Dose(1e6), keep=keep, readers={"r": reader}, progress=False)
    with pytest.raises(InputError, match="a task's score needs a reader"):
        optimise_dose(smooth, [labelled], projector, Dose(1e6), keep="liver.dice>=0.9", progress=False)
    with pytest.raises(AssertionError, match="projected"):
        optimise_dose(smooth, [labelled], projector, Dose(1e6), keep="noise_sd_hu[liver]<=25", progress=False)


def test_an_unreachable_target_is_said_with_the_best_that_was_reached() -> None:
    answer = optimise_dose(smooth, SUBJECTS, None, Dose(1e4), keep="noise_sd_hu<=0.5", progress=False)
    assert not answer.reached and math.isnan(answer.fraction)
    assert "is not reached on average at up to 10\u202f000 photons: the best was" in answer.text


def test_the_other_convention_is_suggested_where_it_would_hold() -> None:
    found = {}
    for convention in ("image range", "fixed range"):
        answer = optimise_dose(smooth, SUBJECTS, None, Dose(1e6), keep=f"psnr[{convention}]>=20", progress=False)
        found[convention] = answer.targets[0].best
    assert found["fixed range"] > found["image range"] + 3
    between = (found["fixed range"] + found["image range"]) / 2
    answer = optimise_dose(smooth, SUBJECTS, None, Dose(1e6), keep=f"psnr[image range]>={between:.3g}", progress=False)
    assert not answer.reached and "was psnr[fixed range]" in answer.text and "meant?" in answer.text


def test_full_dose_is_what_the_dose_uses() -> None:
    whole = optimise_dose(smooth, SUBJECTS[:2], None, Dose(1e5), keep=NOISE, search=DoseSearch(lowest=1 / 4), progress=False)
    part = optimise_dose(
        smooth, SUBJECTS[:2], None, Dose(1e6, fraction=0.1), keep=NOISE, search=DoseSearch(lowest=1 / 4), progress=False
    )
    assert part.targets[0].levels.tolist() == whole.targets[0].levels.tolist() == [25000, 50000, 100000]
    assert part.fraction == whole.fraction


def test_one_patient_gets_a_dose_and_no_confirmation() -> None:
    case = Case(torch.zeros(2, SIZE, SIZE), (1.0, 10.0, 10.0), case_id="water")
    answer = optimise_dose(smooth, [case], A, Dose(1e6), keep="noise_sd_hu<=500", search=DoseSearch(refine=1), progress=False)
    assert answer.reached and "1 patient is too few" in answer.text and answer.missed(answer.targets[0]) == []


def test_a_network_whose_answer_lies_outside_of_its_training_says_so() -> None:
    class Net(torch.nn.Module):
        def forward(self, p: torch.Tensor, A: Projector) -> torch.Tensor:
            return smooth(p, A)

    net = Net()
    watch(net, TrainedFor("runs/net", photons=(1e6, 1e7)), otherwise="refuse")
    with pytest.warns(UserWarning, match="least dose was found with a network, at .* 1e\\+06 to 1e\\+07 photons"):
        optimise_dose(net, SUBJECTS, None, Dose(1e7), keep=NOISE, search=DoseSearch(lowest=1 / 4096), progress=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*not trained for")
        watch(net, TrainedFor("runs/net", photons=(1e3, 1e7)), otherwise="refuse")
        optimise_dose(net, SUBJECTS, None, Dose(1e7), keep=NOISE, search=DoseSearch(lowest=1 / 4096), progress=False)
