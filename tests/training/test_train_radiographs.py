"""Training of networks from radiographs to volumes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError
from taskct.core.runs import load_run
from taskct.data.images import ImageSet
from taskct.geometry import Grid, bi_planar
from taskct.nets import PatchDiscriminator
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.physics.projectors import Projectors
from taskct.recon.learned import BiPlanarNet, load_reconstructor, make_model, preset_config
from taskct.simulate.radiograph_set import RadiographSet
from taskct.training import Batch, ImageError, Trained, TrainSettings
from taskct.training.adversarial import FoolPenalty, discriminator_player
from taskct.training.train_radiographs import beside_views, train_on_radiographs
from taskct.training.volume_terms import RadiographMisfit, ViewErrors

N = 8
DOSE = Dose(1e4)
ERROR = ImageError(unit_hu=200)


def geometry(start_deg: float = 0.0) -> Projector:
    """A frontal and a lateral view of 8 voxels along each axis."""
    angles = (start_deg, start_deg + 90)
    beam = bi_planar(cols=N, rows=N, pixel_mm=48.0, source_iso_mm=1000, source_detector_mm=1500, angles_deg=angles)
    return Projector(Grid((N, N, N), 24.0), beam)


def heads(count: int, seed: int, prefix: str) -> ImageSet:
    """Shells of bone round water, moved and scaled."""
    g = torch.Generator().manual_seed(seed)
    at = torch.stack(torch.meshgrid(*[torch.linspace(-1, 1, 2 * N)] * 3, indexing="ij"))
    mu = torch.zeros(count, 1, 2 * N, 2 * N, 2 * N)
    for k in range(count):
        shift, size = 0.3 * torch.rand(3, generator=g) - 0.15, 0.55 + 0.2 * float(torch.rand((), generator=g))
        r = (at - shift[:, None, None, None]).norm(dim=0)
        mu[k, 0] = 0.019 * (r < size) + 0.02 * ((r < size) & (r > size - 0.15))
    return ImageSet(mu, [f"{prefix}{k}" for k in range(count)])


def network(name: str = "smear", **changes: Any) -> tuple[BiPlanarNet, dict[str, Any]]:
    """A small network, and the config that makes it."""
    config = preset_config(name, **{"widths": [4, 8], "heads": 4, "prior": [N, N, N], **changes})
    torch.manual_seed(0)
    model = make_model(config)
    assert isinstance(model, BiPlanarNet)
    return model, config


def watching(seen: list[Batch]) -> Callable[[Batch], Tensor]:
    """The error of the image, as a term that remembers its batches."""

    def term(batch: Batch) -> Tensor:
        seen.append(batch)
        return ERROR(batch)

    return term


def trained(run: Path, name: str = "smear", A: Any = None, **more: Any) -> Trained:
    """A short training."""
    model, config = network(name, **more.pop("changes", {}))
    steps = more.pop("steps", 6)
    return train_on_radiographs(
        model,
        RadiographSet(heads(5, 0, "t"), A or geometry()),
        **{
            "objective": {"image": (1.0, ERROR)},
            "dose": DOSE,
            "run": run,
            "config": {"model": config},
            "settings": TrainSettings(
                steps=steps,
                batch=2,
                lr=1e-2,
                warmup_steps=2,
                ema=0.5,
                validate_every=3,
                checkpoint_every=2,
                log_every=1,
                precision="float32",
            ),
            "validation": RadiographSet(heads(3, 1, "v"), A or geometry()),
            "progress": False,
            **more,
        },
    )


def test_a_network_learns_and_its_run_gives_it_back_for_its_own_geometry(tmp_path: Path) -> None:
    done = trained(tmp_path / "run", steps=20)
    lines = [line for line in done.run.metrics() if line.get("kind") == "validation"]
    assert lines[-1]["psnr3d"] > lines[0]["psnr3d"] + 1
    assert done.run.config["units"] == {"image": "1/mm", "mu_water_per_mm": 0.01929}
    loaded, p = load_reconstructor(tmp_path / "run"), RadiographSet(heads(1, 2, "x"), geometry()).clean([0])
    assert torch.equal(loaded(p, geometry()), done.model(p, geometry()))
    with pytest.raises(GeometryError, match="was trained for another scan"):
        loaded(p, geometry(20.0))


def test_a_training_that_was_stopped_resumes_to_the_same_bits(tmp_path: Path) -> None:
    def stops(batch: Batch) -> Tensor:
        if batch.step == 4:
            raise OSError("the machine went away")
        return ERROR(batch)

    whole = trained(tmp_path / "whole", A=[geometry(), geometry(15.0)])
    with pytest.raises(OSError, match="went away"):
        trained(tmp_path / "cut", A=[geometry(), geometry(15.0)], objective={"image": (1.0, stops)})
    resumed = trained(tmp_path / "cut", A=[geometry(), geometry(15.0)])
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


def test_each_image_is_seen_by_a_geometry_drawn_anew_and_the_run_does_not_name_one(tmp_path: Path) -> None:
    seen: list[Batch] = []

    A = [geometry(angle) for angle in (0.0, 10.0, 20.0)]
    trained(tmp_path / "run", A=A, objective={"image": (1.0, watching(seen)), "p": (0.1, RadiographMisfit())})
    batches = [b for b in seen if b.image.requires_grad]  # not those of validation
    assert all(isinstance(b.A, Projectors) and len(b.A) == len(b) for b in batches)
    assert {id(one) for b in batches for one in b.A.each} == {id(one) for one in A}  # type: ignore[union-attr]
    config = load_run(tmp_path / "run").config
    assert "beam" not in config and config["geometries"] == {"count": 3}
    for b in batches:  # p was taken of the finer volume by the geometry of the batch, with noise
        apart = (b.A(b.mu) - b.p).abs().mean()  # type: ignore[misc, operator]
        assert 0 < float(apart) < 0.2
    first, again = (next(b for b in batches if b.step == step) for step in (0, 1))
    assert not torch.equal(first.p[0], again.p[0])  # type: ignore[index]


def test_labels_say_where_bone_is(tmp_path: Path) -> None:
    seen: list[Batch] = []

    trained(tmp_path / "run", steps=1, objective={"image": (1.0, watching(seen))})
    bone = seen[0].labels
    assert bone is not None and torch.equal(bone > 0, seen[0].mu[:, 0] > 0.01929 * 1.2)
    assert 0 < float(bone.float().mean()) < 0.5


def test_a_conditional_discriminator_and_view_answers_train_along(tmp_path: Path) -> None:
    judge = PatchDiscriminator(3, dims=3, width=2, layers=1)
    done = trained(
        tmp_path / "run",
        "x2ct",
        steps=2,
        changes={"view_answers": True},
        objective={
            "image": (1.0, ImageError("l1", unit_hu=2500)),
            "views": (1.0, ViewErrors()),
            "fool": (0.1, FoolPenalty(judge, look=beside_views)),
        },
        others=[discriminator_player(judge, look=beside_views)],
    )
    line = done.run.metrics()[0]
    assert {"image", "views", "fool", "discriminator/lsgan"} <= set(line)
    assert (tmp_path / "run" / "discriminator.safetensors").exists()


def test_what_a_conditional_discriminator_sees_is_the_volume_and_both_radiographs_in_its_frame() -> None:
    A = geometry()
    mu = torch.zeros(1, 1, N, N, N)
    mu[..., 2, 3, 5] = 0.04
    channels = beside_views(Batch(mu=mu, ids=("a",), p=A(mu), A=A), mu)
    assert channels.shape == (1, 3, N, N, N)
    assert all(
        int(c.argmax()) == int(channels[0, 0].argmax()) or c.flatten()[channels[0, 0].argmax()] > -1.5 for c in channels[0]
    )
    assert torch.equal(channels[0, 1, :, 0], channels[0, 1, :, 5])  # the frontal view is the same along y
    assert torch.equal(channels[0, 2, :, :, 0], channels[0, 2, :, :, 5])  # the lateral one along x


def test_a_patient_of_two_parts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="t1"):
        trained(tmp_path / "run", held_out=["t1"])
