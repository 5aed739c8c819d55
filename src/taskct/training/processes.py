"""Several processes that train one model under `torchrun`; with one process everything here does nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
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


def mean_where_known(values: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, float]:
    """Mean of scalars over the processes that know them, by name; a name that no process knows is left out."""
    if world() == 1:
        return {name: float(values[name]) for name in names if name in values}
    zero = torch.zeros((), device=_device())
    known = torch.tensor([float(name in values) for name in names], device=_device())
    sums = torch.stack([values.get(name, zero).to(zero) for name in names])
    dist.all_reduce(sums)
    dist.all_reduce(known)
    means = (sums / known.clamp_min(1)).tolist()
    return {name: mean for name, mean, count in zip(names, means, known.tolist(), strict=True) if count}


def fair_share(count: int) -> float:
    """What a mean over `count` of this process's images weighs, so that the mean over processes is the mean over images."""
    if world() == 1:
        return float(count > 0)
    total = torch.tensor(float(count), device=_device())
    dist.all_reduce(total)
    return count * world() / max(float(total), 1.0)


def names_of_all(names: Iterable[str]) -> list[str]:
    """The names that any process knows, in one order for all."""
    if world() == 1:
        return list(names)
    gathered: list[list[str]] = [[] for _ in range(world())]
    dist.all_gather_object(gathered, list(names))
    return list(dict.fromkeys(name for part in gathered for name in part))


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
