"""Peak memory of reading a CT, of `taskct info` and of noise, as multiples of their data.

python benchmarks/memory_multiples.py (Linux)

Each job runs in a process of its own, first on small data, so that what the imports take is not counted, then on large ones.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from taskct.data.case import Case
from taskct.data.dicom.derived_series import write_series
from taskct.data.nifti import write_nifti

LARGE, SMALL = (256, 512, 512), (4, 64, 64)
VIEWS, COLS = 720, 736


def case(shape: tuple[int, int, int]) -> Case:
    """Noise on water, as float32 of `shape`: 256 MiB when large."""
    hu = (30 * torch.randn(shape, generator=torch.Generator().manual_seed(0))).round()
    return Case(hu, (1.0, 0.7, 0.7), "memory")


def write(folder: Path) -> None:
    """The inputs of all jobs, large and small."""
    for name, shape in (("large", LARGE), ("small", SMALL)):
        made = case(shape)
        write_nifti(made, folder / f"{name}.nii.gz")
        write_nifti(made, folder / f"{name}.nii")
        write_series(made, folder / name)


def job(name: str, folder: Path, size: str) -> int:
    """Do one job; the bytes of its data: float32 of what is read, or the projections."""
    from taskct import open_case
    from taskct.physics.dose import Dose
    from taskct.report.file_description import describe_path
    from taskct.simulate import add_noise

    shape = LARGE if size == "large" else SMALL
    values = 4 * shape[0] * shape[1] * shape[2]
    if name == "noise":
        p = torch.full((32 if size == "large" else 1, 1, VIEWS, COLS), 3.0)
        add_noise(p, Dose(1e5, electronic_std=10), seed=0)
        return p.numel() * 4
    kind, suffix = name.split(" ")
    path = folder / (size + ("" if suffix == "DICOM" else suffix))
    if kind == "info":
        list(describe_path(path))
    else:
        open_case(path)
    return values


def measure(name: str, folder: Path) -> None:
    """In the child: what the large job takes above the small one."""
    job(name, folder, "small")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: a child's includes that of its parent
    before = _peak_bytes()
    data = job(name, folder, "large")
    peak = _peak_bytes() - before
    print(f"{name:<16} data {data / 2**20:5.0f} MiB, peak {peak / 2**20:5.0f} MiB above the imports: {peak / data:.2f} times")


def _peak_bytes() -> int:
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM:"))
    return 1024 * int(line.split()[1])


def main() -> None:
    """All jobs, one after the other."""
    with tempfile.TemporaryDirectory() as place:
        write(Path(place))
        for name in ("info .nii", "info .nii.gz", "info DICOM", "open .nii", "open .nii.gz", "open DICOM", "noise"):
            subprocess.run([sys.executable, __file__, name, place], check=True)


if __name__ == "__main__":
    measure(sys.argv[1], Path(sys.argv[2])) if len(sys.argv) == 3 else main()
