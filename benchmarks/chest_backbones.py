"""Memory and speed of training the chest system's four heads with both published encoders on slices of 512 x 512 pixels.

    python benchmarks/chest_backbones.py [--batch 2] [--steps 3] [--out benchmarks/results/chest_backbones]
    python benchmarks/chest_backbones.py --size 128 --steps 1 --batch 1 --encoders vgg13    # a try

Each encoder (VGG-13-BN, ResNet-50) trains with `train_shared` as in `taskct reproduce chest`: findings, areas, auto-encoding
and boxes together, augmented slices of a built-in patient with lesions, Adam with a running mean of the weights and a
checkpoint at the end. Each has a process of its own. Its peak memory is that of the whole process, torch included, or with
`--device cuda` what torch held on the GPU. A step lasts from one forward pass to the next; the first one is not counted.
`--out` names a .csv and a .md file.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from taskct.core.csv_cells import csv_text
from taskct.core.precision import computes_bf16
from taskct.core.runs import load_run
from taskct.data.images import ImageSet
from taskct.phantoms.chest import ChestSettings
from taskct.phantoms.cohort import Cohort
from taskct.systems.chest.chest_arms import Arm
from taskct.systems.chest.chest_classes import BALANCE, TASKS, TRUTHS, WINDOW
from taskct.systems.chest.chest_net import penalties_of
from taskct.systems.chest.chest_settings import ChestExperiment
from taskct.systems.chest.chest_trainings import AUGMENT, first_net, how_to_train, net_config
from taskct.training import shared_objective, train_shared

LIMIT_GB = 8.0
ENCODERS = {"vgg13": "VGG-13-BN", "resnet50": "ResNet-50", "small": "small"}
FIELD_MM = 358.4  # of a slice, 0.7 mm pixels at 512
COLUMNS = (
    "encoder", "million_weights", "pixels", "batch", "steps", "wall_s_a_step", "cpu_s_a_step", "images_per_s", "peak_gb",
    "peak_gb_of_steps", "within_8_gb", "last_loss", "precision", "threads", "device",
)  # fmt: skip


class Clock:
    """The window of the network, which notes when it is asked: once a step, at the beginning of the forward pass."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self.peak = 0

    def __call__(self, mu: Tensor) -> Tensor:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.peak = peak_bytes(self.device)
        self.wall.append(time.perf_counter())
        self.cpu.append(time.process_time())
        return WINDOW(mu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="pixels of a side, a multiple of 32")
    parser.add_argument("--batch", type=int, default=2, help="slices a step")
    parser.add_argument("--steps", type=int, default=3, help="steps that are timed, after a first one")
    parser.add_argument("--encoders", nargs="+", choices=ENCODERS, default=["vgg13", "resnet50"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="path of the tables, without .csv or .md")
    words = parser.parse_args()
    if words.size < 64 or words.size % 32 or min(words.batch, words.steps, words.threads) < 1:
        parser.error("expects --size from 64 on that divides by 32, and --batch, --steps, --threads of 1 or more")
    if words.out:
        words.out.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for encoder in words.encoders:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
            try:
                rows.append(fresh.submit(trained, encoder, words).result())
            except BrokenProcessPool:
                sys.exit(f"{ENCODERS[encoder]}: its process was killed, most likely for want of memory; try a smaller --batch")
        print(table_line(rows[-1]), flush=True)
        if words.out:  # what is done stays if a later encoder needs more memory than there is
            Path(f"{words.out}.csv").write_text(csv_text(COLUMNS, rows), encoding="utf-8")
            Path(f"{words.out}.md").write_text(page(rows), encoding="utf-8")


def trained(encoder: str, words: argparse.Namespace) -> dict[str, Any]:
    """Train the four heads for a few steps -> a row of the table."""
    torch.set_num_threads(words.threads)
    device = torch.device(words.device)
    settings = ChestExperiment(crop=(words.size, words.size), pixel_mm=FIELD_MM / words.size, batch=words.batch)
    steps = words.steps + 2  # the first is not counted, the last only ends the one before
    arm = Arm(TASKS, steps=steps, backbone=encoder)
    config, net = net_config(settings, arm), first_net(settings, arm).to(device)
    clock = Clock(device)
    with tempfile.TemporaryDirectory() as folder:
        train_shared(
            net,
            slices(words.size),
            objective=shared_objective(penalties_of(config)),
            truths=TRUTHS,
            prepare=clock,
            run=Path(folder) / "run",
            settings=replace(how_to_train(settings, steps, seed=0), checkpoint_every=steps, validate_every=steps, log_every=1),
            balance=BALANCE,
            augment=AUGMENT,
            neighbours=settings.neighbours,
            progress=False,
        )
        losses = [line["total"] for line in load_run(Path(folder) / "run").metrics() if line["kind"] == "train"]
    wall, cpu = ((times[-1] - times[1]) / words.steps for times in (clock.wall, clock.cpu))
    peak = peak_bytes(device)
    return {
        "encoder": ENCODERS[encoder],
        "million_weights": round(sum(w.numel() for w in net.parameters()) / 1e6, 1),
        "pixels": words.size,
        "batch": words.batch,
        "steps": words.steps,
        "wall_s_a_step": round(wall, 3),
        "cpu_s_a_step": round(cpu, 3),
        "images_per_s": round(words.batch / wall, 3),
        "peak_gb": round(peak / 1e9, 2),
        "peak_gb_of_steps": round(clock.peak / 1e9, 2),
        "within_8_gb": "yes" if peak <= LIMIT_GB * 1e9 else "no",
        "last_loss": round(losses[-1], 3),
        "precision": "bfloat16 autocast" if computes_bf16(device) else "float32",
        "threads": words.threads,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
    }


def slices(size: int) -> ImageSet:
    """Slices of a built-in patient with nodules and an infection."""
    ranges = ChestSettings(width_mm=(280.0, 320.0), nodule_share=1.0, infection_share=1.0)
    cohort = Cohort(
        "chest", {"train": 1}, shape=(size, size), spacing_mm=FIELD_MM / size, slices_per_patient=5, settings=ranges
    )
    return cohort.images("train", marks=True, progress=False)


def peak_bytes(device: torch.device) -> int:
    """Peak so far of the memory of this process, or of what torch held on a GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def table_line(row: dict[str, Any]) -> str:
    """A line of the table in markdown."""
    cells = [f"{row[name]:.2f}" for name in ("wall_s_a_step", "cpu_s_a_step", "images_per_s", "peak_gb_of_steps", "peak_gb")]
    return f"| {' | '.join([row['encoder'], str(row['million_weights']), str(row['batch']), *cells, row['within_8_gb']])} |"


def page(rows: Sequence[dict[str, Any]]) -> str:
    """The table in markdown, with how it was made."""
    one = rows[0]
    threads = f"{one['threads']} CPU thread{'s' if one['threads'] > 1 else ''}"
    return (
        f"{one['pixels']} x {one['pixels']} pixels, three slices as channels, heads {', '.join(TASKS)}; {one['precision']}, "
        f"{threads}, {one['device']}; mean of {one['steps']} steps after the first; peak memory of the whole process on a "
        "CPU, of torch on a GPU\n\n"
        "| encoder | million weights | batch | wall s a step | CPU s a step | images/s | peak of the steps, GB | "
        "with checkpoint, GB | within 8 GB |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
    ) + "".join(f"{table_line(row)}\n" for row in rows)


if __name__ == "__main__":
    main()
