"""The scans of the bridge: what is wrong with their images is noise, and it falls with the dose."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch

from taskct.systems.chest.bridge_scans import BridgeScans, scan_lungs
from taskct.systems.chest.chest_settings import ChestExperiment


def test_noise_is_most_of_what_is_wrong_with_the_images_of_the_lowest_dose_and_falls_with_the_dose(tmp_path: Path) -> None:
    settings = ChestExperiment(shares=(), train_patients=1, validation_patients=1, test_patients=2, bridge_slices=2, slices=4)
    scan_lungs(tmp_path / "scans", settings=settings)
    scans = BridgeScans(tmp_path / "scans")
    error = (scans.low("test") - scans.images("test").mu).flatten(2).square().mean((0, 2)).sqrt()  # by dose
    order = sorted(range(len(settings.doses)), key=lambda k: settings.doses[k])
    assert all(float(error[a]) > float(error[b]) for a, b in pairwise(order))
    assert float(error[order[0]]) > 1.4 * float(error[order[-1]])  # noise and the rest add in squares: more than half is noise
    assert torch.isfinite(scans.low("train")).all()
