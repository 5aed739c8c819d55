"""Readers learn from full dose, or from what a reconstruction shows them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_training import how, make_images, weights_of
from torch import Tensor

from taskct.core.errors import ConfigError, GeometryError, InputError, UnitsError
from taskct.core.runs import load_run
from taskct.data.images import ImageSet
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon import fbp
from taskct.recon.learned import FBPNet, TrainedFor
from taskct.recon.learned.trained_for import watch
from taskct.task import freeze
from taskct.task.readers import ReaderSpec, load_reader, make_reader, reader_weights
from taskct.training import Augmentation, train_reader
from taskct.training.train_reader import cut_patch, retrained

pytestmark = pytest.mark.slow

SHORT = {"steps": 3, "batch": 4, "validate_every": 3}


def test_a_reader_learns_the_liver_within_seconds_and_comes_back_frozen(reader_run: Path, checks: ImageSet) -> None:
    scores = [m for m in load_run(reader_run).metrics() if m["kind"] == "validation"]
    assert scores[-1]["dice_liver"] > 0.7 and scores[-1]["dice_ce"] < scores[0]["dice_ce"]
    task = load_reader(reader_run)
    found = task.predict(checks.mu).argmax(1)
    assert checks.labels is not None
    liver, truth = found == 1, checks.labels == 1
    assert 2 * float((liver & truth).sum()) / float(liver.sum() + truth.sum()) > 0.7


def test_a_reader_retrained_on_a_methods_images_begins_with_the_old_weights(
    reader_run: Path, images: ImageSet, checks: ImageSet, projector: Projector, tmp_path: Path
) -> None:
    old = load_reader(reader_run)
    asked: list[int] = []

    def reconstruct(p: Tensor, A: Projector) -> Tensor:
        asked.append(len(p))
        return fbp(p, A)

    new = retrained(
        old,
        ReaderSpec(net="unet_fast"),
        images,
        **how(
            run=tmp_path / "new",
            through=(reconstruct, projector, Dose(300.0)),
            validation=checks,
            steps=40,
            batch=6,
            lr=5e-3,
            validate_every=10,
            refine=1,
        ),
    )
    assert sum(asked) == 40 * 6 + 4 * 6  # every image of every step, and of four validations
    before = weights_of(old.net)
    assert any(not torch.equal(before[n], t) for n, t in new.net.state_dict().items())
    assert all(torch.equal(before[n], t) for n, t in load_reader(reader_run).net.state_dict().items())
    losses = [m["dice_ce"] for m in load_run(tmp_path / "new").metrics() if m["kind"] == "validation"]
    assert losses[-1] < losses[0]
    assert load_run(tmp_path / "new").config["reads"] == "reconstructions"
    assert load_reader(tmp_path / "new").name == "new"


def test_a_reader_is_retrained_on_what_a_network_makes_of_the_slices_beside(
    images: ImageSet, checks: ImageSet, projector: Projector, tmp_path: Path
) -> None:
    class Beside:
        neighbours = 1

        def __call__(self, p: Tensor, A: Projector) -> Tensor:
            assert p.shape[1] == 3
            return fbp(p[:, 1:2], A)

    train_reader(
        ReaderSpec(net="unet_fast"),
        images,
        **how(
            run=tmp_path / "new",
            through=(Beside(), projector, Dose(300.0)),
            validation=checks,
            steps=2,
            batch=2,
            validate_every=2,
            refine=1,
        ),
    )


def volumes(count: int, seed: int, prefix: str) -> ImageSet:
    """Balls of liver with a spot, 12 slices of 24 x 28."""
    draw = torch.Generator().manual_seed(seed)
    z, y, x = torch.meshgrid(torch.arange(12), torch.arange(24), torch.arange(28), indexing="ij")
    mu, labels = torch.zeros(count, 1, 12, 24, 28), torch.zeros(count, 12, 24, 28, dtype=torch.uint8)
    for k in range(count):
        cy, cx = (9 + 8 * torch.rand(2, generator=draw)).tolist()
        liver = (2 * (z - 6)) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 < 8**2
        spot = (2 * (z - 6)) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 < 3**2
        mu[k, 0], labels[k] = 0.018 + 0.003 * liver - 0.002 * spot, liver.int() + spot.int()
    return ImageSet(mu, tuple(f"{prefix}-{k}" for k in range(count)), labels)


def test_a_reader_of_volumes_learns_on_pieces_and_reads_whole_ones_in_windows(tmp_path: Path) -> None:
    spec = ReaderSpec(net="residual", dims=3, patch=(8, 12, 12))
    train_reader(
        spec,
        volumes(6, 0, "a"),
        **how(
            run=tmp_path / "run",
            validation=volumes(3, 1, "b"),
            steps=30,
            batch=3,
            lr=6e-3,
            validate_every=15,
            precision="float32",
        ),
    )
    scores = [m for m in load_run(tmp_path / "run").metrics() if m["kind"] == "validation"]
    assert scores[-1]["dice_liver"] > 0.75 and scores[-1]["dice_ce"] < scores[0]["dice_ce"]
    task = load_reader(tmp_path / "run")
    unseen = volumes(2, 2, "c")
    mu = unseen.mu.clone().requires_grad_()
    answer = task.predict(mu)
    assert answer.shape == (2, 3, 12, 24, 28) and unseen.labels is not None
    said, truth = answer.argmax(1) > 0, unseen.labels > 0
    assert float(2 * (said & truth).sum() / (said.sum() + truth.sum())) > 0.75
    task(mu, unseen.labels.long()).backward()
    assert mu.grad is not None and bool((mu.grad.abs().amax((0, 1, 3, 4)) > 0).all())
    again = make_reader(spec)
    again.load_state_dict(reader_weights(task))  # what retraining and joint training begin with
    assert torch.equal(again.out.weight, task.net.net.out.weight)  # type: ignore[union-attr, arg-type]


def test_pieces_hold_a_class_every_other_time_and_lie_inside() -> None:
    labels = torch.zeros(40, 40, dtype=torch.uint8)
    labels[3, 36] = 2
    mu = torch.arange(1600.0).reshape(1, 40, 40)
    hits = 0
    for seed in range(200):
        piece, its = cut_patch(mu, labels, (8, 12), torch.Generator().manual_seed(seed))
        assert piece.shape == (1, 8, 12) and its.shape == (8, 12)
        assert torch.equal(its > 0, piece[0] == mu[0, 3, 36])  # cut together
        hits += int((its > 0).any())
    # every other one by choice, and of the others 4/33 * 4/29 by chance: 102 of 200, standard deviation 7
    assert 80 < hits < 125
    whole, _ = cut_patch(mu, labels, (64, 12), torch.Generator().manual_seed(0))
    assert whole.shape == (1, 40, 12)


def test_readers_of_volumes_refuse_what_is_none(images: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match="of 3 dimensions expects images with as many axes"):
        train_reader(ReaderSpec(dims=3), images, **how(run=tmp_path / "run", **SHORT))
    with pytest.raises(ConfigError, match=r"'unet_fast' expects dims 2 .* unet, unet_wide, .*residual"):
        ReaderSpec(net="unet_fast", dims=3)
    with pytest.raises(ConfigError, match="a patch of as many sizes"):
        ReaderSpec(dims=3, patch=(32, 32))


def test_a_class_that_occurs_nowhere_labels_beyond_the_classes_and_no_labels_are_refused(
    images: ImageSet, tmp_path: Path
) -> None:
    four = ReaderSpec(classes=("background", "liver", "tumour", "cyst"))
    with pytest.raises(InputError, match="class 3 occurs in none of the 12 images"):
        train_reader(four, images, **how(run=tmp_path / "run", **SHORT))
    with pytest.raises(InputError, match="expects labels 0 to 1, got 0 to 2"):
        train_reader(ReaderSpec(classes=("background", "liver")), images, **how(run=tmp_path / "run", **SHORT))
    with pytest.raises(InputError, match="these images have none"):
        train_reader(ReaderSpec(), ImageSet(images.mu, images.patient_ids), **how(run=tmp_path / "run", **SHORT))
    with pytest.raises(InputError, match="in train and validation"):
        train_reader(ReaderSpec(), images, **how(run=tmp_path / "run", validation=images, **SHORT))
    assert not (tmp_path / "run").exists()


def test_the_seed_draws_the_first_weights_without_touching_the_callers_randomness(images: ImageSet, tmp_path: Path) -> None:
    torch.manual_seed(4)
    expected = torch.rand(1)
    torch.manual_seed(4)
    ends = [
        weights_of(train_reader(ReaderSpec(net="unet_fast"), images, **how(run=tmp_path / f"{k}", seed=seed, **SHORT)).net)
        for k, seed in enumerate((3, 3, 4))
    ]
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(ends[0][n], ends[1][n]) for n in ends[0])
    assert any(not torch.equal(ends[0][n], ends[2][n]) for n in ends[0])


def test_a_frozen_network_is_no_reader_to_train(images: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to train"):
        train_reader(
            ReaderSpec(net="unet_fast"),
            images,
            **how(run=tmp_path / "run", net=freeze(make_reader(ReaderSpec(net="unet_fast"))), **SHORT),
        )


def test_augmentation_moves_image_and_labels_together_and_flips_nothing() -> None:
    images = make_images(1, seed=6)
    assert images.labels is not None
    augment = Augmentation(offset_hu=0.0)
    for seed in range(5):
        mu, labels = augment(images.mu, images.labels, torch.Generator().manual_seed(seed))
        assert mu.shape == images.mu.shape and labels is not None and labels.dtype == torch.uint8
        assert not torch.equal(labels, images.labels)
        # the liver is the brightest part; inside its moved label it must still be (edges are interpolated)
        inside, around = mu[0, 0][labels[0] == 1].median(), mu[0, 0][labels[0] == 0].median()
        assert float(inside) > 0.0195 > float(around)
        column = (labels[0] == 1).float().sum(0)
        centre = float((column * torch.arange(32)).sum() / column.sum())
        assert centre < 15.5  # it lies on the left of the image, as before


def test_no_augmentation_is_the_identity_and_jitter_scales_tissue_but_not_air() -> None:
    images = make_images(1, seed=6)
    none = Augmentation(shift_share=0.0, scale=0.0, rotate_deg=0.0, offset_hu=0.0)
    mu, labels = none(images.mu, images.labels, torch.Generator())
    assert torch.allclose(mu, images.mu, atol=1e-6) and labels is not None and torch.equal(labels, images.labels)
    brighter, _ = Augmentation(shift_share=0.0, scale=0.0, rotate_deg=0.0, offset_hu=30.0)(
        images.mu, None, torch.Generator().manual_seed(1)
    )
    ratio = (brighter / images.mu)[images.mu > 0]
    assert float(ratio.std()) < 1e-5 and abs(float(ratio.mean()) - 1) < 0.15
    assert bool((brighter[images.mu == 0].abs() < 1e-6).all())


def test_noise_and_blur_are_there_when_asked_for() -> None:
    images = make_images(1, seed=6)
    still = {"shift_share": 0.0, "scale": 0.0, "rotate_deg": 0.0, "offset_hu": 0.0}
    noisy, _ = Augmentation(**still, noise_hu=100.0)(images.mu, None, torch.Generator().manual_seed(1))
    assert 0 < float((noisy - images.mu).std()) < 0.002
    soft, _ = Augmentation(**still, blur_pixels=2.0)(images.mu, None, torch.Generator().manual_seed(1))
    roughness = lambda x: float((x[..., 1:] - x[..., :-1]).square().sum())
    assert roughness(soft) < 0.9 * roughness(images.mu)
    assert float(soft.sum()) == pytest.approx(float(images.mu.sum()), rel=0.02)


def test_a_volume_is_augmented_in_the_axial_plane() -> None:
    volume = make_images(1, seed=6).mu[:, :, None].repeat(1, 1, 3, 1, 1)
    mu, _ = Augmentation()(volume, None, torch.Generator().manual_seed(0))
    assert mu.shape == volume.shape and torch.allclose(mu[:, :, 0], mu[:, :, 2], atol=1e-6)


def test_a_reader_learns_neither_names_nor_water_that_are_not_those_of_its_images(images: ImageSet, tmp_path: Path) -> None:
    swapped = ImageSet(images.mu, images.patient_ids, images.labels, label_names={1: "tumour", 2: "liver"})
    with pytest.raises(InputError, match="reader 'unet': 'tumour' is class 2, but label 1"):
        train_reader(ReaderSpec(), swapped, **how(run=tmp_path / "run", **SHORT))
    other = ImageSet(images.mu, images.patient_ids, images.labels, mu_water_per_mm=0.02)
    with pytest.raises(UnitsError, match=r"reader 'unet': takes 0.01929/mm for water, which is 0.02/mm"):
        train_reader(ReaderSpec(), other, **how(run=tmp_path / "run", **SHORT))
    assert not (tmp_path / "run").exists()


def test_a_reader_knows_the_pixels_that_it_learnt_on(images: ImageSet, tmp_path: Path) -> None:
    fine = ImageSet(images.mu, images.patient_ids, images.labels, spacing_mm=(1.5, 1.25))
    made = train_reader(ReaderSpec(net="unet_fast"), fine, **how(run=tmp_path / "run", **SHORT))
    assert made.spacing_mm == load_reader(tmp_path / "run").spacing_mm == (1.5, 1.25)
    blank = train_reader(ReaderSpec(net="unet_fast"), images, **how(run=tmp_path / "other", **SHORT))
    assert blank.spacing_mm == load_reader(tmp_path / "other").spacing_mm == ()


def test_a_reader_is_not_trained_through_a_network_of_other_units(
    images: ImageSet, projector: Projector, model: FBPNet, tmp_path: Path
) -> None:
    watch(model, TrainedFor("runs/net", mu_water_per_mm=0.02), otherwise="refuse")
    with pytest.raises(UnitsError, match=r"runs/net: was trained in other units than those of reader 'unet''s images"):
        train_reader(ReaderSpec(), images, **how(run=tmp_path / "run", through=(model, projector, Dose(2e4)), **SHORT))
