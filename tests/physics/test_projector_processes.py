"""A projector that was handed to another process, or copied, is as good as before: there and here."""

from __future__ import annotations

import copy
import io
import multiprocessing
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import pytest
import torch
from places import ROOT
from projector_jobs import Scans, scan_and_reconstruct
from torch.utils.data import DataLoader

from taskct import Grid, Projector, fbp
from taskct.geometry import Beam, FanBeam, ParallelBeam

FAN = FanBeam(views=24, cols=40, pixel_mm=2.4, source_iso_mm=90, source_detector_mm=170)


def _used() -> tuple[Projector, torch.Tensor, torch.Tensor]:
    A = Projector(Grid((32, 32), 1.0), FAN)
    mu = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.02
    return A, mu, A(mu)


def _fill_freed_memory(size: int) -> list[torch.Tensor]:
    return [torch.full((size,), float("nan"), dtype=torch.float64) for _ in range(200)]


HAND_ON: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda a: pickle.loads(pickle.dumps(a)),
    "to another process": lambda a: pickle.loads(ForkingPickler.dumps(a)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "torch.save": lambda a: torch.load(_saved(a), weights_only=False),
}


def _saved(a: Any) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(a, file)
    file.seek(0)
    return file


@pytest.mark.parametrize("how", HAND_ON)
def test_a_used_projector_keeps_its_bytes_when_it_is_handed_on_and_so_does_the_other(how: str, pair: tuple[Grid, Beam]):
    grid, beam = pair
    A = Projector(grid, beam)
    mu = torch.rand(1, 1, *A.mu_shape, generator=torch.Generator().manual_seed(0)) * 0.02
    p = A(mu)
    back = A.adjoint(p)
    there = HAND_ON[how](A)
    junk = _fill_freed_memory(A._scanner.numel())
    for one in (A, there):
        assert torch.equal(one(mu), p)
        assert torch.equal(one.adjoint(p), back)
    assert len(junk) == 200


def test_a_projector_does_not_look_at_the_memory_that_its_scanner_had():
    A, mu, p = _used()
    back = fbp(p, A)
    size = A._scanner.numel()
    A._scanner.share_memory_()  # moves it, and frees what it had
    junk = _fill_freed_memory(size)
    assert torch.equal(A(mu), p)
    assert torch.equal(fbp(p, A), back)
    assert len(junk) == 200


def test_a_subset_and_a_known_norm_survive_pickling():
    A = _used()[0].subset([5, 3, 20]).subset(slice(1, None))
    norm = A.norm
    there = pickle.loads(pickle.dumps(A))
    assert there.views.tolist() == [3, 20]
    assert vars(there)["norm"] == norm
    assert torch.equal(there(torch.ones(1, 1, 32, 32)), A(torch.ones(1, 1, 32, 32)))


def test_a_backend_survives_pickling_and_copying():
    A, mu, p = _used()
    for there in (pickle.loads(pickle.dumps(A.backend_for())), copy.deepcopy(A.backend_for())):
        assert torch.equal(there.forward(mu[:, 0]).reshape(p.shape), p)


def test_a_beam_of_free_poses_leaves_the_arrays_of_its_caller_as_they_were_and_does_not_follow_them():
    from taskct.geometry import VectorBeam

    given = {name: getattr(FAN.poses(), name).copy() for name in ("detector_mm", "col_step_mm", "row_step_mm", "source_mm")}
    beam = VectorBeam(rows=1, cols=40, **given)
    A = Projector(Grid((32, 32), 1.0), beam)
    mu = torch.rand(1, 1, 32, 32)
    p = A(mu)
    for array in given.values():
        assert array.flags.writeable
        array[:] = np.nan
    assert torch.equal(A(mu), p)


TIMES = int(os.environ.get("TASKCT_TIMES", "1"))  # 20 hands the projector on twenty times, in all nine ways
METHODS = ("fork", "spawn", "forkserver")
IN_SHORT = {("pool", "fork"), ("pool", "spawn"), ("executor", "fork"), ("executor", "forkserver"), ("loader", "spawn")}


def _there(how: str, method: str, A: Projector, mu: torch.Tensor, times: int) -> Iterator[list[Any]]:
    """What another process makes of `scan_and_reconstruct`, in `times` rounds of two jobs; a loader starts anew each time."""
    context = multiprocessing.get_context(method)
    if how == "loader":
        for _ in range(times):
            loaded = DataLoader(Scans(A, mu), num_workers=1, multiprocessing_context=method, batch_size=None)
            yield [one.numpy().tobytes() for one in loaded]
    elif how == "pool":
        with context.Pool(2) as pool:
            for _ in range(times):
                yield pool.map(scan_and_reconstruct, [(A, mu)] * 2, chunksize=1)
    else:
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            for _ in range(times):
                yield list(pool.map(scan_and_reconstruct, [(A, mu)] * 2))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("how", ["pool", "executor", "loader"])
def test_another_process_gives_the_bytes_of_this_one_and_leaves_the_projector_as_it_was(how: str, method: str):
    if TIMES == 1 and (how, method) not in IN_SHORT:
        pytest.skip("run with TASKCT_TIMES above 1")
    A, mu, p = _used()
    here = fbp(p, A)[0].numpy().tobytes() if how == "loader" else scan_and_reconstruct((A, mu))
    rounds = 0
    for there in _there(how, method, A, mu, TIMES):
        _fill_freed_memory(14 + 12 * 24)
        assert there == [here] * 2
        assert torch.equal(A(mu), p)  # used before, and after
        rounds += 1
    assert rounds == TIMES


def test_a_forked_worker_that_asks_for_two_threads_does_not_hang_and_gives_the_same_bytes():
    code = """
import multiprocessing, sys, warnings, torch, taskct
warnings.simplefilter("ignore")
torch.set_num_threads(2)
A = taskct.Projector(taskct.Grid((256, 256), 1.0), taskct.ParallelBeam(views=180, cols=400, pixel_mm=1.0))
mu = torch.rand(1, 1, 256, 256) * 0.02
def work(_):
    torch.set_num_threads(2)
    p = A(mu)
    torch.set_num_threads(2)
    noisy = taskct.simulate_scan(mu, A, taskct.Dose(1e5), seed=0)
    torch.set_num_threads(2)
    return [x.numpy().tobytes() for x in (p, taskct.fbp(p, A), taskct.sirt(p, A, iterations=2), noisy)]
here = work(0)
assert torch.get_num_threads() == 2, "threads of a process that was not forked are its own"
with multiprocessing.get_context("fork").Pool(1) as pool:
    assert pool.map_async(work, [0]).get(60) == [here]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("beam", [FAN, ParallelBeam(views=24, cols=60, pixel_mm=1.0)])
def test_projectors_are_pickled_as_their_geometry_without_tensors(beam: Beam):
    A = Projector(Grid((32, 32), 1.0), beam)
    A(torch.ones(1, 1, 32, 32))
    assert not any(isinstance(value, torch.Tensor) for value in A.__getstate__().values())
