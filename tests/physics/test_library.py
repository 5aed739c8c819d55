"""The projector's maps as operators of torch: what compile, export, vmap and torch.func make of them."""

from __future__ import annotations

import copy
import gc
import io

import own_process
import pytest
import torch
from torch import Tensor

from taskct.core.errors import GeometryError, UnitsError
from taskct.geometry import Beam, ConeBeam, FanBeam, Grid
from taskct.physics import operators
from taskct.physics.projector import Projector
from taskct.physics.scanner import pack, unpack

SLICE = Grid((6, 5), (1.2, 0.9))
FAN = FanBeam(views=3, cols=9, pixel_mm=1.6, source_iso_mm=30, source_detector_mm=50)
VOLUME = Grid((3, 4, 5), 1.0)
CONE = ConeBeam(views=2, cols=7, rows=4, pixel_mm=2.0, row_mm=2.5, source_iso_mm=30, source_detector_mm=50, curved=True)
SCANNERS: dict[str, tuple[Grid, Beam]] = {"fan": (SLICE, FAN), "cone": (VOLUME, CONE)}
FROM_IMAGE = ("forward", "voxel_backproject_adjoint")


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def A() -> Projector:  # noqa: N802
    return Projector(SLICE, FAN)


@pytest.mark.parametrize("name", operators.TRANSPOSED)
@pytest.mark.parametrize("scanner", SCANNERS)
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_torch_accepts_the_operator_in_schema_autograd_fake_and_compiled_form(name: str, scanner: str, backend: str) -> None:
    grid, beam = SCANNERS[scanner]
    poses = beam.poses()
    frames = (poses.views, poses.rows, poses.cols)
    given, wanted = (grid.shape, frames) if name in FROM_IMAGE else (frames, grid.shape)
    operator = getattr(torch.ops.taskct, name).default
    for differentiated in (False, True):
        x = rand(2, *given).requires_grad_(differentiated)
        found = torch.library.opcheck(operator, (x, pack(grid, poses), list(wanted), backend))
        assert len(found) >= 4 and set(found.values()) == {"SUCCESS"}


@pytest.mark.parametrize("name", operators.TRANSPOSED)
def test_operators_are_differentiable_twice_and_in_forward_mode(name: str) -> None:
    given, wanted = (SLICE.shape, (3, 1, 9)) if name in FROM_IMAGE else ((3, 1, 9), SLICE.shape)
    scanner = pack(SLICE, FAN.poses())
    apply = lambda x: getattr(torch.ops.taskct, name)(x, scanner, wanted, "auto")
    x = rand(1, *given).requires_grad_()
    assert torch.autograd.gradcheck(apply, x, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(lambda x: apply(x) ** 2, x)


def test_a_torch_without_the_names_inside_still_differentiates_twice() -> None:
    program = """
import torch, torch._C
del torch._C._len_torch_dispatch_stack
from taskct.geometry import Grid, ParallelBeam
from taskct.physics import operators
from taskct.physics.projector import Projector
assert not operators.BY_HAND
A = Projector(Grid((4, 3), 1.0), ParallelBeam(views=2, cols=5, pixel_mm=1.0))
x = torch.rand(1, 1, 4, 3, dtype=torch.float64, requires_grad=True)
for f in (A, lambda x: A.adjoint(A(x)), lambda x: A.voxel_backproject(A(x))):
    assert torch.autograd.gradcheck(f, x) and torch.autograd.gradgradcheck(lambda x: f(x) ** 2, x)
"""
    done = own_process.run(program)
    assert done.returncode == 0, done.stderr


def test_vmap_folds_the_mapped_dimension_into_the_images(A: Projector) -> None:
    mu, p = rand(4, 2, 1, 6, 5), rand(2, 4, 1, 3, 9)
    assert torch.equal(torch.vmap(A)(mu), torch.stack([A(x) for x in mu]))
    assert torch.equal(torch.vmap(A.adjoint, in_dims=1, out_dims=1)(p), torch.stack([A.adjoint(x) for x in p.unbind(1)], 1))


def test_transforms_of_torch_func_nest(A: Projector) -> None:
    mu = rand(2, 1, 6, 5)
    energy = lambda mu: (A(mu) ** 2).sum() / 2
    gradient = A.adjoint(A(mu))
    assert torch.allclose(torch.func.grad(energy)(mu), gradient, rtol=1e-12)
    assert torch.allclose(torch.vmap(torch.func.grad(energy))(mu[:, None])[:, 0], gradient, rtol=1e-12)
    product = torch.func.jvp(torch.func.grad(energy), (mu,), (mu,))[1]  # the Hessian times mu, forward over reverse
    assert torch.allclose(product, gradient, rtol=1e-12)
    assert torch.allclose(torch.func.jvp(A, (mu,), (mu,))[1], A(mu), rtol=1e-12)
    basis = torch.eye(30, dtype=torch.float64).view(30, 1, 1, 6, 5)
    normal = torch.cat([A.adjoint(A(e)) for e in basis]).view(30, 30)
    for inner, outer in ((torch.func.jacrev, torch.func.jacrev), (torch.func.jacrev, torch.func.jacfwd)):
        assert torch.allclose(outer(inner(energy))(mu[:1]).view(30, 30), normal, rtol=1e-12)


def test_compiled_functions_hold_the_operators_whole_and_give_the_same_numbers(A: Projector) -> None:
    def step(mu: Tensor) -> Tensor:
        return A.adjoint(A(mu) - 1) + A.voxel_backproject(A(mu))

    def gradient(step: object) -> Tensor:
        mu = rand(2, 1, 6, 5).requires_grad_()
        step(mu).square().sum().backward()  # type: ignore[operator]
        assert mu.grad is not None
        return mu.grad

    compiled = torch.compile(step, backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(rand(2, 1, 6, 5)), step(rand(2, 1, 6, 5)))
    assert torch.allclose(gradient(compiled), gradient(step), rtol=1e-12)


class Normal(torch.nn.Module):
    def __init__(self, projector: Projector) -> None:
        super().__init__()
        self.projector = projector

    def forward(self, mu: Tensor) -> Tensor:
        return self.projector.adjoint(self.projector(mu))


def test_an_exported_program_carries_its_scanner_and_takes_any_batch(A: Projector) -> None:
    made = torch.export.export(Normal(A), (rand(2, 1, 6, 5),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    file = io.BytesIO()
    torch.export.save(made, file)
    file.seek(0)
    mu = rand(5, 1, 6, 5)
    assert torch.equal(torch.export.load(file).module()(mu), A.adjoint(A(mu)))


def test_a_module_with_a_projector_can_be_copied_after_use(A: Projector) -> None:
    module, mu = Normal(A), rand(1, 1, 6, 5)
    assert torch.equal(module(mu), copy.deepcopy(module)(mu))


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_compiled_code_refuses_hu_when_it_runs(backend: str) -> None:
    A = Projector(SLICE, FAN, backend=backend)
    compiled = torch.compile(A, backend="eager", fullgraph=True)
    compiled(rand(1, 1, 6, 5))
    with pytest.raises(UnitsError, match=r"look like HU \(min -1000\)"):
        compiled(torch.full((1, 1, 6, 5), -1000.0, dtype=torch.float64))
    with pytest.raises(UnitsError, match="look like HU"):
        torch.vmap(A)(torch.full((2, 1, 1, 6, 5), -1000.0))


def test_what_was_made_for_a_scanner_goes_with_it() -> None:
    before = set(operators._made)
    A = Projector(SLICE, FAN)
    A(rand(1, 1, 6, 5))
    assert set(operators._made) - before == {id(A._scanner)}
    del A
    gc.collect()
    assert set(operators._made) == before


@pytest.mark.parametrize("scanner", SCANNERS)
def test_a_packed_scanner_unpacks_to_the_same_grid_and_poses(scanner: str) -> None:
    grid, beam = SCANNERS[scanner]
    poses = beam.poses()
    same_grid, same = unpack(pack(grid, poses))
    assert same_grid == grid
    for name, value in vars(poses).items():
        assert (getattr(same, name) is None) == (value is None)
        assert value is None or (getattr(same, name) == value).all() if hasattr(value, "all") else getattr(same, name) == value


def test_wrong_scanners_shapes_and_mapped_geometry_are_refused(A: Projector) -> None:
    scanner = pack(SLICE, FAN.poses())
    with pytest.raises(GeometryError, match=r"scanner is the float64 tensor that taskct.physics.scanner.pack makes, got"):
        torch.ops.taskct.forward(rand(1, 6, 5), scanner[:-1], [3, 1, 9], "auto")
    with pytest.raises(GeometryError, match=r"scanner is the float64 tensor"):
        torch.ops.taskct.forward(rand(1, 6, 5), scanner.float(), [3, 1, 9], "auto")
    with pytest.raises(GeometryError, match=r"takes \(N, \(6, 5\)\) to \(N, \(3, 1, 9\)\), got"):
        torch.ops.taskct.forward(rand(1, 6, 5), scanner, [3, 1, 8], "auto")
    with pytest.raises(GeometryError, match=r"got \(1, 5, 6\) to \(N, \(3, 1, 9\)\)"):
        torch.ops.taskct.forward(rand(1, 5, 6), scanner, [3, 1, 9], "auto")
    mu = rand(1, 6, 5)
    with pytest.raises(GeometryError, match="vmap over the geometry of a projector is not offered"):
        torch.vmap(lambda s: torch.ops.taskct.forward(mu, s, [3, 1, 9], "auto"))(torch.stack([scanner, scanner]))
