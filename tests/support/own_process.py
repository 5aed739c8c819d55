"""Python in a process of its own: a fork of one clean process that has imported torch, once for all (that takes seconds)."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import socket
import subprocess
import sys
import threading
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from places import SUPPORT

# Elsewhere the system's own libraries do not survive a fork. The process that forks has no threads and has done no work.
CONTEXT = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
if isinstance(CONTEXT, multiprocessing.context.ForkServerContext):
    CONTEXT.set_forkserver_preload(["torch"])


class Begun:
    """A process that has begun, and what it has written to stdout and stderr once it has ended."""

    def __init__(self, code: str | Path, words: tuple[str, ...], env: dict[str, str]) -> None:
        self._pipes = [CONTEXT.Pipe(duplex=False) for _ in range(2)]
        writers = [write for _, write in self._pipes]
        self.process: BaseProcess = CONTEXT.Process(target=_do, args=(code, words, env, os.getcwd(), writers))
        self.process.start()
        for write in writers:
            write.close()
        self._said = [bytearray(), bytearray()]
        self._threads = [
            threading.Thread(target=_read, args=(read, said), daemon=True)
            for (read, _), said in zip(self._pipes, self._said, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    def kill(self) -> None:
        """End it without warning."""
        self.process.kill()
        self.process.join()

    def result(self, *, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Its exit code (negative: the signal that ended it) and words; it is killed when it takes too long."""
        self.process.join(timeout_s)
        if self.process.exitcode is None:
            self.kill()
            raise TimeoutError(f"a process of a test ran for more than {timeout_s} s")
        for thread in self._threads:
            thread.join(timeout_s)
        out, err = (said.decode() for said in self._said)
        return subprocess.CompletedProcess([], int(self.process.exitcode), out, err)


def begin(code: str | Path, *words: object, **more: str) -> Begun:
    """Begin what `python -c code words` does, or `python file words` for a path, with `more` in its environment."""
    return Begun(code, tuple(map(str, words)), {**os.environ, "OMP_NUM_THREADS": "1", **more})


def run(code: str | Path, *words: object, **more: str) -> subprocess.CompletedProcess[str]:
    """The same to its end."""
    return begin(code, *words, **more).result()


def run_ranks(count: int, code: str | Path, *words: object) -> list[subprocess.CompletedProcess[str]]:
    """So many processes that find each other as those of torchrun do."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(probe.getsockname()[1]), "WORLD_SIZE": str(count)}
    both = [begin(code, *words, **where, RANK=str(k), LOCAL_RANK=str(k), LOCAL_WORLD_SIZE=str(count)) for k in range(count)]
    return [one.result() for one in both]


def _read(pipe: Connection, said: bytearray) -> None:
    while part := os.read(pipe.fileno(), 1 << 16):
        said += part


def _do(code: str | Path, words: tuple[str, ...], env: dict[str, str], folder: str, said: list[Connection]) -> None:
    for stream, pipe in enumerate(said, start=1):
        os.dup2(pipe.fileno(), stream)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    if str(SUPPORT) not in sys.path:
        sys.path.insert(0, str(SUPPORT))
    sys.argv = [str(code) if isinstance(code, Path) else "-c", *words]
    if isinstance(code, Path):
        runpy.run_path(str(code), run_name="__main__")
    else:
        exec(compile(code, "<code of a test>", "exec"), {"__name__": "__main__"})
