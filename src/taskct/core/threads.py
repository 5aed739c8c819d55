"""One thread after a fork: OpenMP's threads do not come along, and a child that asks for several waits for them for ever."""

from __future__ import annotations

import os

import torch

_LOADED_IN = os.getpid()


def forked() -> bool:
    """Whether this process was forked from the one in which taskct was loaded."""
    return os.getpid() != _LOADED_IN


def usable_threads() -> int:
    """How many threads compiled code may use: torch's number, or 1 in a forked process."""
    return 1 if forked() else torch.get_num_threads()


def keep_to_one_thread_if_forked() -> None:
    """Set torch to one thread in a forked process, as a DataLoader does in its workers; elsewhere change nothing.

    The public functions that compute call this first. Processes started by "spawn" or "forkserver" keep their threads.
    """
    if torch.compiler.is_compiling():
        return
    if forked() and torch.get_num_threads() > 1:
        torch.set_num_threads(1)
