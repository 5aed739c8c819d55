"""What is prepared once for the trainings, that a stopped preparation is resumed, and that both arms start alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from judged_trunk import trunk
from scipy.ndimage import binary_erosion

from taskct.core.runs import load_run
from taskct.experiments.made import Made
from taskct.geometry import FanBeam
from taskct.recon.learned import load_reconstructor
from taskct.systems.real_ct import training_slices
from taskct.systems.real_ct.real_ct_settings import RealCTExperiment
from taskct.systems.real_ct.real_ct_steps import real_ct_steps
from taskct.systems.real_ct.real_ct_trainings import train_arm, train_base
from taskct.systems.real_ct.training_slices import (
    CHANNELS,
    LEARNT_FROM,
    TrainingSlices,
    described,
    prepare_slices,
    scan_slice,
    seen_truth,
    sources,
)

FAN = FanBeam(views=720, cols=400, pixel_mm=1.2858, source_iso_mm=595.0, source_detector_mm=1085.6, curved=True)
TINY = RealCTExperiment(
    abdomen_slices=2, chest_slices=2, skull_slices=2, validation=2, variants=1, widths=(8, 12), patch=32, batch=6, pairs=2,
    base_steps=2, fork_steps=2,
)  # fmt: skip


def test_a_slice_holds_its_truth_its_clean_image_and_noise_that_grows_as_photons_fall() -> None:
    made = scan_slice(trunk(0.75), FAN, seed=0).astype(np.float32)
    assert len(made) == len(CHANNELS)
    truth, clean, halves, *noise = made
    soft = binary_erosion(truth == 50, iterations=4)
    assert abs(float((clean - truth)[soft].mean())) < 1.5 and float(np.abs(halves[soft]).mean()) < 8
    spread = [float(n[soft].std()) for n in noise]
    assert spread[2] / spread[0] == pytest.approx((60_000 / 8_000) ** 0.5, rel=0.15)
    assert abs(np.corrcoef(noise[0][soft], noise[1][soft])[0, 1]) < 0.1  # two draws
    assert np.array_equal(made, scan_slice(trunk(0.75), FAN, seed=0).astype(np.float32))


def test_beyond_the_field_of_view_the_clean_image_is_the_truth_and_edges_are_not_taken_for_it() -> None:
    truth = torch.from_numpy(trunk(0.75))
    clean = torch.nn.functional.avg_pool2d(truth[None], 3, 1, 1)[0]
    clean[:30] += 300.0  # what truncation does
    found = seen_truth(truth, clean)
    assert torch.equal(found[:28], clean[:28]) and torch.equal(found[45:-12, 12:-12], truth[45:-12, 12:-12])


def test_no_source_of_the_test_and_none_without_a_permissive_licence_is_learnt_from() -> None:
    assert set(LEARNT_FROM) == {"abdomen_totalseg_siemens20", "dicom_seg_liver_3slice", "abdomen_totalseg_3mm"}
    found = sources(RealCTExperiment())
    train = {(s.name, s.number) for s in found if s.part == "train"}
    assert not train & {(s.name, s.number) for s in found if s.part == "validation"}
    assert len({s.file for s in found}) == len(found)
    assert sum(count for _, count, _ in described(RealCTExperiment())) == sum(s.part == "train" for s in found)


def test_a_stopped_preparation_is_resumed_and_the_arms_begin_with_the_weights_of_the_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    asked: list[int] = []

    def scanned(truth_hu: np.ndarray, beam: object, *, seed: int) -> np.ndarray:
        asked.append(seed)
        if len(asked) == 4:
            raise KeyboardInterrupt
        one = rng.normal(0, 20, (7, 120, 110))
        one[:2] = 50
        return one.astype(np.float16)

    monkeypatch.setattr(training_slices, "scan_slice", scanned)
    monkeypatch.setattr(training_slices, "LEARNT_FROM", {})
    monkeypatch.setattr(training_slices, "_built_in", lambda *a: np.zeros((8, 8), np.float32))
    with pytest.raises(KeyboardInterrupt):
        prepare_slices(tmp_path / "slices", settings=TINY)
    prepare_slices(tmp_path / "slices", settings=TINY)
    assert len(asked) == 13 and len(set(asked)) == 12  # the one that was stopped is made again, no other
    store = TrainingSlices(tmp_path / "slices")
    assert len(store.part("train")) == 6 and len(store.part("validation")) == 6

    slices = Made("slices", TrainingSlices, tmp_path)
    base = Made("base", Path, tmp_path)
    train_base(base.folder, settings=TINY, slices=slices)
    for arm in ("image", "task"):
        train_arm(tmp_path / arm, settings=TINY, slices=slices, base=base, arm=arm)
    runs = [load_run(tmp_path / name) for name in ("image", "task")]
    assert runs[0].config["training"] == runs[1].config["training"] and runs[1].config["objective"]["task"] == "task"
    first = [next(line for line in run.metrics() if line["kind"] == "validation") for run in runs]
    assert "contrast" in first[1] and "contrast" not in first[0]
    nets = [load_reconstructor(run) for run in runs]
    assert not all(torch.equal(a, b) for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True))
    assert nets[0].known.noise_hu[0] > 0  # type: ignore[union-attr]


def test_the_steps_need_what_they_use() -> None:
    steps = {step.name: step for step in real_ct_steps(TINY)}
    assert steps["task"].needs == ("slices", "base") and "contrast" in steps["task"].config
    assert steps["judge-task-abdomen_crlm1004"].needs == ("task",) and len(steps["report"].needs) == 30
