"""The two networks for real CT that come with the package: what they promise, on a body that is computed and on a real CT."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from judged_trunk import trunk

from taskct.cli import main
from taskct.core.errors import InputError
from taskct.core.units import to_hu, to_hu_unchecked, to_mu
from taskct.data.open import open_case
from taskct.models import open_model
from taskct.physics.dose import Dose
from taskct.recon.fbp import fbp
from taskct.recon.learned import check_unseen, load_reconstructor, trained_for
from taskct.recon.learned.known_inputs import UnknownInputWarning
from taskct.systems.real_ct.judged_ct import JUDGED
from taskct.systems.real_ct.judging import HANN, Subject, classical_methods, judge_slice, learned_method
from taskct.systems.real_ct.training_slices import LEARNT_FROM, seen_slices

NAMES = ("real-ct-image", "real-ct-task")


@pytest.mark.parametrize("name", NAMES)
def test_noise_falls_and_tissue_keeps_its_value_without_a_warning(name: str) -> None:
    subject, model = Subject("t", trunk(0.75), 0.75), load_reconstructor(name)
    p = subject.scans(Dose(3e5, 0.1))[:1]
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error", UnknownInputWarning)
        found, smooth = (
            to_hu_unchecked(x)[0, 0].numpy() for x in (model(p, subject.scanner), fbp(p, subject.scanner, window="hann"))
        )
    flat = (subject.hu == 50) & (abs(found) < 500)
    assert found[flat].std() < 0.8 * smooth[flat].std() and abs(found[flat].mean() - 50) < 3


def test_the_cards_name_every_source_and_its_licence_and_the_pair_was_trained_alike() -> None:
    cards = [open_model(name).card for name in NAMES]
    for card in cards:
        assert card is not None and set(LEARNT_FROM) <= {s.name.partition(",")[0] for s in card.training_data}
        assert all(s.licence and "GPL" not in s.licence for s in card.training_data) and card.limits and card.figures
    assert cards[0].steps == cards[1].steps  # type: ignore[union-attr]
    configs = [open_model(name).config for name in NAMES]
    assert configs[0]["training"] == configs[1]["training"] and configs[0]["model"] == configs[1]["model"]


@pytest.mark.real_data
@pytest.mark.parametrize("name", NAMES)
def test_they_are_not_judged_on_the_ct_that_they_learnt_from(name: str, real_data: Path) -> None:
    about = trained_for(load_reconstructor(name))
    assert about is not None
    fresh = seen_slices(real_data)
    assert about.seen.patients == fresh.patients and torch.allclose(about.seen.traces, fresh.traces, atol=0.01)
    for ct, (file, numbers, _) in LEARNT_FROM.items():
        case = open_case(real_data / ct / file)
        subject_hu = to_hu(case.mu, mu_water_per_mm=case.mu_water_per_mm)
        with pytest.raises(InputError, match=f"learnt from {len(numbers)} of the {len(case.hu)} slices"):
            check_unseen(load_reconstructor(name), case.patient_id, lambda hu=subject_hu: hu, who=ct)
    other = open_case(real_data / JUDGED["abdomen_crlm1004"].path)
    check_unseen(load_reconstructor(name), other.patient_id, lambda: to_hu(other.mu), who="another patient")


@pytest.mark.real_data
def test_evaluate_refuses_a_ct_that_they_learnt_from(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ct = str(real_data / "dicom_seg_liver_3slice")
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", ct, "--methods", "fbp,real-ct-task", "--doses", "1", "--slices", "1", "--out", str(tmp_path / "a")])
    assert stop.value.code == 2 and "is judged on images of its own training" in capsys.readouterr().err


def test_both_are_small() -> None:
    assert sum(open_model(name).weights.stat().st_size for name in NAMES) < 5e6


def test_nonsense_is_warned_of() -> None:
    subject, model = Subject("t", trunk(1.0), 1.0), load_reconstructor("real-ct-task")
    noise = torch.randn(subject.scans(Dose(3e5))[:1].shape, generator=torch.Generator().manual_seed(0)).abs()
    with torch.no_grad():
        for nonsense in (noise, torch.zeros_like(noise), subject.scanner(8 * to_mu(torch.from_numpy(subject.hu))[None, None])):
            with pytest.warns(UnknownInputWarning, match="unlike those"):
                model(nonsense, subject.scanner)


@pytest.mark.real_data
def test_on_a_ct_that_no_training_saw_both_beat_fbp_and_the_task_term_keeps_contrast(real_data: Path) -> None:
    about = JUDGED["abdomen_crlm1004"]
    subject = Subject("a", *about.slice_of(real_data, about.slices[0]))
    methods = {HANN: classical_methods(1.0)[HANN]} | {name: learned_method(load_reconstructor(name)) for name in NAMES}
    found = {
        (s.method, s.metric, s.region): s.value for scores, _ in judge_slice(subject, Dose(3e5, 0.25), methods) for s in scores
    }
    for name in NAMES:
        assert found[name, "rmse_hu", "body"] < 0.75 * found[HANN, "rmse_hu", "body"]
        assert all(abs(v) < 4 for (m, metric, _), v in found.items() if m == name and metric == "bias_hu")
        assert found[name, "change_far_hu", "rms"] < 2
    kept = {name: found[name, "contrast_share", "8 mm"] for name in NAMES}
    assert kept["real-ct-task"] > 0.8 and kept["real-ct-task"] > kept["real-ct-image"]
