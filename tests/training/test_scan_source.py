"""The batches of a training of reconstructions: doses, order, neighbours, augmentation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_training import how, make_model

from taskct.data.images import ImageSet
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.learned import fbp_unet
from taskct.simulate.clean_scans import CleanScans
from taskct.training import Augmentation, DoseRange, ImageError, train
from taskct.training.scan_source import ScanSource
from taskct.training.train_settings import TrainSettings

PLAIN = {"image": (1.0, ImageError())}


SHORT = {"steps": 4, "batch": 4, "validate_every": 2, "precision": "float32", "refine": 1}


def test_each_image_gets_a_dose_of_its_own_from_the_range(images: ImageSet, projector: Projector) -> None:
    doses = DoseRange(Dose(1e5), lowest=0.01, highest=1.0)
    clean = CleanScans(images, projector, refine=1)
    source = ScanSource(clean, None, doses, TrainSettings(steps=9, batch=12), torch.device("cpu"))
    batch = source.batch(0)
    numbers = torch.tensor([images.ids.index(i) for i in batch.ids])
    assert batch.p is not None
    spread = (batch.p - clean.take(numbers, torch.device("cpu"))).flatten(1).std(1)
    assert float(spread.max() / spread.min()) > 2  # 10 between the ends of the range
    photons = doses.draw_photons(20000, torch.Generator().manual_seed(0))
    assert float(photons.min()) >= 1e3 * 0.999 and float(photons.max()) <= 1e5 * 1.001
    assert float(photons.log().mean()) == pytest.approx(torch.tensor(1e4).log().item(), abs=0.05)  # even in the logarithm


def test_images_are_each_seen_once_before_any_comes_again(images: ImageSet, projector: Projector) -> None:
    settings = TrainSettings(steps=9, batch=4)
    source = ScanSource(
        CleanScans(images, projector, refine=1), None, DoseRange(Dose(1e5), 1.0), settings, torch.device("cpu")
    )
    seen = [name for step in range(3) for name in source.batch(step).ids]
    assert sorted(seen) == sorted(images.ids)


def test_a_network_that_sees_neighbours_gets_those_of_the_same_patient(
    images: ImageSet, checks: ImageSet, projector: Projector, dose: Dose, tmp_path: Path
) -> None:
    assert images.patient_ids[:3] == ("patient-0", "patient-0", "patient-1")
    assert images.beside(torch.tensor([0, 1, 2]), 2).tolist() == [[0, 0, 0, 1, 1], [0, 0, 1, 1, 1], [2, 2, 2, 3, 3]]
    clean = CleanScans(images, projector, refine=1)
    p = clean.take(torch.tensor([1]), torch.device("cpu"), neighbours=1)
    assert torch.equal(p[0], clean.take(torch.tensor([0, 1, 1]), torch.device("cpu"))[:, 0])
    model = fbp_unet(widths=(4, 8), neighbours=1)
    for augment in (None, Augmentation()):
        where = tmp_path / str(augment is None)
        assert (
            train(
                model,
                images,
                **how(objective=PLAIN, A=projector, dose=dose, run=where, validation=checks, augment=augment, **SHORT),
            ).steps
            == 4
        )


def test_augmented_images_are_projected_anew(images: ImageSet, projector: Projector, dose: Dose, tmp_path: Path) -> None:
    done = train(
        make_model(),
        images,
        **how(objective=PLAIN, A=projector, dose=dose, run=tmp_path / "run", augment=Augmentation(), **SHORT),
    )
    assert done.steps == 4
