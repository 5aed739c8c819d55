"""A set three times as large as the memory of its training: peak memory, images a second, and a resume after a kill.

    python benchmarks/streaming.py [--memory-mib 512] [--folder /tmp/streaming] [--out benchmarks/results/streaming.md]

The set is a prepared store of random slices of 256 x 256 with labels. Four things are measured, each in a process of its own
on one thread: an epoch of a small network over the streamed set, whose private memory the system limits (RLIMIT_DATA) to
`--memory-mib`; the same epoch, killed with SIGKILL in its middle and resumed, whose weights must be equal to the bit; steps of
the same network over a part of the set that is held in memory; and reading alone, in the shuffled order of the training. The
network is small on purpose, since a faster network is harder to feed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from taskct.core.runs import load_run
from taskct.core.units import MU_WATER_70KEV_PER_MM
from taskct.data.case import Case
from taskct.data.image_store import open_store
from taskct.data.prepared_store import prepare_store
from taskct.task import DiceCE
from taskct.training import TrainSettings, train_task
from taskct.training.image_order import ImageOrder
from taskct.training.read_ahead import ReadAhead

SIZE, SLICES, BATCH = 256, 128, 8
_IMAGE_BYTES = SIZE * SIZE * 5  # float32 and uint8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory-mib", type=int, default=512)
    parser.add_argument("--times", type=float, default=3.0, help="size of the set in units of the memory")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/taskct-streaming"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", choices=("train", "memory", "read"), help=argparse.SUPPRESS)
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    words = parser.parse_args()
    torch.set_num_threads(1)
    if words.child:
        print(json.dumps(CHILDREN[words.child](words)))
        return
    text = measure(words)
    print(text)
    if words.out:
        words.out.write_text(text)


def measure(words: argparse.Namespace) -> str:
    store = words.folder / "store"
    shutil.rmtree(words.folder, ignore_errors=True)
    count = int(words.times * words.memory_mib * 2**20 / _IMAGE_BYTES / SLICES + 1)
    begin = time.process_time()
    images = prepare_store(cases(count), store, progress=False)
    made_s = time.process_time() - begin
    begin = time.process_time()
    prepare_store(cases(count), store, progress=False)
    checked_s = time.process_time() - begin
    whole = child(words, "train", run=words.folder / "whole")
    killed_at = kill_in_the_middle(words, words.folder / "killed", len(images) // BATCH)
    resumed = child(words, "train", run=words.folder / "killed")
    memory, read = child(words, "memory"), child(words, "read")
    equal = "equal to the bit" if resumed["weights"] == whole["weights"] else "DIFFERENT"
    gib = len(images) * _IMAGE_BYTES / 2**30
    return "\n".join(
        [
            "# A set larger than memory",
            "",
            f"{len(images)} labelled slices of {SIZE} x {SIZE}, {gib:.2f} GiB, in a store of {count} cases; the training may "
            f"take {words.memory_mib} MiB of private memory (RLIMIT_DATA), and the set is "
            f"{gib * 1024 / words.memory_mib:.1f} times as large. Seconds are CPU seconds of all threads, so that a busy "
            "machine changes them little; files are in the page cache of the machine where they fit.",
            "",
            "| what | images per CPU second | peak resident memory |",
            "|---|---|---|",
            f"| one epoch, streamed, {whole['steps']} steps of {BATCH} | {whole['rate']:.0f} | {whole['peak_mib']:.0f} MiB |",
            f"| the same network, {memory['images']} images in memory | {memory['rate']:.0f} | {memory['peak_mib']:.0f} MiB |",
            f"| reading alone, shuffled, streamed, read ahead | {read['streamed']:.0f} | {read['peak_mib']:.0f} MiB |",
            f"| taking alone, shuffled, from memory | {memory['taken']:.0f} | |",
            "",
            f"Killed with SIGKILL after step {killed_at} and resumed: final weights {equal}. The process before any image: "
            f"{whole['base_mib']:.0f} MiB.",
            f"The store was made in {made_s:.0f} s ({len(images) / made_s:.0f} slices/s), and checked against its source in "
            f"{checked_s:.0f} s.",
            "",
            "Written by `python benchmarks/streaming.py`.",
            "",
        ]
    )


def cases(count: int) -> Iterator[Case]:
    """Random cases, one in memory at a time."""
    for number in range(count):
        draw = torch.Generator().manual_seed(number)
        hu = torch.randint(-200, 200, (SLICES, SIZE, SIZE), generator=draw).float()
        labels = torch.zeros((SLICES, SIZE, SIZE), dtype=torch.uint8)
        y, x = torch.randint(0, SIZE - 64, (2,), generator=draw).tolist()
        labels[:, y : y + 64, x : x + 64] = 1
        hu += 100 * labels
        yield Case(hu, (1.0, 1.0, 1.0), f"random-{number:04d}", labels=labels, mu_water_per_mm=MU_WATER_70KEV_PER_MM)


def child(words: argparse.Namespace, what: str, *, run: Path | None = None) -> dict[str, float]:
    done = subprocess.run(command(words, what, run), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{what} failed:\n{done.stderr}")
    values: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return values


def command(words: argparse.Namespace, what: str, run: Path | None) -> list[str]:
    more = ["--run", str(run)] if run else []
    return [
        sys.executable,
        __file__,
        "--child",
        what,
        "--folder",
        str(words.folder),
        "--memory-mib",
        str(words.memory_mib),
        *more,
    ]


def kill_in_the_middle(words: argparse.Namespace, run: Path, steps: int) -> int:
    """Start a training and kill it once it has logged half of its steps -> the last step that it had logged."""
    process = subprocess.Popen(command(words, "train", run), stdout=subprocess.DEVNULL)
    last = 0
    while last < steps // 2 and process.poll() is None:
        time.sleep(0.05)
        lines = (run / "metrics.jsonl").read_text().splitlines() if (run / "metrics.jsonl").exists() else []
        for line in lines:
            try:
                last = max(last, int(json.loads(line)["step"]))
            except ValueError:  # it is being written
                continue
    if process.poll() is not None:
        raise SystemExit("the training ended before it could be killed")
    process.send_signal(signal.SIGKILL)
    process.wait()
    return last


def small_net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.PixelUnshuffle(4),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 1),
        nn.PixelShuffle(4),
    )


def train_streamed(words: argparse.Namespace) -> dict[str, float | str]:
    images = open_store(words.folder / "store")
    base = peak_mib()
    resource.setrlimit(resource.RLIMIT_DATA, (words.memory_mib * 2**20,) * 2)
    return {**train(images, words.run, len(images) // BATCH), "base_mib": base, "peak_mib": peak_mib()}


def train_in_memory(words: argparse.Namespace) -> dict[str, float | str]:
    stored = open_store(words.folder / "store")
    images = stored[: min(len(stored), 2048)].to_memory()
    order = ImageOrder(len(images), BATCH, 0)
    begin, steps = time.process_time(), 100
    for step in range(steps):
        images.take(order.take(step))
    taken = steps * BATCH / (time.process_time() - begin)
    return {
        **train(images, words.folder / "memory", len(images) // BATCH),
        "peak_mib": peak_mib(),
        "taken": taken,
        "images": len(images),
    }


def read_alone(words: argparse.Namespace) -> dict[str, float | str]:
    images = open_store(words.folder / "store")
    order, steps = ImageOrder(len(images), BATCH, 0), len(images) // BATCH
    ahead = ReadAhead(images, order.take)
    begin = time.process_time()
    for step in range(steps):
        ahead.take(step)
    return {"streamed": steps * BATCH / (time.process_time() - begin), "peak_mib": peak_mib()}


def train(images, run: Path, steps: int) -> dict[str, float | str]:
    settings = TrainSettings(steps=steps, batch=BATCH, log_every=10, checkpoint_every=40, precision="float32")
    begin = time.process_time()
    train_task(
        small_net(),
        images,
        prepare=lambda mu: 50 * mu - 1,
        penalty=DiceCE(),
        run=run,
        settings=settings,
        progress=False,
    )
    seconds = time.process_time() - begin
    tensors, _ = load_run(run).load_tensors("weights.safetensors")
    digest = hashlib.sha256(b"".join(tensors[name].numpy().tobytes() for name in sorted(tensors))).hexdigest()
    return {"steps": steps, "rate": steps * BATCH / seconds, "weights": digest}


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


CHILDREN = {"train": train_streamed, "memory": train_in_memory, "read": read_alone}

if __name__ == "__main__":
    main()
