"""taskct beside its peers, alternating A B A B in one run: `python compare.py --peers PYTHON_OF_THEIR_ENVIRONMENT`.

Both sides live in processes of their own that are set up once. Seconds are CPU seconds over all threads (medians), so a busy
machine disturbs them less than wall time; trust the ratios. Writes JSON, atomically.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np

HERE = Path(__file__).resolve().parent
PAIRS = [
    ("parallel/forward", "astra parallel/forward"),
    ("parallel/adjoint", "astra parallel/adjoint"),
    ("parallel/backproject", "astra parallel/adjoint"),
    ("parallel/fbp", "astra parallel/fbp"),
    ("parallel/forward", "skimage parallel/forward"),
    ("parallel/fbp", "skimage parallel/fbp"),
    ("fan/forward", "astra fan/forward"),
    ("fan/adjoint", "astra fan/adjoint"),
    ("cone/forward", "rtk cone/forward"),
    ("cone/adjoint", "rtk cone/adjoint"),
    ("cone/backproject", "rtk cone/backproject"),
    ("cone/fbp", "rtk cone/fbp"),
]
ALONE = ["fan/backproject", "fan curved/forward", "fan curved/adjoint", "fan curved/backproject", "parallel/forward of 16"]
AGREE = {"astra parallel/forward", "astra parallel/adjoint", "astra fan/forward", "rtk cone/forward", "rtk cone/adjoint"}


class Side:
    """One environment's worker process."""

    def __init__(self, python: str, script: str, threads: int) -> None:
        env = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
        env["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(threads)
        command = [python, str(HERE / script), str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        hello = self.read()
        self.offers, self.versions = hello["offers"], hello["versions"]

    def read(self) -> dict:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self, **what: str) -> dict:
        assert self.process.stdin is not None
        print(json.dumps(what), file=self.process.stdin, flush=True)
        return self.read()


def timed(side: Side, name: str, into: list[dict]) -> None:
    answer = side.ask(run=name)
    if "error" in answer:
        print(f"  {name}: {answer['error']}")
    else:
        into.append(answer)


def summary(times: list[dict]) -> dict[str, float]:
    return {key: round(median(t[key] for t in times), 5) for key in ("cpu_s", "wall_s", "peak_mib")}


def difference(ours: Side, peers: Side, our_name: str, peer_name: str) -> float:
    """Relative norm of the difference of both results; a mirrored detector or a volume turned about x counts as the same."""
    with tempfile.TemporaryDirectory() as folder:
        a, b = f"{folder}/a.npy", f"{folder}/b.npy"
        ours.ask(save=our_name, to=a)
        peers.ask(save=peer_name, to=b)
        x, y = np.load(a).astype(np.float64), np.load(b).astype(np.float64)
    x = x.reshape(y.shape)
    alike = [y, y[..., ::-1]]
    if y.ndim == 3 and len(set(y.shape)) == 1:
        alike.append(y.transpose(1, 0, 2))  # RTK turns about its second axis, taskct about its first
    return min(float(np.linalg.norm(x - z) / np.linalg.norm(y)) for z in alike)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", required=True, help="python of the environment that has the peers")
    parser.add_argument("--ours", default=sys.executable, help="python of the environment that has taskct")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="run only the pairs whose name contains this")
    parser.add_argument("--out", type=Path, default=HERE.parent / "results" / "projectors.json")
    asked = parser.parse_args()
    ours, peers = Side(asked.ours, "ours.py", asked.threads), Side(asked.peers, "peers.py", asked.threads)
    rows = []
    for our_name, peer_name in [*PAIRS, *((name, "") for name in ALONE)]:
        if asked.only not in our_name or (peer_name and peer_name not in peers.offers):
            continue
        mine: list[dict] = []
        theirs: list[dict] = []
        ours.ask(run=our_name)  # warm: set-up and caches
        if peer_name:
            peers.ask(run=peer_name)
        for _ in range(asked.rounds):
            timed(ours, our_name, mine)
            if peer_name:
                timed(peers, peer_name, theirs)
        if not mine:
            continue
        row: dict = {"ours": our_name, **summary(mine)}
        if theirs:
            row |= {"peer": peer_name, **{f"peer_{key}": value for key, value in summary(theirs).items()}}
            row["ratio"] = round(row["peer_cpu_s"] / row["cpu_s"], 2)
        if peer_name in AGREE:
            row["relative_difference"] = difference(ours, peers, our_name, peer_name)
        rows.append(row)
        print(json.dumps(row), flush=True)
    result = {
        "command": "python benchmarks/projectors/compare.py",
        "threads": asked.threads,
        "machine": {"processor": cpu_name(), "cpus": os.cpu_count(), "load": os.getloadavg()},
        "versions": ours.versions | peers.versions,
        "rows": rows,
    }
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    part = asked.out.with_suffix(".part")
    part.write_text(json.dumps(result, indent=1) + "\n")
    part.replace(asked.out)


def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    main()
