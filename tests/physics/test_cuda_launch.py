"""Finding NVRTC, compiling for GPUs, and launching through the driver: without a GPU, a stand-in for the driver looks on."""

from __future__ import annotations

import ctypes
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from taskct.core.errors import ConfigError, ResourceError
from taskct.geometry import ConeBeam, Grid
from taskct.physics.backends.cuda import CudaBackend
from taskct.physics.cuda import driver, nvrtc
from taskct.physics.cuda.driver import Gpu
from taskct.physics.cuda.emulated import LIBRARY, Emulation
from taskct.physics.cuda.job import BLOCK, Job
from taskct.physics.cuda.nvrtc import Nvrtc

MAPS = ("forward", "adjoint", "voxel_backproject", "voxel_backproject_adjoint")
KERNELS = {
    2: [f"{name}_2d_{n}" for name in ("forward", "adjoint", "backproject", "backproject_adjoint") for n in (1, 4)],
    3: [f"{name}_3d_{n}" for name in ("forward", "adjoint", "backproject", "backproject_adjoint") for n in (1, 4)],
    0: [f"{name}_{t}" for name in ("forward", "adjoint", "backproject", "backproject_adjoint") for t in ("f32", "f64")],
}


@pytest.fixture
def compiler() -> Nvrtc:
    try:
        return nvrtc.find(nvrtc.wanted())
    except ConfigError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("part", KERNELS)
@pytest.mark.parametrize("capability", [70, 80, 90])
def test_nvrtc_compiles_every_kernel_to_machine_code(compiler: Nvrtc, capability: int, part: int) -> None:
    if capability not in compiler.architectures():
        pytest.skip(f"NVRTC {compiler.version} no longer compiles for {capability / 10}")
    image = compiler.compile(part, compiler.target(capability))
    assert image.startswith(b"\x7fELF")
    for name in KERNELS[part]:
        assert b".text." + name.encode() + b"\0" in image


def test_nvrtc_makes_portable_code_for_a_gpu_newer_than_itself(compiler: Nvrtc) -> None:
    newest = compiler.architectures()[-1]
    assert compiler.target(newest + 10) == f"compute_{newest}"
    text = compiler.compile(2, f"compute_{newest}")
    assert text.startswith(b"//") and all(f".entry {name}(".encode() in text for name in KERNELS[2])


def test_a_source_that_does_not_compile_is_reported_with_the_compilers_words(
    compiler: Nvrtc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kernels.cu").write_text("int f() { return wrong; }")
    monkeypatch.setattr(nvrtc, "SOURCES", tmp_path)
    with pytest.raises(ResourceError, match="could not compile the kernels for sm_80:") as caught:
        compiler.compile(0, "sm_80")
    assert 'identifier "wrong" is undefined' in str(caught.value)


def test_a_gpu_that_the_compiler_has_given_up_is_refused_with_advice() -> None:
    known = SimpleNamespace(version=(13, 0), architectures=lambda: [75, 80, 90])
    assert Nvrtc.target(known, 80) == "sm_80"  # type: ignore[arg-type]
    with pytest.raises(
        ConfigError, match=r"NVRTC 13.0 compiles for compute capability 7.5 and newer, the GPU has 7.0; install a"
    ):
        Nvrtc.target(known, 70)  # type: ignore[arg-type]


def test_a_missing_or_wrong_compiler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = tmp_path / "libnvrtc.so.12"
    wrong.write_text("no library")
    with pytest.raises(ConfigError, match=f"TASKCT_NVRTC={wrong} is not NVRTC: "):
        nvrtc.find(str(wrong))
    monkeypatch.setattr(nvrtc, "_candidates", lambda: iter(()))
    nvrtc.find.cache_clear()
    with pytest.raises(ConfigError, match=r"no NVRTC \(NVIDIA's run-time compiler\): a torch built for CUDA brings it"):
        nvrtc.find()
    nvrtc.find.cache_clear()


def test_the_compiler_of_torchs_own_cuda_version_is_tried_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older = [f"cuda_nvrtc/lib/libnvrtc{rest}" for rest in (".so.12", "-builtins.so.12.9", ".alt.so.12")]
    for name in (*older, "cu13/lib/libnvrtc.so.13"):
        file = tmp_path / "nvidia" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    ours = lambda: [Path(path).name for path in nvrtc._candidates() if path.startswith(str(tmp_path))]
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert ours() == ["libnvrtc.so.13", "libnvrtc.so.12"]
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    assert ours() == ["libnvrtc.so.12", "libnvrtc.so.13"]


def test_a_torch_without_cuda_or_for_amd_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    driver.gpu.cache_clear()
    monkeypatch.setattr(torch.version, "hip", "6.0")
    assert driver.gpu(0) == "this torch is built for AMD GPUs, the kernels are for NVIDIA's"
    driver.gpu.cache_clear()


def test_what_serves_cuda_tensors_is_described_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert driver.describe() == f"none: torch {torch.__version__} finds no CUDA device"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(driver, "gpu", lambda index: "no NVRTC")
    assert driver.describe() == "reference (PyTorch): no NVRTC"


class StandIn:
    """A driver that checks how it is called and lets the emulation run what it is told to launch."""

    def __init__(self) -> None:
        self.emulation = Emulation()
        self.depth = 0
        self.calls: list[str] = []
        self.launches: list[tuple[str, int, int]] = []
        self.fail: dict[str, int] = {}

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> int:
            self.calls.append(name)
            if name in self.fail:
                return self.fail[name]
            getattr(self, f"_{name}", lambda *_: None)(*arguments)
            return 0

        if not name.startswith("cu"):
            raise AttributeError(name)
        return call

    def _cuDevicePrimaryCtxRetain(self, context: Any, device: ctypes.c_int) -> None:  # noqa: N802
        assert isinstance(device, ctypes.c_int) and device.value == 0
        context._obj.value = 0xC0

    def _cuCtxPushCurrent_v2(self, context: ctypes.c_void_p) -> None:  # noqa: N802
        assert context.value == 0xC0
        self.depth += 1

    def _cuCtxPopCurrent_v2(self, context: Any) -> None:  # noqa: N802
        self.depth -= 1

    def _cuModuleLoadData(self, module: Any, image: ctypes.c_char_p) -> None:  # noqa: N802
        assert self.depth == 1 and image.value == b"part 3 for sm_80"
        module._obj.value = 2**40  # a pointer, wider than an int

    def _cuModuleGetFunction(self, function: Any, module: ctypes.c_void_p, name: ctypes.c_char_p) -> None:  # noqa: N802
        assert self.depth == 1 and module.value == 2**40 and name.value is not None
        self.names = {**getattr(self, "names", {}), 2**41 + len(getattr(self, "names", {})): name.value.decode()}
        function._obj.value = max(self.names)

    def _cuLaunchKernel(self, function: ctypes.c_void_p, *rest: Any) -> None:  # noqa: N802
        *sizes, stream, arguments, extra = rest
        assert self.depth == 1 and all(isinstance(n, ctypes.c_uint) for n in sizes)
        assert isinstance(stream, ctypes.c_void_p) and stream.value == 2**42 + 1 and extra.value is None
        blocks, *ones, shared = (n.value for n in sizes)
        assert ones == [1, 1, BLOCK, 1, 1] and shared == 0
        job = Job.from_address(arguments[0])
        assert 0 <= blocks * BLOCK - job.threads < BLOCK
        name = self.names[function.value]  # type: ignore[index]
        self.launches.append((name, job.threads, job.images))
        self.emulation.launch(3, name, job, 0)

    def _cuGetErrorName(self, code: ctypes.c_int, text: Any) -> None:  # noqa: N802
        text._obj.value = {222: b"CUDA_ERROR_UNSUPPORTED_PTX_VERSION", 700: b"CUDA_ERROR_ILLEGAL_ADDRESS"}[code.value]


class FakeCompiler:
    version, path = (12, 9), "fake"

    def target(self, capability: int) -> str:
        return f"sm_{capability}"

    def compile(self, part: int, target: str) -> bytes:
        return f"part {part} for {target}".encode()


@pytest.fixture
def cuda() -> StandIn:
    if not LIBRARY.exists():
        pytest.skip("taskct was installed without a C++ compiler")
    return StandIn()


@pytest.fixture
def gpu(cuda: StandIn, monkeypatch: pytest.MonkeyPatch) -> Gpu:
    made = Gpu(0, cuda=cuda, compiler=FakeCompiler(), capability=80)  # type: ignore[arg-type]
    monkeypatch.setattr(made, "stream", lambda: 2**42 + 1)
    return made


def test_what_the_driver_is_told_to_launch_gives_the_right_numbers(gpu: Gpu, cuda: StandIn) -> None:
    grid = Grid((5, 6, 7), (1.2, 1.0, 0.9))
    beam = ConeBeam(views=3, cols=11, rows=6, pixel_mm=1.5, source_iso_mm=30, source_detector_mm=50)
    through = CudaBackend(grid, beam.poses(), gpu, torch.device("cpu"))
    direct = CudaBackend(grid, beam.poses(), cuda.emulation, torch.device("cpu"))
    for which in MAPS:
        shape = grid.shape if which in ("forward", "voxel_backproject_adjoint") else (3, 6, 11)
        x = torch.rand((5, *shape), generator=torch.Generator().manual_seed(0))
        assert torch.equal(getattr(through, which)(x), getattr(direct, which)(x))
    assert cuda.launches[:2] == [("forward_3d_4", 3 * 11 * 2, 5), ("forward_3d_1", 3 * 11 * 2, 5)]
    assert cuda.depth == 0
    assert cuda.calls.count("cuModuleLoadData") == 1  # one module serves all fast kernels of a dimension
    assert cuda.calls.count("cuModuleGetFunction") == len({name for name, *_ in cuda.launches})
    assert "sm_80" in through.reason and "NVRTC 12.9" in through.reason


def test_errors_of_the_driver_are_given_in_its_own_words_and_leave_the_context_alone(gpu: Gpu, cuda: StandIn) -> None:
    cuda.fail["cuModuleLoadData"] = 222
    wanted = r"cuModuleLoadData on GPU 0 with CUDA_ERROR_UNSUPPORTED_PTX_VERSION \(222\); the driver is too old for NVRTC 12.9"
    with pytest.raises(ResourceError, match=wanted):
        gpu.prepare(3)
    assert cuda.depth == 0
    del cuda.fail["cuModuleLoadData"]
    cuda.fail["cuLaunchKernel"] = 700
    job = Job()
    job.threads = 1
    with pytest.raises(ResourceError, match=r"answered cuLaunchKernel on GPU 0 with CUDA_ERROR_ILLEGAL_ADDRESS \(700\)$"):
        gpu.launch(3, "forward_3d_1", job, 2**42 + 1)
    assert cuda.depth == 0


def test_nothing_is_launched_for_an_empty_batch(gpu: Gpu, cuda: StandIn) -> None:
    gpu.launch(3, "forward_3d_1", Job(), 2**42 + 1)
    assert not cuda.launches
