"""Both sides in processes of their own, asked in turn: A B A B."""

from __future__ import annotations

import functools
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any

import numpy as np

from taskct.bench import limits, peers
from taskct.bench.bench_geometries import BALL_PER_MM, BALL_RADIUS, BALL_SHIFT, BenchPlan, Case, operations, updates
from taskct.bench.conventions import images_alike, projections_alike
from taskct.bench.thread_gain import machine_speed_up, middle
from taskct.core.errors import InputError
from taskct.core.open_files import open_binary, parsing
from taskct.core.provenance import git_commit, provenance

Row = dict[str, Any]

_PARTS = 8  # of a turn with several threads: two cores are seldom undisturbed for long, so shorter turns and more of them
_HEAVY_PARTS = 3


class Side:
    """One environment's process, set up once; a context manager that ends it."""

    def __init__(self, command: list[str], threads: int) -> None:
        env = os.environ | {"OMP_NUM_THREADS": str(threads)}
        env["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(threads)
        try:
            self._process = subprocess.Popen(
                [*command, str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
            )
        except OSError as error:
            raise InputError(f"{command[0]}: cannot be run ({error.strerror}); give the python of an environment") from error

    @functools.cached_property
    def hello(self) -> dict[str, Any]:
        """What the process says first; sides that are started together load their libraries at the same time."""
        return self._read()

    def ask(self, work: str, case: Case, *, turn_s: float = 0.0, **more: str) -> dict[str, Any]:
        """Seconds and memory of a run, the mean of one turn, or {"error": why}."""
        assert self._process.stdin is not None
        _ = self.hello
        whole = case | {"ball_radius": BALL_RADIUS, "ball_per_mm": BALL_PER_MM, "ball_shift": BALL_SHIFT}
        print(json.dumps({"run": work, "case": whole, "turn_s": turn_s, **more}), file=self._process.stdin, flush=True)
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise InputError(f"{' '.join(map(str, self._process.args))} ended without an answer; see what it said above")  # type: ignore[arg-type]
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Side:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()


def our_side(threads: int) -> Side:
    """taskct in a process of its own."""
    return Side([sys.executable, "-m", "taskct.bench.ours"], threads)


def peer_side(python: str | Path, threads: int) -> Side:
    """The peers that are installed beside `python`."""
    return Side([str(python), peers.__file__], threads)


def run_bench(
    plan: BenchPlan,
    *,
    peers_python: str | Path | None = None,
    only: str = "",
    say: Callable[[str], None] = lambda line: None,
    keep: Callable[[dict[str, Any]], None] = lambda result: None,
    earlier: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Measure a plan: machine, versions, and one row per case, work, thread count and peer. Seconds are medians.

    `cpu_s` counts all threads, so a busy machine disturbs it little; `ratio` is the peer's `cpu_s` over ours, taken in turn.
    `limit` is the part of the machine's vector operations that the inner loop would need if nothing else took time.
    With more threads than the first number, `speed_up` is the median of first over more wall seconds, run in turn as well,
    between `speed_up_low` and `speed_up_high` (95 %), and `machine_speed_up` that of vector operations without memory.
    `only` keeps the rows whose "case/work" contains it. `keep` is given the result so far after each work; what the `earlier`
    result of a run that was stopped has is not measured again. Raises InputError when a side does not start or fails, and for
    an earlier result of another machine, commit, number of rounds, turn length or set of cases, or with peers where this is
    without.
    """
    wanted = [(name, work) for name, work in itertools.product(plan.cases, plan.works) if only in f"{name}/{work}"]
    if not wanted:
        raise InputError(f"no case/work contains {only!r}; cases: {', '.join(plan.cases)}; works: {', '.join(plan.works)}")
    rows: list[Row] = []
    facts = limits.machine()
    cases = json.loads(json.dumps(plan.cases))  # as a file gives them back
    asked = {
        "rounds": plan.rounds,
        "turn_s": plan.turn_s,
        "cases": cases,
        "with_peers": peers_python is not None,
        "commit": git_commit(),
    }
    measured = _rows_of(earlier, facts, asked) if earlier else []
    hellos: list[dict[str, Any]] = []

    def result() -> dict[str, Any]:
        met = {_key(row) for row in rows}
        waiting = [row for row in measured if _key(row) not in met]  # of the earlier run: still to come, or not asked for
        versions = hellos[0].get("versions", {}) | hellos[1].get("peers", {})
        return {
            "machine": facts,
            "versions": versions,
            **asked,
            "rows": rows + waiting,
            "provenance": provenance(),
        }

    for threads in plan.threads:
        with ExitStack() as sides:
            ours = sides.enter_context(our_side(threads))
            leads = threads == plan.threads[0]
            other = sides.enter_context(peer_side(peers_python, threads)) if peers_python and leads else None
            alone = None if leads else sides.enter_context(our_side(plan.threads[0]))
            hellos = hellos or [ours.hello, other.hello if other else {}]
            at = _Table(plan, threads, facts, ours, other, alone)
            for name, work in wanted:
                found = [row for row in measured if _key(row) == (name, work, threads)]
                found = found or _measure(name, work, at=at)
                rows += found
                for row in found:
                    say(line(row))
                keep(result())
    return result()


def _key(row: Row) -> tuple[Any, ...]:
    return row["case"], row["work"], row["threads"]


def _rows_of(earlier: dict[str, Any], facts: dict[str, Any], asked: dict[str, Any]) -> list[Row]:
    """The rows of an earlier result, refused when they cannot stand beside those of this run."""

    def same(machine: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
        return {name: machine[name] for name in ("processor", "cpus", "kernels")} | rest

    then = same(earlier["machine"], {name: earlier.get(name) for name in asked})
    now = same(facts, asked)
    other = [f"{name} {then[name]!r} (now {now[name]!r})" for name in now if then[name] != now[name]]
    if other:
        raise InputError(f"the earlier result was measured with {', '.join(other)}; start anew with --overwrite")
    return list(earlier["rows"])


def line(row: Row) -> str:
    """One row for people."""
    text = f"{row['case']}/{row['work']}, {row['threads']} thread{'s' * (row['threads'] > 1)}: {row['cpu_s']:.4f} s"
    if row.get("alone_wall_s"):
        text += f", wall {row['wall_s']:.4f} s, {row['speed_up']:.2f} x"
        if "machine_speed_up" in row:
            text += f" (the machine {row['machine_speed_up']:.2f} x)"
    if row.get("peer"):
        text += f", {row['peer']} {row['peer_cpu_s']:.3f} s, {row['ratio']:.1f} x"
    return text


@dataclass(frozen=True)
class _Table:
    """Who sits at it: both sides, with one thread count, on one machine; `alone` are we with the first thread count."""

    plan: BenchPlan
    threads: int
    facts: dict[str, Any]
    ours: Side
    other: Side | None
    alone: Side | None

    @property
    def leads(self) -> bool:
        return self.alone is None


def _measure(name: str, work: str, *, at: _Table) -> list[Row]:
    """One row for each peer that offers the work, or one without."""
    case = at.plan.cases[name]
    offers = at.other.hello["offers"] if at.other and case["batch"] == 1 else []
    here = at.other.hello["peers"] if at.other else {}
    matching = [p for p, kind, what in offers if (kind, what) == (case["kind"], work) and p in here]
    if at.other and case["batch"] == 1:
        matching += [p for p, kind, what in at.ours.hello["offers"] if (kind, what) == (case["kind"], work)]
    return [_row(name, work, peer=peer, at=at, first=n == 0) for n, peer in enumerate(matching or [""])]


def _row(name: str, work: str, *, peer: str, at: _Table, first: bool) -> Row:
    case, facts = at.plan.cases[name], at.facts
    theirs = at.other if at.other and peer in at.other.hello["peers"] else at.ours
    asked = [(at.ours, work)]
    if peer:
        asked.append((theirs, f"{peer} {work}"))
    elif at.alone:
        asked.append((at.alone, work))
    heavy = "heavy" in case
    once = heavy and bool(peer)  # what the peer does
    for side, what in asked[:1] if once else asked:
        side.ask(what, case)  # set-up and caches
    parts = 1 if at.leads else _HEAVY_PARTS if heavy else _PARTS
    times: list[list[dict[str, Any]]] = [[] for _ in asked]
    machine_gains: list[float | None] = []
    for number in range(parts * at.plan.rounds):
        for mine, (side, what) in zip(times, asked, strict=True):
            if number == 0 or not once or mine is times[0]:  # ours comes first
                mine.append(side.ask(what, case, turn_s=at.plan.turn_s / parts))
        if at.alone:
            machine_gains.append(machine_speed_up(at.threads))
    failed = [t["error"] for mine in times for t in mine if "error" in t]
    if failed:
        raise InputError(f"{name}/{work}: {failed[0]}")
    medians = [{key: median(t[key] for t in mine) for key in mine[0]} for mine in times]
    row: Row = {"case": name, "work": work, "threads": at.threads, "updates": updates(case, work), **medians[0]}
    row["speed_up"] = 1.0
    if at.alone:
        row["alone_wall_s"] = medians[1]["wall_s"]
        gains = [one["wall_s"] / max(more["wall_s"], 1e-9) for more, one in zip(*times, strict=True)]
        row["speed_up"], row["speed_up_low"], row["speed_up_high"] = middle(gains)
        if known := [gain for gain in machine_gains if gain is not None]:
            row["machine_speed_up"] = median(known)
    row["updates_per_s"] = row["updates"] / max(row["cpu_s"], 1e-9)
    counted = operations(case, work, facts["lanes"])
    if facts["vector_operations_per_s"] and counted:
        needed_s = row["updates"] / facts["lanes"] * counted / facts["vector_operations_per_s"]
        row["limit"] = needed_s / max(row["cpu_s"], 1e-9)
    if peer:
        row |= {"peer": peer, "peer_runs": len(times[1]), **{f"peer_{key}": value for key, value in medians[1].items()}}
        row["ratio"] = row["peer_cpu_s"] / max(row["cpu_s"], 1e-9)
    voxels = case["batch"] * case["pixels"] ** (3 if case["kind"] == "cone" else 2)
    if at.leads and first and voxels <= at.plan.reference_voxels:
        row["float64_difference"] = _difference((at.ours, work), (at.ours, f"{work} float64"), case)
    whole = work != "forward" or case["views"] % 4 == 0  # a peer may begin a quarter turn later
    comparable = peer not in ("", "skimage") and not heavy and whole  # skimage's detector has as many columns as the image
    if at.leads and comparable and work in ("forward", "adjoint"):
        row["peer_difference"] = _difference((at.ours, work), (theirs, f"{peer} {work}"), case)
    return row


def _difference(one: tuple[Side, str], two: tuple[Side, str], case: Case) -> float:
    """Relative norm of the difference of two results; a peer's may be in other conventions."""
    with tempfile.TemporaryDirectory() as folder:
        loaded = []
        for number, (side, work) in enumerate((one, two)):
            path = f"{folder}/{number}.npy"
            answer = side.ask(work, case, save=path)
            if "error" in answer:
                raise InputError(f"{work}: {answer['error']}")
            with open_binary(path) as stream, parsing(path, "an array"):
                loaded.append(np.load(stream, allow_pickle=False).astype(np.float64))
    y = loaded[1].squeeze()
    x = loaded[0].reshape(y.shape)
    size = float(np.linalg.norm(y))
    if not (np.isfinite(size) and size > 0):
        raise InputError(f"{two[1]}: gave nothing to compare with (norm {size})")
    if two[1].startswith(one[1]):  # our own reference
        return float(np.linalg.norm(x - y)) / size
    alike = projections_alike(y) if one[1] == "forward" else images_alike(y)
    return min(float(np.linalg.norm(x - z)) for z in alike) / size
