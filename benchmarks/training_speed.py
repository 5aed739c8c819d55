"""Training speed of reconstructions at 128 and 362 pixels: images a second, and where the time goes.

    python benchmarks/training_speed.py [--size 128] [--out benchmarks/results/training_speed_128.md]
    python benchmarks/training_speed.py --only "U-Net, folded" --backend reference    # without the compiled kernels

Times are CPU seconds of one thread (wall seconds on a GPU), so a busy machine changes them little.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from taskct.core.precision import autocast, computes_bf16
from taskct.data.images import ImageSet
from taskct.geometry import Grid, ParallelBeam
from taskct.geometry.presets import lodopab
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.learned import ItNet, LearnedPrimalDual, fbp_redcnn, fbp_unet
from taskct.simulate.clean_scans import CleanScans
from taskct.task.readers import ReaderSpec, as_task, make_reader
from taskct.training import DoseRange, FeaturePenalty, ImageError, LabelPenalty, Objective, convex
from taskct.training.begin import to_channels_last
from taskct.training.scan_source import ScanSource
from taskct.training.train_settings import TrainSettings

FAST: dict[str, Any] = {"widths": (32, 64, 96), "norm": "none", "unshuffle": 2, "skip_channels": None}
MODELS: dict[str, Callable[[], nn.Module]] = {
    "FBP + U-Net, folded 2 x 2": lambda: fbp_unet(**FAST),
    "FBP + U-Net": fbp_unet,
    "FBP + RED-CNN, 32 filters": lambda: fbp_redcnn(filters=32),
    "ItNet, 4 iterations, folded": lambda: ItNet(**FAST),
    "Learned Primal-Dual, 5 iterations, 32 wide": lambda: LearnedPrimalDual(iterations=5, width=32),
    "Learned Primal-Dual": LearnedPrimalDual,
}
TASKS = ("image error", "label loss", "feature loss")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, choices=(128, 362), default=128)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--backend", choices=("auto", "reference"), default="auto", help="of the projector")
    parser.add_argument("--only", default="", help="models whose name contains this")
    parser.add_argument("--out", type=Path)
    words = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(words.device)
    if words.size == 128:
        grid, beam = Grid((128, 128), 2.5), ParallelBeam(views=160, cols=132, pixel_mm=2.5)
        batch = 16
    else:
        grid, beam = lodopab()
        batch = 2 if device.type == "cpu" else 16
    A = Projector(grid, beam, backend=words.backend)
    precision = "bf16 autocast" if computes_bf16(device) else "float32"
    head = f"{words.size} x {words.size} pixels, {A.p_shape[0]} views x {A.p_shape[1]} columns, batch {batch}, {precision}, "
    head += f"projector: {A.backend_for(device).name}, "
    lines = [head + ("one CPU thread" if device.type == "cpu" else torch.cuda.get_device_name()), ""]
    lines += [
        "| model | objective | images/s | ms a step | simulation | projector | network |",
        "|---|---|---|---|---|---|---|",
    ]
    print(lines[0], flush=True)
    for name, make in MODELS.items():
        if words.only not in name:
            continue
        for task in TASKS if name.startswith("FBP + U-Net") else TASKS[:1]:
            lines.append(row(name, make(), task, A, batch=batch, steps=words.steps, device=device))
            print(lines[-1], flush=True)
    text = "\n".join(lines) + "\n"
    if words.out:
        words.out.write_text(text)


def row(name: str, model: nn.Module, task: str, A: Projector, *, batch: int, steps: int, device: torch.device) -> str:
    """One line of the table: `steps` steps after one to warm up."""
    generator = torch.Generator().manual_seed(0)
    count = 2 * batch
    mu = torch.rand((count, 1, *A.mu_shape), generator=generator) * 0.02
    labels = torch.randint(0, 3, (count, *A.mu_shape), generator=generator, dtype=torch.uint8)
    images = ImageSet(mu, tuple(str(i) for i in range(count)), labels)
    settings = TrainSettings(steps=steps + 1, batch=batch)
    source = ScanSource(CleanScans(images, A, refine=1), None, DoseRange(Dose(65536.0), 0.2), settings, device)
    reader = as_task(make_reader(ReaderSpec(net="unet_fast")), ReaderSpec(net="unet_fast"), "reader")
    objective = {
        "image error": lambda: Objective({"image": (1.0, ImageError())}),
        "label loss": lambda: convex(ImageError(), LabelPenalty(reader), alpha=0.5),
        "feature loss": lambda: convex(ImageError(), FeaturePenalty(reader), alpha=0.5),
    }[task]()
    to_channels_last(model)
    to_channels_last(objective)
    model.to(device)
    objective.to(device)
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3)
    spent = {"simulation": 0.0, "projector": 0.0}
    restore = _watch(A, spent, device)
    start = 0.0
    for step in range(steps + 1):
        if step == 1:
            spent.update(simulation=0.0, projector=0.0)
            start = now(device)
        before = now(device)
        scan = source.batch(step)
        spent["simulation"] += now(device) - before
        with autocast(device):
            loss, _ = objective(scan.with_image(model(scan.p, A)))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    total = now(device) - start
    restore()
    share = {k: 100 * v / total for k, v in spent.items()}
    rest = 100 - sum(share.values())
    return (
        f"| {name} | {task} | {steps * batch / total:.1f} | {1000 * total / steps:.0f} | {share['simulation']:.0f} % "
        f"| {share['projector']:.0f} % | {rest:.0f} % |"
    )


def now(device: torch.device) -> float:
    """CPU seconds of this process, or wall seconds when the GPU has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def _watch(A: Projector, spent: dict[str, float], device: torch.device) -> Callable[[], None]:
    """Count the time inside the projector's four maps until the returned function is called."""
    backend: Any = A.backend_for(device)
    names = ("forward", "adjoint", "voxel_backproject", "voxel_backproject_adjoint")
    for name in names:
        own = getattr(backend, name)

        def timed(x: torch.Tensor, own: Callable[[torch.Tensor], torch.Tensor] = own) -> torch.Tensor:
            before = now(device)
            y = own(x)
            spent["projector"] += now(device) - before
            return y

        setattr(backend, name, timed)

    def restore() -> None:
        for name in names:
            delattr(backend, name)

    return restore


if __name__ == "__main__":
    main()
