"""The GPU kernels against the reference. Without a GPU the CPU runs the same source, thread after thread."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from taskct.core.errors import ConfigError, ResourceError
from taskct.geometry import Beam, ConeBeam, FanBeam, Grid, ParallelBeam, VectorBeam
from taskct.physics.backends import choose_backend
from taskct.physics.backends import cuda as cuda_module
from taskct.physics.backends.cuda import CudaBackend
from taskct.physics.backends.reference import ReferenceBackend
from taskct.physics.cuda import driver
from taskct.physics.cuda.emulated import LIBRARY, Emulation
from taskct.physics.projector import Projector

MAPS = ("forward", "adjoint", "voxel_backproject", "voxel_backproject_adjoint")
TRANSPOSED = {"forward": "adjoint", "voxel_backproject": "voxel_backproject_adjoint"}
FAN = {"views": 5, "cols": 60, "source_iso_mm": 90.0, "source_detector_mm": 150.0, "start_deg": 20.0}
CONE = {"views": 4, "cols": 35, "rows": 18, "pixel_mm": 1.9, "source_iso_mm": 60.0, "source_detector_mm": 100.0}


@pytest.fixture(params=["emulated", pytest.param("gpu", marks=pytest.mark.gpu)])
def make(request: pytest.FixtureRequest):
    """Make a CudaBackend: of the emulation, or of the first GPU."""
    if request.param == "emulated" and not LIBRARY.exists():
        pytest.skip("taskct was installed without a C++ compiler")
    if request.param == "gpu" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")

    def made(grid: Grid, beam: Beam, *, general: bool = False) -> CudaBackend:
        if request.param == "emulated":
            return CudaBackend(grid, beam.poses(), Emulation(), torch.device("cpu"), general=general)
        device = torch.device("cuda", 0)
        found = driver.launcher(device)
        assert not isinstance(found, str), found
        return CudaBackend(grid, beam.poses(), found, device, general=general)

    return made


def rand(backend: CudaBackend, which: str, *, images: int = 1, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Positive numbers for one of the maps, on the back-end's device."""
    poses = backend.poses
    from_image = which in ("forward", "voxel_backproject_adjoint")
    shape = backend.grid.shape if from_image else (poses.views, poses.rows, poses.cols)
    x = torch.rand((images, *shape), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x.to(backend.device, dtype)


def agrees(ours: CudaBackend, which: str, dtype: torch.dtype) -> bool:
    x = rand(ours, which)
    wanted = getattr(ReferenceBackend(ours.grid, ours.poses), which)(x.cpu())
    got = getattr(ours, which)(x.to(dtype))
    assert got.dtype == dtype and got.device == x.device and wanted.norm() > 0
    # float32: weights and sums rounded to 6e-8 each; float64: positions of about 100 samples, 1e-14 each
    return bool((got.cpu().double() - wanted).norm() <= (2e-6 if dtype == torch.float32 else 1e-12) * wanted.norm())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gpu_maps_agree_with_the_reference(make, pair, dtype):
    for which in MAPS:
        assert agrees(make(*pair), which, dtype), which


def test_general_gpu_maps_agree_with_the_reference_in_single_precision(make, pair):
    ours = make(*pair, general=True)
    for which in MAPS:
        assert agrees(ours, which, torch.float32), which


@pytest.mark.parametrize("general", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_gpu_pairs_are_adjoint(make, pair, dtype, tolerance, general):
    ours = make(*pair, general=general)
    if dtype == torch.float64 and general:
        pytest.skip("float64 is always general")
    for which, transposed in TRANSPOSED.items():
        x, y = rand(ours, which, dtype=dtype), rand(ours, transposed, seed=1, dtype=dtype)
        ahead = (getattr(ours, which)(x).double() * y.double()).sum()
        back = (x.double() * getattr(ours, transposed)(y).double()).sum()
        assert abs(ahead - back) <= tolerance * ahead, which  # positive: relative to the inner product itself


def test_an_image_gives_the_same_bytes_alone_in_a_batch_and_again(make, pair):
    ours = make(*pair)
    for which in MAPS:
        x = rand(ours, which, images=6, dtype=torch.float32) - 0.5
        together = getattr(ours, which)(x)
        assert torch.equal(together, getattr(ours, which)(x))
        for n in (0, 5):  # one of the four that share positions, one of those left over
            assert torch.equal(together[n], getattr(ours, which)(x[n : n + 1])[0]), which
        assert getattr(ours, which)(x[:0]).shape == (0, *together.shape[1:])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nan_and_inf_reach_the_result_and_stay_local_on_a_gpu(make, pair, bad):
    ours = make(*pair)
    for which in MAPS:
        x = rand(ours, which, dtype=torch.float32)
        touched = torch.zeros_like(x)
        middle = (0, *(n // 2 for n in x.shape[1:]))
        x[middle], touched[middle] = bad, 1.0
        reached = getattr(ReferenceBackend(ours.grid, ours.poses), which)(touched.cpu()) > 1e-6
        finite = torch.isfinite(getattr(ours, which)(x)).cpu()
        assert reached.any() and not (finite & reached).any(), which
        assert finite.float().mean() > 0.5, which


def test_positions_keep_their_precision_at_clinical_sizes(make):
    far = {"cols": 1400, "pixel_mm": 0.7, "source_iso_mm": 595.0, "source_detector_mm": 1085.6, "views": 2, "start_deg": 33.0}
    for beam in (FanBeam(**far), FanBeam(**far, curved=True), ParallelBeam(views=2, cols=900, pixel_mm=0.6, start_deg=40)):
        ours = make(Grid((512, 500), (0.7, 0.8)), beam)
        assert ours.part(torch.float32) == 2
        for which in MAPS:
            assert agrees(ours, which, torch.float32), which


def _skewed() -> VectorBeam:
    base = ConeBeam(**CONE).poses()
    return VectorBeam(
        rows=18,
        cols=35,
        detector_mm=base.detector_mm,
        source_mm=base.source_mm,
        col_step_mm=base.col_step_mm + 0.1 * base.row_step_mm,
        row_step_mm=base.row_step_mm,
    )


def _flipped() -> VectorBeam:
    """Rows downwards and columns the other way round: nothing may take their order for granted."""
    base = ConeBeam(**CONE).poses()
    return VectorBeam(
        rows=18,
        cols=35,
        detector_mm=base.detector_mm,
        source_mm=base.source_mm,
        col_step_mm=-base.col_step_mm,
        row_step_mm=-base.row_step_mm,
    )


VOLUME = Grid((13, 16, 15), (1.7, 1.1, 0.9), (-9.0, -10.0, -6.0))
ODD: dict[str, tuple[Grid, Beam, int, str]] = {
    "one pixel": (Grid((1, 1), 1.0), ParallelBeam(views=4, cols=1, pixel_mm=1.0), 2, "fast"),
    "one row": (Grid((1, 7), 1.0), FanBeam(**{**FAN, "cols": 9}, pixel_mm=2.0), 2, "fast"),
    "one column": (Grid((7, 1), 1.0), FanBeam(**{**FAN, "cols": 1}, pixel_mm=2.0, curved=True), 2, "fast"),
    "one slice": (Grid((1, 5, 1), 1.0), ConeBeam(**{**CONE, "rows": 1}), 3, "fast"),
    "flipped axes": (VOLUME, _flipped(), 3, "fast"),
    "fine detector": (Grid((21, 25), (1.3, 0.9)), FanBeam(**{**FAN, "cols": 400}, pixel_mm=0.15), 2, "fast"),
    "coarse detector": (Grid((61, 65), 0.3), FanBeam(**{**FAN, "cols": 9}, pixel_mm=6.0, curved=True), 2, "fast"),
    "coarse cone": (Grid((40, 21, 20), (0.3, 1.0, 1.0)), ConeBeam(**{**CONE, "rows": 5}, row_mm=5.0), 0, "too coarse"),
    "steep cone": (
        Grid((60, 16, 15), (0.5, 1.1, 0.9), (50.0, -8.0, -6.0)),
        ConeBeam(**{**CONE, "rows": 12}, row_mm=4.0, row_offset_mm=110.0),
        0,
        "main axis of some rays is z",
    ),
    "skewed axes": (VOLUME, _skewed(), 0, "columns of the detector step along z"),
    "source close": (Grid((40, 40), 1.0), FanBeam(**{**FAN, "source_iso_mm": 28.8}, pixel_mm=6.0), 0, "too near"),
    "very coarse arc": (
        Grid((9, 9), 1.0),
        FanBeam(views=3, cols=5, pixel_mm=9.0, source_iso_mm=30, source_detector_mm=60, curved=True),
        0,
        "too coarse",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_scanners_take_the_kernels_that_can_hold_them(make, name):
    grid, beam, part, why = ODD[name]
    ours = make(grid, beam)
    assert ours.part(torch.float32) == part and why in ours.reason
    assert ours.part(torch.float64) == 0
    for which in MAPS:
        assert agrees(ours, which, torch.float32), which


def test_rays_that_miss_the_grid_by_far_meet_nothing(make):
    poses = ParallelBeam(views=3, cols=9, pixel_mm=1.0).poses()
    beam = VectorBeam(
        rows=1,
        cols=9,
        detector_mm=poses.detector_mm + np.array([[0, 0, 0], [0, 1e6, 1e6], [0, 2e7, 0]]),
        col_step_mm=poses.col_step_mm,
        row_step_mm=poses.row_step_mm,
        direction=poses.direction,
    )
    ours = make(Grid((6, 7), 1.0), beam)
    for which in MAPS:
        assert agrees(ours, which, torch.float32)
    assert not ours.forward(rand(ours, "forward", dtype=torch.float32))[:, 1:].any()


def test_too_many_threads_for_one_launch_are_shared_out_or_refused(make, monkeypatch):
    ours = make(Grid((9, 8), 1.0), ParallelBeam(views=3, cols=11, pixel_mm=1.0))
    x = rand(ours, "forward", images=11, dtype=torch.float32)
    wanted = ours.adjoint(ours.forward(x))
    monkeypatch.setattr(cuda_module, "_MOST_THREADS", 300)
    assert torch.equal(ours.adjoint(ours.forward(x)), wanted)
    monkeypatch.setattr(cuda_module, "_MOST_THREADS", 20)
    with pytest.raises(ResourceError, match="one image needs 33 threads of a GPU kernel, which counts to 20"):
        ours.forward(x)


def test_a_tensor_that_is_not_on_a_gpu_is_refused_by_name():
    poses = ParallelBeam(views=2, cols=4, pixel_mm=1.0).poses()
    with pytest.raises(
        ConfigError, match="backend 'cuda' cannot serve here: the GPU kernels take CUDA tensors, this one is on cpu"
    ):
        choose_backend(Grid((4, 4), 1.0), poses, "cuda", device=torch.device("cpu"), dtype=torch.float32)
    with pytest.raises(ConfigError, match=r"float32 and float64, not torch\.float16"):
        choose_backend(Grid((4, 4), 1.0), poses, "cuda", device=torch.device("cuda", 0), dtype=torch.float16)


def test_without_a_compiler_the_reference_serves_on_a_gpu_with_one_line_of_warning(monkeypatch):
    monkeypatch.setattr(driver, "gpu", lambda index: f"no NVRTC found for GPU {index}\nand more")
    poses = ParallelBeam(views=2, cols=4, pixel_mm=1.0).poses()
    choose = lambda name: choose_backend(Grid((4, 4), 1.0), poses, name, device=torch.device("cuda", 1), dtype=torch.float32)
    with pytest.warns(RuntimeWarning, match="slow reference projector serves on cuda:1: no NVRTC found for GPU 1$"):
        chosen = choose("auto")
    assert chosen.name == "reference" and "no NVRTC found" in chosen.reason
    with pytest.raises(ConfigError, match="backend 'cuda' cannot serve here: no NVRTC found"):
        choose("cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_projectors_of_cuda_tensors_follow_the_stream_and_never_wait():
    A = Projector(Grid((40, 40), 1.0), ParallelBeam(views=30, cols=60, pixel_mm=1.0))
    mu = torch.full((3, 1, 40, 40), 0.02, device="cuda", requires_grad=True)
    assert A.backend_for(mu.device).name == "cuda"
    wanted = A(mu)  # compiled, loaded, units looked at
    assert torch.allclose(wanted.cpu(), A(mu.detach().cpu()), rtol=1e-5)
    A(mu.detach())
    torch.cuda.set_sync_debug_mode("error")
    side = torch.cuda.Stream()
    try:
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            p = A(mu.detach() * 2)
            (gradient,) = torch.autograd.grad(A.voxel_backproject(A(mu)).sum(), mu)
        torch.cuda.current_stream().wait_stream(side)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.allclose(p, 2 * wanted, rtol=1e-5) and gradient.abs().sum() > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_projectors_can_be_captured_in_a_cuda_graph():
    A = Projector(Grid((40, 40), 1.0), ParallelBeam(views=30, cols=60, pixel_mm=1.0))
    mu = torch.full((1, 1, 40, 40), 0.02, device="cuda")
    wanted = A.adjoint(A(mu))
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = A.adjoint(A(mu))
    mu *= 3
    graph.replay()
    assert torch.allclose(captured, 3 * wanted, rtol=1e-5)
