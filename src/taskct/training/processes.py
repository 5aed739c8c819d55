"""Several processes that train one model under `torchrun`; with one process everything here does nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch import distributed as dist


def rank() -> int:
    """Number of this process, 0 when it is alone."""
    return dist.get_rank() if _joined() else 0


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if _joined() else 1


def wait_for_all() -> None:
    """Go on when all processes have come here."""
    if _joined():
        dist.barrier()


def mean_over_ranks(value: Tensor) -> Tensor:
    """The mean over the processes, the same on all of them."""
    if world() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total / world()


def any_rank(flag: bool) -> bool:
    """Whether the flag is up in any process."""
    if world() == 1:
        return flag
    raised = torch.tensor(float(flag), device=_device())
    dist.all_reduce(raised, op=dist.ReduceOp.MAX)
    return bool(raised > 0)


@contextmanager
def processes_of_torchrun() -> Iterator[None]:
    """Join the processes that `torchrun` started, by gloo on CPUs and NCCL on GPUs; leave them at the end."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or _joined():
        yield
        return
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def _joined() -> bool:
    return dist.is_available() and dist.is_initialized()


def _device() -> torch.device:
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
